"""Measures the peer (`peer_server`) with callers that speak Twilio's Media Streams over WebSocket.

The peer resamples to 24 kHz and back, in which no stamp survives. So its delays are taken from onsets: when the first
sound after a pause left on one side and when it came in on the other.
"""

import asyncio
import base64
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from scripts.benchmarks.stage import BenchError, cpu_seconds, private_mb
from scripts.ports import free_port
from scripts.settings import ROOT

_LOUD = 0x60
"""A mu-law byte below this, without its sign, is louder than about -40 dB."""
_PAUSE_NS = 300_000_000
_ROUND_TICKS, _TALK_TICKS = 455, 275
"""5.5 s of each 9.1 s, as the SIP callers do."""
_NOTES = (
    "rtp_gap_ms: it has no RTP; frame_gap_ms is between its WebSocket messages of sound, 40 ms each while it speaks",
    "first_audio_ms: it discloses nothing, so this is the model's first sound, for which the model takes 0.3 to 1.8 s",
    "setup_ms: an open socket is not an answered call",
)


class _Caller:
    def __init__(self, number: int) -> None:
        self.number = number
        self.opened = 0
        self.began: list[int] = []
        """When each of its own stretches of speech began (ns)."""
        self.onsets: list[int] = []
        """When each of the other side's was first heard."""
        self.gaps: list[float] = []
        """Between two messages of the other side's speech, ms."""
        self._last_loud = 0

    async def talk(self, port: int, until: float) -> None:
        async with connect(f"ws://127.0.0.1:{port}", max_queue=None) as line:
            await line.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            await line.send(json.dumps({"event": "start", "streamSid": "stream", "start": {"streamSid": "stream"}}))
            self.opened = time.time_ns()
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(line), name="listen")
                await self._speak(line, until)
                listening.cancel()

    async def _speak(self, line: ClientConnection, until: float) -> None:
        loud = base64.b64encode(bytes(0x30 + i * 7 % 64 for i in range(160))).decode()
        quiet = base64.b64encode(b"\xff" * 160).decode()
        due, tick = time.monotonic(), 0
        while due < until:
            payload = loud if tick % _ROUND_TICKS < _TALK_TICKS else quiet
            if tick % _ROUND_TICKS == 0:
                self.began.append(time.time_ns())
            with contextlib.suppress(Exception):  # a peer that broke the line shows in its figures
                await line.send(f'{{"event":"media","streamSid":"stream","media":{{"payload":"{payload}"}}}}')
            due, tick = due + 0.02, tick + 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _listen(self, line: ClientConnection) -> None:
        async for message in line:
            now = time.time_ns()
            event = json.loads(message)
            if event.get("event") == "media":
                sound = base64.b64decode(event["media"]["payload"])
                if sound and min(byte & 0x7F for byte in sound) < _LOUD:
                    if now - self._last_loud > _PAUSE_NS:
                        self.onsets.append(now)
                    else:
                        self.gaps.append((now - self._last_loud) / 1e6)
                    self._last_loud = now


def measure_peer(
    calls: int, seconds: float, *, folder: Path, model_port: int, model: subprocess.Popen[str]
) -> dict[str, Any]:
    """The peer's row: CPU and memory per call, and delays."""
    return asyncio.run(_measure(calls, seconds, folder, model_port, model))


async def _measure(
    calls: int, seconds: float, folder: Path, model_port: int, model: subprocess.Popen[str]
) -> dict[str, Any]:
    ports = [free_port() for _ in range(calls)]
    command = [sys.executable, "-W", "ignore", "-m", "scripts.benchmarks.peer_server"]
    command += [f"ws://127.0.0.1:{model_port}/v1/realtime", *map(str, ports)]
    with subprocess.Popen(  # noqa: ASYNC220  the callers have not begun yet
        command, cwd=ROOT, stdout=subprocess.DEVNULL
    ) as peer:
        try:
            await _all_listen(peer, ports)
            idle = private_mb(peer.pid)
            ramp = calls * 0.1 + 4
            until = time.monotonic() + ramp + seconds + 1
            callers = [_Caller(number) for number in range(calls)]
            async with asyncio.TaskGroup() as group:
                for caller, port in zip(callers, ports, strict=True):
                    group.create_task(caller.talk(port, until), name=f"caller {caller.number}")
                    await asyncio.sleep(0.1)
                await asyncio.sleep(4)
                model.send_signal(signal.SIGUSR1)
                for caller in callers:
                    caller.gaps.clear()
                began, used = time.monotonic(), cpu_seconds([peer.pid])
                await asyncio.sleep(seconds)
                used, lasted = cpu_seconds([peer.pid]) - used, time.monotonic() - began
                memory = private_mb(peer.pid)
                model.send_signal(signal.SIGUSR2)
        finally:
            peer.kill()
    return {
        "calls": calls,
        "cpu_core_percent_per_call": round(100 * used / lasted / calls, 3),
        "private_mb_per_call": round((memory - idle) / calls, 2),
        "first_audio_ms": _distribution([(one.onsets[0] - one.opened) / 1e6 for one in callers if one.onsets]),
        "model_to_caller_ms": _distribution(_delays(_noted(folder, "A"), [one.onsets for one in callers], _until_next)),
        "caller_to_model_ms": _distribution(_delays(_noted(folder, "C"), [one.began for one in callers], _since_last)),
        "frame_gap_ms": _distribution([gap for one in callers for gap in one.gaps]),
        "notes": _NOTES,
    }


async def _all_listen(peer: subprocess.Popen[bytes], ports: Sequence[int]) -> None:
    """Each pipeline connects to the model as it starts, in the order of the ports.

    Raises:
        BenchError: The peer ended.
    """
    for port in ports:
        for _ in range(300):
            if peer.poll() is not None:
                raise BenchError("the peer did not start")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.1)


def _noted(folder: Path, kind: str) -> dict[str, list[int]]:
    """By session of the model: when its answers' first sound left ("A"), or when its caller began to speak ("C")."""
    found: dict[str, list[int]] = {}
    for line in (folder / "barges.tsv").read_text().splitlines():
        noted, session, _, at, _ = line.split("\t")
        if noted == kind:
            found.setdefault(session, []).append(int(at))
    return found


def _delays(
    noted: dict[str, list[int]],
    by_caller: Sequence[Sequence[int]],
    delay: Callable[[Sequence[int], int], float | None],
) -> list[float]:
    """From the moments at the model to the ones at its caller, or the other way about.

    Which session of the model belongs to which caller is not known: it is the one whose moments lie the nearest.
    """
    found = []
    for times in noted.values():
        candidates = [[d for at in times if (d := delay(moments, at)) is not None] for moments in by_caller]
        found += min((c for c in candidates if len(c) == len(times)), key=statistics.median, default=[])
    return found


def _until_next(moments: Sequence[int], at: int) -> float | None:
    """Milliseconds from `at` to the first moment after it."""
    return next(((moment - at) / 1e6 for moment in moments if moment >= at), None)


def _since_last(moments: Sequence[int], at: int) -> float | None:
    """Milliseconds from the last moment before `at`."""
    return next(((at - moment) / 1e6 for moment in reversed(moments) if moment <= at), None)


def _distribution(measured: Sequence[float]) -> dict[str, float] | None:
    ranked = sorted(measured)
    return {name: round(ranked[int(q * (len(ranked) - 1))], 2) for name, q in _QUANTILES} if ranked else None


_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))

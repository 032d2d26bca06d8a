"""Measures the peer (`peer_server`) with callers that speak Twilio's Media Streams over WebSocket.

The peer resamples to 24 kHz and back, in which no stamp survives. So its delay is taken from onsets: the model notes
when an answer's first sound left, the caller when the first loud frame after a silence came in.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from scripts.benchmarks.stage import BenchError, cpu_seconds, free_port, private_mb
from scripts.settings import ROOT

_LOUD = 0x60
"""A mu-law byte below this, without its sign, is louder than about -40 dB."""
_PAUSE_NS = 300_000_000


class _Caller:
    def __init__(self, number: int) -> None:
        self.number = number
        self.onsets: list[int] = []
        self._last_loud = 0

    async def talk(self, port: int, until: float) -> None:
        async with connect(f"ws://127.0.0.1:{port}", max_queue=None) as line:
            await line.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            await line.send(json.dumps({"event": "start", "streamSid": "stream", "start": {"streamSid": "stream"}}))
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(line), name="listen")
                await self._speak(line, until)
                listening.cancel()

    async def _speak(self, line: ClientConnection, until: float) -> None:
        loud = base64.b64encode(bytes(0x30 + i * 7 % 64 for i in range(160))).decode()
        quiet = base64.b64encode(b"\xff" * 160).decode()
        due, tick = time.monotonic(), 0
        while due < until:
            payload = loud if tick % 455 < 275 else quiet  # 5.5 s of each 9.1 s, as the SIP callers do
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
                    self._last_loud = now


def measure_peer(
    calls: int, seconds: float, *, folder: Path, model_port: int, model: subprocess.Popen[str]
) -> dict[str, Any]:
    """The peer's row: CPU and memory per call, and the delay from model to caller."""
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
        "model_to_caller_ms": _delays(folder / "barges.tsv", callers),
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


def _delays(answers: Path, callers: Sequence[_Caller]) -> dict[str, float] | None:
    """From each answer's first sound at the model to its caller's next onset.

    Which session of the model belongs to which caller is not known: it is the one whose onsets follow the soonest.
    """
    sent: dict[str, list[int]] = {}
    for line in answers.read_text().splitlines():
        kind, session, _, at, _ = line.split("\t")
        if kind == "A":
            sent.setdefault(session, []).append(int(at))
    found = []
    for times in sent.values():
        candidates = [[d for at in times if (d := _next(caller.onsets, at)) is not None] for caller in callers]
        best = min((c for c in candidates if len(c) == len(times)), key=statistics.median, default=[])
        found.extend(best)
    if not found:
        return None
    found.sort()
    return {name: round(found[int(q * (len(found) - 1))], 2) for name, q in _QUANTILES}


def _next(onsets: Sequence[int], at: int) -> float | None:
    """Milliseconds from `at` to the first onset after it."""
    return next(((onset - at) / 1e6 for onset in onsets if onset >= at), None)


_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))

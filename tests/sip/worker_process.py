"""Runs `worker_program.py` for a test and reads what it tells."""

import asyncio
import contextlib
import json
import random
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from sip.control import AnyControlMessage, CallEnded, decode
from tests.peers.sip_phone import SipPhone

PROGRAM = Path(__file__).with_name("worker_program.py")
PATIENCE_S = 10.0
"""For what comes at once on a quiet machine: tests share theirs with each other."""
ROOT = PROGRAM.parents[2]


class WorkerProcess:
    """A worker; `told` is everything it said, `to_edge` everything it sent to the edge, which is this object."""

    def __init__(self, folder: Path, **arguments: str) -> None:
        self.control = folder / "edge.sock"
        self.arguments = arguments
        self.told: list[dict[str, Any]] = []
        self.to_edge: list[AnyControlMessage] = []
        self.news = asyncio.Event()
        self.sip_port = 0
        self.exit_code: int | None = None
        self.edge_is_there = True

    async def __aenter__(self) -> Self:
        self.edge = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.edge.bind(str(self.control))
        self.edge.settimeout(0.1)
        # A thread: the queue holds ten messages (net.unix.max_dgram_qlen), and the loop rests while others test.
        self.listening = threading.Thread(target=self._listen, args=(asyncio.get_running_loop(),), daemon=True)
        self.listening.start()
        first_rtp_port = 2 * random.randrange(12_000, 16_000)
        pairs = {"rtp": str(first_rtp_port), "control": str(self.control)} | self.arguments
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            *(f"{name}={value}" for name, value in pairs.items()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        )
        self.reader = asyncio.get_running_loop().create_task(self._read())
        self.sip_port = (await self.event("ready", seconds=20.0))["sip_port"]
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self.process.returncode is None and self.process.stdin is not None:
                self.process.stdin.close()
            async with asyncio.timeout(PATIENCE_S):
                self.exit_code = await self.process.wait()
        except TimeoutError:
            self.process.kill()
            self.exit_code = await self.process.wait()
        finally:
            await self.reader
            self.edge_is_there = False
            await asyncio.to_thread(self.listening.join)
            self.edge.close()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        while self.edge_is_there:
            with contextlib.suppress(TimeoutError):
                message = decode(self.edge.recv(200_000))
                loop.call_soon_threadsafe(self._from_worker, message)

    def _from_worker(self, message: AnyControlMessage) -> None:
        self.to_edge.append(message)
        self.news.set()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.told.append(json.loads(line))
            self.news.set()

    def order(self, do: str, **what: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps({"do": do, **what}) + "\n").encode())

    async def until(self, true: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        async with asyncio.timeout(seconds):
            while not (result := true()):
                self.news.clear()
                await self.news.wait()
            return result

    async def event(
        self, name: str, line: int | None = None, seconds: float = PATIENCE_S, count: int = 1
    ) -> dict[str, Any]:
        """The `count`th event of that name."""

        def found() -> dict[str, Any] | None:
            events = self.events(name, line)
            return events[count - 1] if len(events) >= count else None

        return await self.until(found, seconds)

    def events(self, name: str, line: int | None = None) -> list[dict[str, Any]]:
        return [told for told in self.told if told["event"] == name and (line is None or told.get("line") == line)]

    def line_events(self, line: int) -> list[str]:
        """Names of a line's own events in order, without the ladder and what is not from the line."""
        return [
            told["event"]
            for told in self.told
            if told.get("line") == line and told["event"][0].isupper() and told["event"] != "SipMessageSeen"
        ]

    def ladder(self, line: int) -> list[str]:
        arrows = {"in": "> ", "out": "< "}
        return [arrows[told["direction"]] + told["summary"] for told in self.events("SipMessageSeen", line)]

    async def line_of(self, phone: SipPhone) -> int:
        """Number of the line that a caller became."""

        def arrived() -> list[int]:
            return [told["line"] for told in self.events("arrived") if told["sip_call_id"] == phone.call_id]

        numbers: list[int] = await self.until(arrived)
        return numbers[0]

    async def ended(self, phone: SipPhone, seconds: float = PATIENCE_S) -> None:
        """Wait for the one CallEnded of a call, and see that it stays the only one."""

        def reports() -> list[AnyControlMessage]:
            return [said for said in self.to_edge if isinstance(said, CallEnded) and said.sip_call_id == phone.call_id]

        await self.until(reports, seconds)
        await asyncio.sleep(0.05)
        assert len(reports()) == 1

"""A worker process for tests: pjsua2 allows one endpoint a process, so each test drives one from outside.

What the dialled user says decides what happens to a call; everything that happens is a JSON object on a line of
standard output, and every line of standard input is a command, `{"line": n, "do": "...", ...}`.
"""

import asyncio
import gc
import json
import math
import re
import resource
import struct
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path

import structlog

from sip.call import PhoneLine
from sip.dialog import SipCall
from sip.endpoint import Endpoint
from sip.settings import WorkerSettings

TONE = struct.pack("<8000h", *(int(8000 * math.sin(2 * math.pi * 500 * n / 8000)) for n in range(8000)))
"""One second of 500 Hz, which is whole periods in each frame."""


def tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Program:
    def __init__(self, arguments: dict[str, str]) -> None:
        self.settings = WorkerSettings(
            index=int(arguments.get("index", "3")),
            rtp_first_port=int(arguments["rtp"]),
            rtp_last_port=int(arguments["rtp"]) + 39,
            edge_address=("127.0.0.1", int(arguments.get("edge", "0"))),
            edge_control=Path(arguments["control"]),
            rtp_inactivity_s=float(arguments.get("lost", "30")),
        )
        self.lines: list[PhoneLine] = []
        self.quiet = "quiet" in arguments
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()

    def own(self, coroutine: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def take(self, line: PhoneLine) -> None:
        number = len(self.lines)
        self.lines.append(line)
        if not self.quiet:
            tell(
                line=number,
                event="arrived",
                called=line.called,
                caller=line.caller,
                trunk=line.trunk,
                sip_call_id=line.sip_call_id,
            )
        if line.called == "raise":
            raise RuntimeError("not taken")
        if re.fullmatch("refuse[3-6][0-9][0-9]", line.called):
            line.refuse(int(line.called.removeprefix("refuse")), "Not Now")
        if line.called.startswith("ring"):
            line.ring()
        if line.called in {"echo", "tone", "hear", "burst"}:
            self.own(self.talk(number, line))
        elif line.called != "late":
            self.listen(number, line)

    def listen(self, number: int, line: PhoneLine) -> None:
        def told(event: object) -> None:
            if not self.quiet:
                fields = {name: getattr(event, name) for name in getattr(event, "__slots__", ())}
                tell(line=number, event=type(event).__name__, at=time.monotonic(), **fields)

        line.on_event = told

    async def talk(self, number: int, line: PhoneLine) -> None:
        self.listen(number, line)
        if line.called == "echo":
            line.on_tick = lambda heard, *_: line.playout.say(heard, item="echo")
        if line.called == "hear":
            ticks = [0]

            def count(heard: bytes, _said: bytes, _rested_ms: int) -> None:
                ticks[0] += 1
                assert line.playout.samples == (ticks[0] - 1) * 160, "the time base skipped"
                if ticks[0] == 50:
                    tell(line=number, event="fifty ticks", loud=max(memoryview(heard).cast("h")))

            line.on_tick = count
        up = await line.answer()
        if not self.quiet:
            tell(line=number, event="answered", up=up, at=time.monotonic())
        if line.called == "tone":
            line.playout.say(
                TONE, item="tone", played=lambda: tell(line=number, event="played", samples=line.playout.samples)
            )
            line.playout.finish("tone")
        if line.called == "burst":
            line.hang_up()

    async def command(self, what: dict[str, object]) -> None:
        if what["do"] == "stop":
            self.ended.set()
        elif what["do"] == "count":
            stack_objects = sum(type(thing) is SipCall for thing in gc.get_objects())
            tell(
                event="count",
                stack_objects=stack_objects,
                lines=len(self.lines),
                tasks=len(asyncio.all_tasks()),
                full_collections=gc.get_stats()[2]["collections"] - self.collections_before,
            )
        elif what["do"] == "drain":
            self.endpoint.drain()
        elif what["do"] == "usage":
            usage = resource.getrusage(resource.RUSAGE_SELF)
            tell(event="usage", cpu_s=usage.ru_utime + usage.ru_stime, at=time.monotonic())
        else:
            number = int(str(what["line"]))
            await getattr(self, f"do_{what['do']}")(number, self.lines[number], what)

    async def do_answer(self, number: int, line: PhoneLine, _: dict[str, object]) -> None:
        tell(line=number, event="answered", up=await line.answer())

    async def do_listen(self, number: int, line: PhoneLine, _: dict[str, object]) -> None:
        self.listen(number, line)

    async def do_hang_up(self, _: int, line: PhoneLine, __: dict[str, object]) -> None:
        line.hang_up()

    async def do_transfer(self, number: int, line: PhoneLine, what: dict[str, object]) -> None:
        status = await line.transfer(str(what["uri"]), float(str(what["deadline"])))
        tell(line=number, event="transferred", status=status)

    async def do_everything(self, number: int, line: PhoneLine, _: dict[str, object]) -> None:
        """Every operation, in an order that makes no sense."""
        line.press("1")
        line.press("nonsense")
        line.ring()
        line.statistics()
        statuses = [await line.transfer(uri, 0.05) for uri in ("tel:+491", "nonsense", "sip:a@b.test\r\nX: 1")]
        line.playout.say(TONE, item="x")
        line.playout.flush()
        answered = [await line.answer(), await line.answer()]
        line.ring()
        line.refuse(486, "Busy Here")
        line.refuse(486, "Busy Here")
        line.hang_up()
        line.hang_up()
        line.press("1")
        answered.append(await line.answer())
        line.statistics()
        tell(line=number, event="everything", statuses=statuses, answered=answered)

    async def do_press(self, _: int, line: PhoneLine, what: dict[str, object]) -> None:
        line.press(str(what["digits"]))

    async def do_say(self, _: int, line: PhoneLine, what: dict[str, object]) -> None:
        line.playout.say(TONE * int(str(what["seconds"])), item=str(what["item"]))
        line.playout.finish(str(what["item"]))

    async def do_flush(self, number: int, line: PhoneLine, what: dict[str, object]) -> None:
        line.playout.flush()
        tell(line=number, event="flushed", heard_ms=line.playout.heard_ms(str(what["item"])))

    async def do_statistics(self, number: int, line: PhoneLine, _: dict[str, object]) -> None:
        figures = line.statistics()
        fields = {name: getattr(figures, name) for name in figures.__slots__} if figures else None
        tell(line=number, event="statistics", figures=fields)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        endpoint = self.endpoint = Endpoint(self.settings, self.take)
        endpoint.start()

        def read() -> None:
            for text in sys.stdin:
                loop.call_soon_threadsafe(self.own, self.command(json.loads(text)))
            loop.call_soon_threadsafe(self.ended.set)

        threading.Thread(target=read, daemon=True).start()
        self.collections_before = gc.get_stats()[2]["collections"]
        tell(event="ready", sip_port=endpoint.sip_port, calls=endpoint.max_calls, in_place=endpoint.frames_in_place)
        await self.ended.wait()
        await endpoint.stop()
        tell(event="stopped")


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(Program(dict(argument.split("=", 1) for argument in sys.argv[1:])).run())

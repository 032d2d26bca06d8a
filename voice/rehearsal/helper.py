"""A helper process that answers requests, one after another, and is replaced when it dies.

espeak-ng is C code that is not re-entrant and under another licence, pocketsphinx holds the interpreter while it
listens: each runs as a process of its own, so that neither can stall or end the server. On its standard input and
output pass messages: length (u32, big endian), number (u32), content in MessagePack.
"""

import asyncio
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

import msgspec
import structlog

from voice.rehearsal.tasks import Tasks

log = structlog.get_logger()
T = TypeVar("T")

_FRAME = struct.Struct(">II")
_DEADLINE_SECONDS = 20.0
_ATTEMPTS = 2


class HelperError(OSError):
    """The helper refused the request, or could not be brought to answer it."""


class _Answer(msgspec.Struct, frozen=True):
    ok: bool
    content: bytes
    """The answer itself; the reason in UTF-8 when not ok."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Answer).decode


class Helper:
    """The parent's side. `module` is run with this interpreter, isolated (-I) and without our environment."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._next_number = 0
        self._tasks = Tasks()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The running process, if one runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Have the process running, so that the first request does not wait for it."""
        async with self._starting:
            if self.pid is not None or self._closed:
                return
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-W",
                "ignore::DeprecationWarning",
                "-m",
                self._module,
                stdin=pipe,
                stdout=pipe,
                env={},
            )
            self._tasks.start(self._read(self._process), f"answers of {self._module}")

    async def ask(self, request: Any) -> bytes:
        """The helper's answer. Asks a fresh process once more when the first one dies over it; else HelperError."""
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self._ask_once(_encode(request))
            except (ConnectionError, TimeoutError) as error:
                log.warning("helper_lost", module=self._module, attempt=attempt, error=type(error).__name__)
                self._kill()
                continue
            if not answer.ok:
                raise HelperError(answer.content.decode())
            return answer.content
        raise HelperError(f"{self._module} does not answer")

    async def _ask_once(self, content: bytes) -> _Answer:
        await self.start()
        process = self._process
        if self._closed or process is None or process.stdin is None:
            raise ConnectionResetError("the helper is closed")
        number, self._next_number = self._next_number, (self._next_number + 1) % (1 << 32)
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            process.stdin.write(_FRAME.pack(len(content), number) + content)
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await process.stdin.drain()
                return await future
        finally:
            self._waiting.pop(number, None)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        output = process.stdout
        with suppress(asyncio.IncompleteReadError):
            while output is not None:
                length, number = _FRAME.unpack(await output.readexactly(_FRAME.size))
                answer = _decode(await output.readexactly(length))
                # A request that was cancelled meanwhile is waited for by nobody.
                if (future := self._waiting.get(number)) is not None and not future.done():
                    future.set_result(answer)
        await process.wait()
        if process is self._process:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError(f"{self._module} has ended"))

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """End the process. It keeps nothing, so it is killed; without us it would end with its input."""
        self._closed = True
        self._kill()
        if self._process is not None:
            await self._process.wait()
        await self._tasks.close()


def serve(request_type: type[T], work: Callable[[T], bytes], requests: BinaryIO, answers: BinaryIO) -> None:
    """The helper's side: answer requests until the input ends. `work` raises ValueError for what it refuses."""
    decode = msgspec.msgpack.Decoder(request_type).decode
    while len(head := requests.read(_FRAME.size)) == _FRAME.size:
        length, number = _FRAME.unpack(head)
        content = requests.read(length)
        if len(content) < length:
            return
        try:
            answer = _Answer(ok=True, content=work(decode(content)))
        except ValueError as error:
            answer = _Answer(ok=False, content=str(error).encode())
        sealed = _encode(answer)
        answers.write(_FRAME.pack(len(sealed), number) + sealed)
        answers.flush()

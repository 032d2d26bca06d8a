"""How the command line, admin and supervisor ask the desk something: one connection, one question."""

import asyncio
from pathlib import Path

import msgspec

from voice.waist.messages import LENGTH, LONGEST_MESSAGE, AnyMessage, Envelope, decode_envelope, frame


class DeskUnreachableError(Exception):
    """There is no desk at the socket, we may not open it, or it did not answer in time."""


async def ask_desk(operators_socket: Path, question: AnyMessage, *, seconds: float = 10.0) -> AnyMessage:
    """The desk's answer to a question or order on its operators' socket.

    Raises:
        DeskUnreachableError: No answer can be had.
    """
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(operators_socket)
            try:
                writer.write(frame(Envelope(number=1, is_reply=False, body=question)))
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                if length > LONGEST_MESSAGE:
                    raise DeskUnreachableError("what answers is no desk")
                return decode_envelope(await reader.readexactly(length)).body
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
        raise DeskUnreachableError(type(error).__name__) from error

"""The operators' side of the desk: what the command line, the admin and the trunk list ask it."""

import asyncio
import os
import struct
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from voice.waist.messages import (
    LENGTH,
    LONGEST_MESSAGE,
    AnyMessage,
    DeskAwayError,
    Envelope,
    Message,
    decode_envelope,
    frame,
)

SOCKET: Final = "desk-operators.sock"
_PATIENCE_S: Final = 5.0

_Reply = TypeVar("_Reply", bound=Message)


async def ask(run_folder: Path, message: AnyMessage, reply: type[_Reply], *, seconds: float = _PATIENCE_S) -> _Reply:
    """Ask the desk of this home one thing.

    Raises:
        DeskAwayError: There is no desk, it does not answer in time, or it answers something else.
    """
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await connect(run_folder)
            try:
                writer.write(frame(Envelope(number=1, is_reply=False, body=message)))
                await writer.drain()
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                if length > LONGEST_MESSAGE:
                    raise DeskAwayError("The desk answers something else than a message. Is that an older server?")
                body = decode_envelope(await reader.readexactly(length)).body
            finally:
                writer.close()
    except (FileNotFoundError, ConnectionRefusedError):
        raise DeskAwayError(f"No server runs on {run_folder.parent}. Start one: scripts/serve") from None
    except PermissionError:
        raise DeskAwayError(f"The server on {run_folder.parent} belongs to another user. Ask as that user") from None
    except TimeoutError:
        raise DeskAwayError(f"The desk did not answer within {seconds:g} s. Its lines in the log say why") from None
    except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError, struct.error):
        raise DeskAwayError("The desk closed the connection. Its lines in the log say why") from None
    if not isinstance(body, reply):
        raise DeskAwayError(f"The desk answered {type(body).__name__} instead of {reply.__name__}")
    return body


async def connect(run_folder: Path, name: str = SOCKET) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect even where the path is longer than an address of a Unix socket may be (108 bytes, unix(7)).

    Raises:
        OSError: Nobody listens there.
    """
    folder = os.open(run_folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{name}")
    finally:
        os.close(folder)

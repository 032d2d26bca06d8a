"""The admin's way to the process of calls from browsers: one connection for each call."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from admin.browser_calls import Line, Moved, NotPlacedError
from scripts.operators import connect
from scripts.run_browser import SOCKET_NAME
from sip.browser.messages import Answered, CallMoved, CallWanted, Refused, decode_reply, encode

_ANSWER_S = 10.0
"""The process only has to open its sockets."""


@dataclass(frozen=True, slots=True)
class BrowserLine:
    """A call that was taken on."""

    answer: str
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def moved(self) -> Moved | None:
        """What happens next; None when nothing does any more."""
        try:
            line = await self._reader.readline()
            change = decode_reply(line) if line else None
        except (ConnectionError, ValueError, msgspec.MsgspecError):
            return None
        return Moved(change.state, change.status, change.reason) if isinstance(change, CallMoved) else None

    def hang_up(self) -> None:
        """End it, at whatever stage it is."""
        self._writer.close()


async def place(run_folder: Path, offer: str, called: str, sip_call_id: str, owner: str) -> Line:
    """Have a call taken on.

    Raises:
        NotPlacedError: It was not, and why.
    """
    try:
        reader, writer = await connect(run_folder, SOCKET_NAME)
    except OSError:
        raise NotPlacedError("away") from None
    try:
        async with asyncio.timeout(_ANSWER_S):
            wanted = CallWanted(offer=offer, called=called, sip_call_id=sip_call_id, owner=owner)
            writer.write(encode(wanted) + b"\n")
            reply = decode_reply(await reader.readline())
    except (TimeoutError, ConnectionError, ValueError, msgspec.MsgspecError):
        reply = None
    match reply:
        case Answered(answer=answer):
            return BrowserLine(answer, reader, writer)
        case Refused(why=why):
            writer.close()
            raise NotPlacedError(why)
        case _:
            writer.close()
            raise NotPlacedError("away")

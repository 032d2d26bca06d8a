"""Takes wishes for calls from the admin, on a Unix socket that only the server's own user may open."""

import asyncio
import socket
from collections import Counter
from typing import Final

import msgspec
import structlog

from sip.browser.call import BrowserCall
from sip.browser.messages import (
    LONGEST_LINE,
    Answered,
    BrowserMessage,
    CallMoved,
    CallWanted,
    Refused,
    decode_wish,
    encode,
)
from sip.browser.offer import BadOfferError, read_offer
from sip.browser.web import NoAddressError
from sip.settings import BrowserSettings

log = structlog.get_logger()

_ASKED_S: Final = 5.0
"""Within which a connection has to say what it wants."""


class BrowserService:
    """All calls of browsers. `run` serves until it is cancelled; `ready` is set once it listens."""

    def __init__(self, settings: BrowserSettings, listening: socket.socket) -> None:
        self._settings = settings
        self._listening = listening
        self._of_owner: Counter[str] = Counter()
        self._group: asyncio.TaskGroup | None = None
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled; then all calls end."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            server = await asyncio.start_unix_server(self._connected, sock=self._listening, limit=LONGEST_LINE)
            async with server:
                self.ready.set()
                await asyncio.get_running_loop().create_future()  # for ever: cancelled from outside

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._group is not None  # noqa: S101  # we serve only while it runs; tells the type checker
        task = self._group.create_task(self._serve(reader, writer), name="browser call")
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ASKED_S):
                wanted = decode_wish(await reader.readline())
        except (TimeoutError, ValueError, ConnectionError, msgspec.MsgspecError):
            log.warning("browser_wish_unreadable")
            return
        if self._of_owner[wanted.owner] >= self._settings.most_per_owner or (
            self._of_owner.total() >= self._settings.most_calls
        ):
            _say(writer, Refused(why="busy"))
            return
        self._of_owner[wanted.owner] += 1
        try:
            await self._carry(wanted, reader, writer)
        except Exception as error:  # noqa: BLE001 - one call's failure ends that call, not the others
            log.warning("browser_call_broke", error=type(error).__name__)
        finally:
            self._of_owner[wanted.owner] -= 1
            self._of_owner += Counter()  # forget those who have none

    async def _carry(self, wanted: CallWanted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call = BrowserCall(self._settings, read_offer(wanted.offer), wanted)
            answer = await call.answer()
        except BadOfferError as error:
            log.info("browser_offer_refused", reason=str(error))
            _say(writer, Refused(why="bad_offer"))
            return
        except NoAddressError:
            _say(writer, Refused(why="no_address"))
            return
        _say(writer, Answered(answer=answer))

        def moved(change: CallMoved) -> None:
            _say(writer, change)

        async with asyncio.TaskGroup() as group:
            carrying = group.create_task(call.run(moved), name="call")
            asked_to_end = group.create_task(reader.read(), name="admin")  # nothing more is said: it returns at the end
            await asyncio.wait({carrying, asked_to_end}, return_when=asyncio.FIRST_COMPLETED)
            carrying.cancel()
            asked_to_end.cancel()


def _say(writer: asyncio.StreamWriter, message: BrowserMessage) -> None:
    if not writer.is_closing():
        writer.write(encode(message) + b"\n")

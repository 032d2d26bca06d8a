"""One call of a browser, from its offer to its end."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from sip.browser.messages import CallMoved, CallWanted
from sip.browser.offer import Offer
from sip.browser.telephone import Telephone
from sip.browser.web import NotConnectedError, WebLine
from sip.settings import BrowserSettings

SILENT_S: Final = 5.0
"""A browser that sends no packet for so long has gone: it sends them all the time, whoever is silent."""
_LOOK_EVERY_S: Final = 0.5


class BrowserCall:
    """Both ends, and the sound that goes from one to the other."""

    def __init__(self, settings: BrowserSettings, offer: Offer, wanted: CallWanted) -> None:
        self._settings = settings
        self._telephone = Telephone(
            settings.edge_address, settings.media_host, called=wanted.called, sip_call_id=wanted.sip_call_id
        )
        self._web = WebLine(offer, self._telephone.say)

    async def answer(self) -> str:
        """The SDP for the browser. Raises `sip.browser.web.NoAddressError`."""
        return await self._web.answer(self._settings.addresses, self._settings.public_address)

    async def run(self, moved: Callable[[CallMoved], None]) -> None:
        """Carry the call to its end; whoever cancels this ends it."""
        try:
            await self._web.connect()
            await self._telephone.open()
            moved(CallMoved(state="connected"))
            ended = await self._talk(moved)
        except (NotConnectedError, OSError):
            ended = CallMoved(state="ended", reason="not_connected")
        finally:
            await self._telephone.hang_up()
            await self._web.close()
        moved(ended)

    async def _talk(self, moved: Callable[[CallMoved], None]) -> CallMoved:
        """Ring, and pass on sound until one side has gone; the last thing to be said of the call."""
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(self._browser_gone(), name="browser gone")
            ringing = group.create_task(self._telephone.ring(), name="ring")
            told = group.create_task(self._tell_ringing(moved), name="ringing")
            over = group.create_task(self._telephone.ended.wait(), name="over")
            passing = group.create_task(self._pass_on(), name="sound")
            try:
                await asyncio.wait({gone, ringing}, return_when=asyncio.FIRST_COMPLETED)
                if not ringing.done():
                    return CallMoved(state="ended", reason="browser_gone")
                outcome = ringing.result()
                if not outcome.is_up:
                    return CallMoved(state="ended", status=outcome.status, reason="refused")
                moved(CallMoved(state="up"))
                await asyncio.wait({gone, over, passing}, return_when=asyncio.FIRST_COMPLETED)
                return CallMoved(state="ended", reason="server" if over.done() else "browser_gone")
            finally:
                for task in (gone, ringing, told, over, passing):
                    task.cancel()

    async def _tell_ringing(self, moved: Callable[[CallMoved], None]) -> None:
        await self._telephone.ringing.wait()
        moved(CallMoved(state="ringing"))

    async def _pass_on(self) -> None:
        """What the telephone hears goes to the browser as it comes."""
        with contextlib.suppress(ConnectionError, OSError):
            while True:
                await self._web.say(await self._telephone.hear())

    async def _browser_gone(self) -> None:
        """Wait until the browser has said so, or says nothing at all any more."""
        since = time.monotonic()
        while not self._web.gone.is_set() and time.monotonic() - max(since, self._web.last_heard) < SILENT_S:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._web.gone.wait(), _LOOK_EVERY_S)

"""Keeps one call connected to its model: connects, and after a failure reconnects once, fast, or gives up.

A session that fails before it has answered is not followed by another: the caller has waited long enough.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog

from voice.call.model_connection import Event, ModelConnection, ModelRefusedError, Traffic
from voice.waist.plan import ModelTerms

log = structlog.get_logger()

Change = Literal["connected", "refused", "dropped", "error", "silent", "reconnected", "given_up"]

FIRST_PATIENCE_SECONDS = (4.0, 1.5)
"""For each try of the first connection, token included; the disclosure is playing meanwhile."""
RECONNECT_SECONDS = 1.5
"""For the one try after a failure: the caller hears nothing until it is over."""
MOST_RECONNECTS = 3
RECONNECTS_WITHIN_SECONDS = 60.0
"""A model that fails more often than this is no help to the caller."""


class ModelLink:
    """`run` connects and stays connected until it gives up or is cancelled."""

    def __init__(
        self,
        *,
        terms: ModelTerms,
        session: Event,
        ask_token: Callable[[float], Awaitable[str]],
        tls: ssl.SSLContext | None,
        heard: Callable[[Event], Awaitable[None]],
        came_up: Callable[[], None],
        went_down: Callable[[], None],
        changed: Callable[[Change, str | None], None],
        traffic: Traffic,
    ) -> None:
        """The callbacks, all on the loop's thread.

        `ask_token` gets the seconds there are and raises `ModelRefusedError` where there is no token. `heard` gets each
        event of the server; `changed` is for the journal. What is exchanged with the server is counted in `traffic`.
        """
        self._terms = terms
        self._session = session
        self._ask_token = ask_token
        self._tls = tls
        self._heard = heard
        self._came_up = came_up
        self._went_down = went_down
        self._changed = changed
        self._traffic = traffic
        self._connection: ModelConnection | None = None
        self._ailment: tuple[Change, str | None] | None = None
        self._reconnects: deque[float] = deque(maxlen=MOST_RECONNECTS)
        self._proven = True
        self.given_up = False
        """There will be no model any more in this call."""

    @property
    def up(self) -> bool:
        """Whether a session is there to talk to."""
        return self._connection is not None

    @property
    def appended_ms(self) -> int:
        """How much of the caller's voice this session has been sent."""
        return self._connection.appended_ms if self._connection else 0

    @property
    def proven(self) -> bool:
        """Whether this session has answered, or is the call's first. One that is not gets no second chance."""
        return self._proven

    def prove(self) -> None:
        """The session has answered."""
        self._proven = True

    def send(self, event: Event) -> None:
        """Write an event; nothing happens while there is no session."""
        if self._connection is not None:
            self._connection.send(event)

    def append(self, pcm: bytes) -> None:
        """Write a frame of the caller's voice; nothing happens while there is no session."""
        if self._connection is not None:
            self._connection.append(pcm)

    def fail(self, what: Change, code: str | None) -> None:
        """Something is wrong with this session: drop it and try another."""
        if self._connection is not None and self._ailment is None:
            self._ailment = (what, code)
            self._connection.abort()

    async def run(self) -> None:
        """Stay connected. Returns once there will be no model any more; `given_up` is set by then."""
        again = False
        while (connection := await self._reach(again=again)) is not None:
            try:
                await self._converse(connection, again=again)
            finally:
                self._connection = None
                connection.abort()
                if connection.dropped_frames:
                    self._changed("error", "caller_audio_dropped")
            what, code = self._ailment or ("dropped", connection.close_code)
            self._ailment = None
            self._changed(what, code)
            self._went_down()
            if not self._proven or self._failing():
                break
            again = True
            self._proven = False
        self.given_up = True
        self._changed("given_up", None)

    async def _reach(self, *, again: bool) -> ModelConnection | None:
        for patience in (RECONNECT_SECONDS,) if again else FIRST_PATIENCE_SECONDS:
            try:
                async with asyncio.timeout(patience):
                    return await ModelConnection.open(
                        url=self._terms.url,
                        model=self._terms.name,
                        token=await self._ask_token(patience),
                        tls=self._tls,
                        session=self._session,
                        traffic=self._traffic,
                    )
            except ModelRefusedError as refusal:
                self._changed("refused", refusal.code)
            except TimeoutError:
                self._changed("refused", "timeout")
        return None

    async def _converse(self, connection: ModelConnection, *, again: bool) -> None:
        self._connection = connection
        self._changed("reconnected" if again else "connected", None)
        self._came_up()
        async for event in connection.events():
            try:
                await self._heard(event)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                log.warning("model_event_unusable", type=event["type"], error=type(error).__name__)

    def _failing(self) -> bool:
        now = time.monotonic()
        full = len(self._reconnects) == MOST_RECONNECTS
        if full and now - self._reconnects[0] < RECONNECTS_WITHIN_SECONDS:
            return True
        self._reconnects.append(now)
        return False

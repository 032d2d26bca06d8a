"""Calls that are up: which there are, what is said in them while it is said, and what can be done to them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from admin.ask import Ask
from admin.event_stream import HEARTBEAT, EventStream, event
from admin.listening import Listener
from admin.live_feed import Change, DeskChanged, KnownCall, LiveFeed, TooSlowError, Viewer
from admin.problems import ConflictError, NotThereError
from store import sessions
from voice.waist.messages import (
    Done,
    HangUpOrdered,
    LiveCall,
    LiveCallChanged,
    LiveTurn,
    LiveTurnHeard,
    PauseOrdered,
    ResumeOrdered,
    TransferOrdered,
)

_ORDER_S: Final = 10.0
_TRANSFER_S: Final = 45.0
"""The desk waits 40 s for the other telephone."""

Wanted = Callable[[KnownCall], bool]
"""Of which calls somebody is told."""


class CallThatIsUp(msgspec.Struct, frozen=True, kw_only=True):
    """A call, from its plan to its end."""

    session_id: UUID
    project_id: UUID
    state: str
    """Such as "disclosing", "conversing", "paused" or "closing"; "ended" is the last thing told of a call."""
    since: datetime
    turns: int
    """How many have been spoken."""


class CallsThatAreUp(msgspec.Struct, frozen=True, kw_only=True):
    """The calls that are up on this machine, oldest first; there are never so many that they come in pages."""

    items: tuple[CallThatIsUp, ...]
    next_cursor: None = None


class TransferWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to."""

    target_id: Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")]
    """Id of a transfer target of the call's scenario."""


async def list_live(ask: Ask) -> CallsThatAreUp:
    """List the calls that are up."""
    return CallsThatAreUp(items=tuple(shown(known.call) for known in calls_of(ask)))


async def live_events(ask: Ask) -> web.StreamResponse:
    """Follow all calls as server-sent events: `desk`, `call` and `turn`.

    `desk` comes first, and again whenever what was known before is void: it names the calls that are up. Turns come
    only with transcripts:read, and as the project lets whoever asks see them. The stream ends after a minute; browsers
    come back by themselves.
    """
    return await follow(ask, lambda known: _is_in(known, ask.projects))


async def session_events(ask: Ask, session_id: UUID) -> web.StreamResponse:
    """Follow one call as server-sent events; the stream ends with the call."""
    known = await call_that_is_up(ask, session_id)
    return await follow(ask, lambda other: other.session_id == session_id, until=known)


async def hang_up(ask: Ask, session_id: UUID) -> None:
    """End a call."""
    known = await call_that_is_up(ask, session_id)
    await _order(ask, HangUpOrdered(session_id=known.call.session_id, ordered_by=ask.actor))


async def transfer(ask: Ask, session_id: UUID, body: TransferWanted) -> None:
    """Send the caller to one of the scenario's transfer targets; answered once it is known whether somebody took it."""
    known = await call_that_is_up(ask, session_id)
    order = TransferOrdered(session_id=known.call.session_id, target_id=body.target_id, ordered_by=ask.actor)
    await _order(ask, order, _TRANSFER_S)


async def pause(ask: Ask, session_id: UUID) -> None:
    """Stop recording, transcript and the model's ear together."""
    known = await call_that_is_up(ask, session_id)
    await _order(ask, PauseOrdered(session_id=known.call.session_id, by=_by(ask), ordered_by=ask.actor))


async def resume(ask: Ask, session_id: UUID) -> None:
    """Let recording, transcript and the model's ear go on."""
    known = await call_that_is_up(ask, session_id)
    await _order(ask, ResumeOrdered(session_id=known.call.session_id, by=_by(ask), ordered_by=ask.actor))


# --- what pages use, too ---------------------------------------------------------------------------------------------


def calls_of(ask: Ask) -> list[KnownCall]:
    """The calls that are up and may be seen, oldest first; none where no desk is."""
    feed = ask.services.live
    return [] if feed is None else [known for known in feed.of_tenant(ask.tenant_id) if _is_in(known, ask.projects)]


async def call_that_is_up(ask: Ask, session_id: UUID) -> KnownCall:
    """The call.

    Raises:
        ProblemError: 404 where there is no such call, 403 where the scope is granted elsewhere, 409 where it is over.
    """
    known = None if ask.services.live is None else ask.services.live.find(session_id)
    if known is not None and known.tenant_id == ask.tenant_id:
        ask.check(known.project_id)
        return known
    async with ask.store() as store:
        found = await sessions.project_of(store, session_id)
    if found is None:
        raise NotThereError
    ask.check(found)
    raise ConflictError(
        "The call is not up on this machine.", remedy="Look at GET /api/v1/live; a call that is over cannot be changed"
    )


def shown(call: LiveCall) -> CallThatIsUp:
    """A call for whoever may see it."""
    return CallThatIsUp(
        session_id=UUID(call.session_id),
        project_id=UUID(call.project_id),
        state=call.state,
        since=datetime.fromtimestamp(call.since_unix, UTC),
        turns=call.turns,
    )


async def follow(ask: Ask, wanted: Wanted, *, until: KnownCall | None = None) -> web.StreamResponse:
    """Stream what happens to the calls that are wanted; `until` this one has ended, where one is named."""
    feed = feed_of(ask)
    listener = Listener(ask)
    stream = await EventStream.begin(ask)
    with feed.watched_by(ask.tenant_id) as viewer:
        try:
            await stream.write(await snapshot(feed, ask.tenant_id, wanted, listener))
            while (seconds := await stream.seconds()) and (until is None or feed.find(until.session_id) is not None):
                await stream.write(await news(feed, viewer, wanted, listener, seconds))
        except TooSlowError:
            stream.cut_off()
        except ConnectionError:
            pass  # the browser has gone
    return stream.response


def feed_of(ask: Ask) -> LiveFeed:
    """What the desk tells. Raises `ConflictError` where this machine has none."""
    if ask.services.live is None:
        raise ConflictError(
            "No calls are taken on this machine.", remedy="Ask the server of a machine that runs with the role calls"
        )
    return ask.services.live


async def snapshot(feed: LiveFeed, tenant_id: UUID, wanted: Wanted, listener: Listener) -> bytes:
    """All that is known of the calls that are wanted, as events."""
    up = [known for known in feed.of_tenant(tenant_id) if wanted(known)]
    told = [event("desk", {"is_up": feed.is_up, "session_ids": [known.call.session_id for known in up]})]
    for known in up:
        told.append(event("call", shown(known.call)))
        for number, turn in tuple(known.turns.items()):
            told.append(await _turn(known, number, turn, listener, is_whole=known.is_whole(number)))
    return b"".join(told)


async def news(feed: LiveFeed, viewer: Viewer, wanted: Wanted, listener: Listener, seconds: float) -> bytes:
    """What happens within so many seconds, as events; a heartbeat where nothing does. Raises `TooSlowError`."""
    told = b""
    for known, change in await viewer.take(seconds):
        if known is None:
            told += await snapshot(feed, viewer.tenant_id, wanted, listener)
        elif wanted(known):
            told += await _told(known, change, listener)
    return told or HEARTBEAT


async def _told(known: KnownCall, change: Change, listener: Listener) -> bytes:
    match change:
        case LiveCallChanged(call=call):
            return event("call", shown(call))
        case LiveTurnHeard(number=number, turn=turn, is_whole=is_whole):
            return await _turn(known, number, turn, listener, is_whole=is_whole)
        case DeskChanged():
            return b""


async def _turn(known: KnownCall, number: int, turn: LiveTurn, listener: Listener, *, is_whole: bool) -> bytes:
    text = await listener.reads(known, turn, is_whole=is_whole)
    if text is None:
        return b""
    content = {"session_id": known.call.session_id, "number": number, "role": turn.role, "text": text}
    return event("turn", {**content, "is_whole": is_whole})


def _is_in(known: KnownCall, projects: Iterable[UUID] | None) -> bool:
    return projects is None or known.project_id in projects


def _by(ask: Ask) -> str:
    return f"{ask.actor.kind} {ask.actor.id}"


async def _order(
    ask: Ask, order: HangUpOrdered | TransferOrdered | PauseOrdered | ResumeOrdered, seconds: float = _ORDER_S
) -> None:
    done = await ask.services.ask_desk(order, Done, seconds=seconds)
    if not done.ok:
        raise ConflictError(f"Not done: {done.why}.", remedy="Look at the call's state in GET /api/v1/live")

"""A call from the browser: WebRTC to this server, which rings one of the tenant's own numbers like a telephone."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from admin.api.live import feed_of, news, snapshot
from admin.ask import Ask
from admin.browser_calls import BrowserCall, BrowserCalls, NotPlacedError
from admin.event_stream import EventStream, event
from admin.listening import Listener
from admin.live_feed import KnownCall, TooSlowError
from admin.problems import BadRequestError, ConflictError, NotThereError, ProblemError
from policies.audit_tags import Tag
from store import numbers
from store.audit.log import record


class BrowserCallWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ring, and the browser's offer."""

    called: Annotated[str, Meta(min_length=1, max_length=128)]
    """One of the tenant's numbers, as it is listed."""
    offer: Annotated[str, Meta(min_length=1, max_length=32_768)]
    """SDP of one audio stream that speaks PCMU; candidates in it are not used."""


class BrowserCallBegun(msgspec.Struct, frozen=True, kw_only=True):
    """The call, which rings as soon as the browser has connected."""

    id: UUID
    answer: str
    """SDP."""


class BrowserCallState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a call is."""

    state: Literal["connecting", "connected", "ringing", "up", "ended"]
    status: int
    """Of "ended": the SIP status where the call was not answered, else 0."""
    reason: str
    """Of "ended"."""
    session_id: UUID | None
    """Once the call is up."""


async def begin_browser_call(ask: Ask, body: BrowserCallWanted) -> BrowserCallBegun:
    """Ring one of the tenant's numbers from a browser. The call ends when nobody follows its events any more."""
    calls = _calls(ask)
    async with ask.store() as store:
        found = next((number for number in await numbers.all_numbers(store) if number.called == body.called), None)
        if found is None:
            raise BadRequestError(
                "This is none of the tenant's numbers.", field="called", remedy="Take one from GET /api/v1/numbers"
            )
        ask.check(found.project_id)
        await record(
            store,
            ask.actor,
            Tag.CALL_PLACED_FROM_BROWSER,
            objects={"project": str(found.project_id), "number": str(found.id)},
        )
    try:
        call = await calls.begin(body.offer, called=found.called, tenant_id=ask.tenant_id, actor=ask.actor)
    except NotPlacedError as error:
        raise _problem(error) from None
    return BrowserCallBegun(id=call.id, answer=call.line.answer)


async def browser_call_events(ask: Ask, call_id: UUID) -> web.StreamResponse:
    """Follow one's own call as server-sent events: `state`, and `desk`, `call` and `turn` as of live calls."""
    call, feed = _own(ask, call_id), feed_of(ask)
    listener = Listener(ask)
    stream = await EventStream.begin(ask)

    def wanted(known: KnownCall) -> bool:
        return known.call.sip_call_id == call.sip_call_id

    with feed.watched_by(ask.tenant_id) as viewer, call.followed_by(viewer):
        try:
            await stream.write(await snapshot(feed, ask.tenant_id, wanted, listener))
            told: BrowserCallState | None = None
            while (seconds := await stream.seconds()) and (told is None or told.state != "ended"):
                if (now := _state(call, feed.of_line(call.sip_call_id))) != told:
                    told = now
                    await stream.write(event("state", now))
                else:
                    await stream.write(await news(feed, viewer, wanted, listener, seconds))
        except TooSlowError:
            stream.cut_off()
        except ConnectionError:
            pass  # the browser has gone
    return stream.response


async def end_browser_call(ask: Ask, call_id: UUID) -> None:
    """Hang up one's own call."""
    _own(ask, call_id).line.hang_up()


def _calls(ask: Ask) -> BrowserCalls:
    if ask.services.browser_calls is None:
        raise ConflictError(
            "This machine takes no calls from browsers.",
            remedy="Ask a server that runs with the role calls, with an IPv4 address in AITELIER_SIP_BIND",
        )
    return ask.services.browser_calls


def _own(ask: Ask, call_id: UUID) -> BrowserCall:
    call = _calls(ask).find(call_id, tenant_id=ask.tenant_id, actor=ask.actor)
    if call is None:
        raise NotThereError
    return call


def _state(call: BrowserCall, known: KnownCall | None) -> BrowserCallState:
    """How far it is; which session it is, is remembered when it is over."""
    if known is not None:
        call.session_id = known.session_id
    return BrowserCallState(
        state=call.now.state, status=call.now.status, reason=call.now.reason, session_id=call.session_id
    )


def _problem(error: NotPlacedError) -> ProblemError:
    match error.why:
        case "bad_offer":
            return BadRequestError(
                "This is no offer of one audio stream over DTLS-SRTP that speaks PCMU.",
                field="offer",
                remedy="Make it with a current browser",
            )
        case "busy":
            return ConflictError(
                "As many calls from browsers are up as may be at once.", remedy="End one, or wait for one to end"
            )
        case "no_address":
            return ConflictError(
                "This machine has no address that a browser could send sound to.", remedy="Look at AITELIER_ADMIN_BIND"
            )
        case "away":
            return ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The part of the server that takes calls from browsers does not answer.",
                remedy="Try again soon; its lines in the log say why",
            )

"""Live: the calls that are up, with what is said in them while it is said, and what can be done to them."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api import live as api
from admin.api.live import CallThatIsUp, TransferWanted
from admin.ask import Ask
from admin.forms import form_of
from admin.listening import Listener
from admin.live_feed import KnownCall
from admin.pages.render import go_to, page, part
from admin.problems import BadRequestError, ConflictError, NotThereError
from policies.access import Scope
from store import projects, scenarios, sessions
from store.scenarios import TransferTarget
from voice.waist.messages import LiveTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One call as it stands on the page."""

    call: CallThatIsUp
    called: str
    caller: str | None
    trunk: str
    project: str
    scenario: str
    turns: Sequence[tuple[int, LiveTurn]]
    """Whole ones, as far as they may be read, with their numbers."""
    targets: Sequence[TransferTarget]
    may_change: bool


async def live(ask: Ask) -> web.Response:
    """The page."""
    feed = ask.services.live
    cards = await _cards(ask, api.calls_of(ask))
    return page(ask, "live.html", cards=cards, has_desk=feed is not None, is_up=feed is not None and feed.is_up)


async def card(ask: Ask) -> web.Response:
    """One call, for a page that learns of it."""
    found = await _cards(ask, [await api.call_that_is_up(ask, session_in(ask))])
    if not found:
        raise NotThereError
    return part(ask, "live_card.html", card=found[0])


async def hang_up(ask: Ask) -> web.Response:
    """End the call."""
    return await _done(ask, api.hang_up(ask, session_in(ask)), "The call is being ended.")


async def transfer(ask: Ask) -> web.Response:
    """Send the caller on."""
    try:
        wanted = msgspec.convert({"target_id": (await form_of(ask.request)).get("target_id", "")}, TransferWanted)
    except msgspec.ValidationError:
        raise BadRequestError("No such place to transfer to.", field="target_id") from None
    return await _done(ask, api.transfer(ask, session_in(ask), wanted), "The caller was transferred.")


async def pause(ask: Ask) -> web.Response:
    """Let recording, transcript and model rest."""
    return await _done(ask, api.pause(ask, session_in(ask)), "Recording, transcript and model stand still.")


async def resume(ask: Ask) -> web.Response:
    """Let them go on."""
    return await _done(ask, api.resume(ask, session_in(ask)), "Recording, transcript and model go on.")


def session_in(ask: Ask) -> UUID:
    """The call in the path. Raises `NotThereError`."""
    try:
        return UUID(ask.request.match_info["session_id"])
    except ValueError:
        raise NotThereError from None


async def _done(ask: Ask, order: Awaitable[None], notice: str) -> web.Response:
    """Carry it out and go back to the page, which says what came of it."""
    try:
        await order
    except ConflictError as error:
        notice = error.problem.detail
    return go_to(ask.request, f"/t/{ask.tenant_id}/live", notice)


async def _cards(ask: Ask, up: Sequence[KnownCall]) -> list[Card]:
    """What is known of these calls, oldest first; who called is in the log of whoever looks where it has to be."""
    listener = Listener(ask)
    said = {known.session_id: await _said(listener, known) for known in up}
    cards: list[Card] = []
    async with ask.store() as store:
        found = await sessions.find_sessions(store, list(said), actor=ask.actor)
        of_id = {session.id: session for session in found}
        names = {project.id: project.name for project in await projects.all_projects(store)} if found else {}
        contents = {
            version: await scenarios.content_of(store, *version)
            for version in {(session.scenario_id, session.scenario_version) for session in found}
        }
        for known in up:
            session = of_id.get(known.session_id)
            if session is None:
                continue
            content = contents[session.scenario_id, session.scenario_version]
            cards.append(
                Card(
                    call=api.shown(known.call),
                    called=session.called,
                    caller=session.caller,
                    trunk=session.trunk,
                    project=names.get(session.project_id, ""),
                    scenario=content.name,
                    turns=said[known.session_id],
                    targets=content.transfers,
                    may_change=ask.may(Scope.SESSIONS_WRITE, session.project_id),
                )
            )
    return cards


async def _said(listener: Listener, known: KnownCall) -> list[tuple[int, LiveTurn]]:
    said: list[tuple[int, LiveTurn]] = []
    for number, turn in tuple(known.turns.items()):
        if known.is_whole(number) and (text := await listener.reads(known, turn, is_whole=True)) is not None:
            said.append((number, LiveTurn(role=turn.role, text=text)))
    return said

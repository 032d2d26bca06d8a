"""Call: everything that is known about one, on one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from admin.api import session_content
from admin.api.session_content import CallEvent, MeasuredWait, Transcript
from admin.api.sessions import Session, get_session
from admin.ask import Ask
from admin.pages.names import names_for
from admin.pages.queries import id_in
from admin.pages.render import page
from policies.access import Scope
from store import recordings
from store.recordings import SAMPLES_PER_SECOND
from store.scope import TenantStore
from store.visibility import visibility_of

_WAITS: Final = {
    "plan_granted": "Decided how to answer",
    "model_connected": "Model connected",
    "answer_to_first_audio": "Answer to first sound",
    "caller_stopped_to_agent_audio": "Reply",
}
_SETTING_UP: Final = frozenset({"plan_granted", "model_connected", "answer_to_first_audio"})
_ELSEWHERE: Final = frozenset({"sip_message_seen", "tool_called", "latency_measured", "line_measured"})
"""Kinds that have a place of their own on the page."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A wait as it is drawn: from where to where, in percent of the whole width."""

    label: str
    took_ms: float
    start: float
    width: float


async def show(ask: Ask) -> web.Response:
    """The page."""
    async with ask.in_one_transaction():
        return await _page(ask)


async def _page(ask: Ask) -> web.Response:
    session_id = id_in(ask.request, "session_id")
    call = await get_session(ask, session_id)
    hears = ask.may(Scope.RECORDINGS_READ, call.project_id)
    async with ask.store() as store:
        transcript = await _transcript(ask, store, call)
        consent = await session_content.consent_of(store, session_id)
        timeline = await session_content.timeline_of(ask, store, session_id)
        metrics = await session_content.metrics_of(store, session_id)
        sound = await recordings.find(store, session_id)
        hears &= await visibility_of(store, session_id, ask.listener) == "all"
    address = f"/api/v1/sessions/{session_id}/recording"
    tenant = f"tenant_id={ask.tenant_id}"
    return page(
        ask,
        "call.html",
        call=call,
        names=await names_for(ask),
        transcript=transcript,
        consent=consent.items,
        readings=await session_content.list_readings(ask, session_id) if ask.may(Scope.AUDIT_READ) else None,
        metrics=metrics,
        setting_up=_one_after_another([one for one in metrics.waits if one.what in _SETTING_UP]),
        replies=_side_by_side([one for one in metrics.waits if one.what not in _SETTING_UP]),
        ladder=[event for event in timeline.items if event.kind == "sip_message_seen"],
        tools=[event for event in timeline.items if event.kind == "tool_called"],
        events=[event for event in timeline.items if event.kind not in _ELSEWHERE],
        told=told,
        hears=hears,
        sound=sound if hears and call.readable else None,
        sound_from_ms=0 if sound is None else sound.starts_at_sample * 1000 // SAMPLES_PER_SECOND,
        sound_url=f"{address}?{tenant}",
        download_url=f"{address}?{tenant}&download=true",
        wave_url=f"{address}/wave?{tenant}",
        may_erase=ask.may(Scope.SESSIONS_DELETE, call.project_id),
    )


def told(event: CallEvent) -> str:
    """What an event says besides its name, in a line."""
    said: Mapping[str, Any] = {**event.facts, **event.personal}
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in said.items() if value not in (None, ""))


async def _transcript(ask: Ask, store: TenantStore, call: Session) -> Transcript | None:
    """What was said, as far as whoever asks may read it; None where they may not, or nobody can any more."""
    if not call.readable or not ask.may(Scope.TRANSCRIPTS_READ, call.project_id):
        return None
    return await session_content.transcript_of(ask, store, call.id)


def _one_after_another(waits: Sequence[MeasuredWait]) -> Sequence[Bar]:
    """Each where it was on the way from the call's arrival to its first sound."""
    whole = max((one.at_ms for one in waits), default=0) or 1
    return [
        Bar(
            _WAITS[one.what],
            one.took_ms,
            round(100 * max(0.0, one.at_ms - one.took_ms) / whole, 1),
            max(1.0, round(100 * min(one.took_ms, one.at_ms) / whole, 1)),
        )
        for one in sorted(waits, key=lambda one: one.at_ms - one.took_ms)
    ]


def _side_by_side(waits: Sequence[MeasuredWait]) -> Sequence[Bar]:
    """Each as long as it took, beside the longest."""
    longest = max((one.took_ms for one in waits), default=0) or 1
    return [
        Bar(
            f"{_WAITS.get(one.what, one.what)} {number}",
            one.took_ms,
            0.0,
            max(1.0, round(100 * one.took_ms / longest, 1)),
        )
        for number, one in enumerate(waits, 1)
    ]

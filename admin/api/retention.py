"""How long a project keeps its calls, and what a change of that would take."""

from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.ask import Ask
from admin.problems import BadRequestError, NotThereError
from policies.retention import Wishes, cap_on_recordings, may_set
from policies.verdict import Deny
from store import projects
from store.erasure import expiry
from store.erasure.expiry import RetentionRefusedError
from store.projects import Project

Days = Annotated[int, Meta(ge=0, le=36_500)]
Basis = Annotated[str, Meta(max_length=500)]


class LegalCap(msgspec.Struct, frozen=True, kw_only=True):
    """The longest that recordings may be kept where the business sits."""

    days: int
    firm: bool
    """Whether it holds even with a legal basis for more."""
    statute: str


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long a project keeps what."""

    project_id: UUID
    recording_days: int
    """0: nothing is ever recorded."""
    transcript_days: int
    """Transcripts and all other session data; 0: nothing is ever written down."""
    legal_basis: str | None
    """The law that asks this business for more than a year."""
    cap: LegalCap


class RetentionWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a project is to keep what."""

    recording_days: Days
    transcript_days: Days
    legal_basis: Basis | None = None


class RetentionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What the next nightly run would take under these rules."""

    on: date
    allowed: bool
    reason: str | None
    """Why the law does not allow it."""
    recordings: int
    calls: int
    """Calls that would lose their words, or go altogether. None that a legal hold is on is counted."""
    recordings_anyway: int
    calls_anyway: int
    """The same under the rules of now."""


async def get_retention(ask: Ask, project_id: UUID) -> Retention:
    """Show how long a project keeps what, and the law's limit."""
    return retention_of(await _project(ask, project_id), ask.now.date())


async def preview_retention(ask: Ask, project_id: UUID, query: RetentionWanted) -> RetentionPreview:
    """Show what a change of retention would delete tomorrow, before it is made."""
    project = await _project(ask, project_id)
    tomorrow = ask.now + timedelta(days=1)
    wanted = _wishes(project, query)
    async with ask.store() as store:
        then = await expiry.preview(store, project_id, wanted, tomorrow)
        anyway = await expiry.preview(store, project_id, None, tomorrow)
    verdict = may_set(wanted, ask.now.date())
    return RetentionPreview(
        on=tomorrow.date(),
        allowed=bool(verdict),
        reason=verdict.reason if isinstance(verdict, Deny) else None,
        recordings=then.recordings,
        calls=then.sessions,
        recordings_anyway=anyway.recordings,
        calls_anyway=anyway.sessions,
    )


async def set_retention(ask: Ask, project_id: UUID, body: RetentionWanted) -> Retention:
    """Keep a project's calls so long from now on. What is over its time goes with the next nightly run."""
    project = await _project(ask, project_id)
    try:
        async with ask.store() as store:
            await expiry.set_retention(store, project_id, _wishes(project, body), actor=ask.actor)
    except RetentionRefusedError as error:
        longer = body.recording_days > cap_on_recordings(project.jurisdiction, ask.now.date()).days
        raise BadRequestError(str(error), field="recording_days" if longer else "transcript_days") from None
    return await get_retention(ask, project_id)


def retention_of(project: Project, on: date) -> Retention:
    """How long this project keeps what."""
    cap = cap_on_recordings(project.jurisdiction, on)
    return Retention(
        project_id=project.id,
        recording_days=project.recording_days,
        transcript_days=project.transcript_days,
        legal_basis=project.retention_basis,
        cap=LegalCap(days=cap.days, firm=cap.firm, statute=cap.statute),
    )


async def _project(ask: Ask, project_id: UUID) -> Project:
    ask.check(project_id)
    async with ask.store() as store:
        project = await projects.find(store, project_id)
    if project is None:
        raise NotThereError
    return project


def _wishes(project: Project, wanted: RetentionWanted) -> Wishes:
    return Wishes(
        jurisdiction=project.jurisdiction,
        recording_days=wanted.recording_days,
        transcript_days=wanted.transcript_days,
        legal_basis=(wanted.legal_basis or "").strip() or None,
    )

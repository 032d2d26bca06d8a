"""What callers are told first, why the law wants it so, and how it sounds."""

import audioop
import io
import wave
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from admin.api.scenarios import Which, content_of, summary_of
from admin.ask import Ask
from admin.problems import NotThereError, ProblemError
from policies.disclosure import DisclosureDecision, decide
from policies.languages import LANGUAGES, nearest_language
from policies.numbers import parse_number
from policies.opening import opening, says_ai
from policies.verdict import Deny
from policies.wordings import fill, wording
from store import numbers, projects
from store.opening import language_of, opening_of, wishes_of
from store.projects import Project
from store.scenarios import Scenario
from store.scope import TenantStore
from voice.waist.messages import SpeechRendered, SpeechWanted

_SPEAKING_S = 20.0
_SAMPLES_PER_SECOND = 8_000
_MOST_NUMBERS = 20
Said = Literal["disclosure", "disclosure_recorded", "disclosure_asking", "consent_question"]
"""Which sentence: that an AI speaks; and that the call is recorded; or only with consent; and the question for that."""
_ANNOUNCED = {
    "disclosure": (False, False),
    "disclosure_recorded": (True, False),
    "disclosure_asking": (True, True),
}
"""Whether the recording is announced, and whether consent is asked for."""


Caller = Literal["same_place", "withheld"]


class LawRow(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of one place that decided. A fact for engineers, no legal advice."""

    jurisdiction: str
    rule: str
    statute: str
    source: str
    confidence: str
    checked_on: str


class DisclosureCase(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when a caller of one kind dials one number."""

    called: str
    """Empty where the scenario answers no number yet."""
    caller: Caller
    """From where the called number is, or with a number that says nothing: then the strictest rule holds."""
    jurisdictions: tuple[str, ...]
    """Considered: the project's first, then the number's and the caller's. The strictest decides."""
    discloses_ai: bool
    ai_disclosure_required: bool
    announces_recording: bool
    asks_consent: bool
    reasons: tuple[str, ...]
    laws: tuple[LawRow, ...]
    says: str
    """The first sentence."""
    says_own_words: bool
    """The scenario's own; false where they may not stand, or there are none."""


class WordingShown(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence in one language."""

    said: Said
    language: str
    text: str
    is_own: bool


class DisclosureReport(msgspec.Struct, frozen=True, kw_only=True):
    """The law's verdict on one wording of a scenario, and its words."""

    of: str
    language: str
    """Of its calls, BCP 47."""
    own_words_say_ai: bool | None
    """Whether the scenario's own disclosure says that an AI speaks; null without one. One that does not is not used."""
    cases: tuple[DisclosureCase, ...]
    wordings: tuple[WordingShown, ...]
    """In the scenario's own language first, then ours in every other one."""


class DisclosureQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which wording."""

    of: Which = "published"


class SpeechQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sentence, of which wording, in which language."""

    of: Which = "published"
    said: Said = "disclosure"
    language: Annotated[str, Meta(pattern="^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    """BCP 47; left out: the scenario's own."""


async def get_disclosure(ask: Ask, scenario_id: UUID, query: DisclosureQuery) -> DisclosureReport:
    """Say what callers are told and asked first, for each number of the scenario, and which law wants it so."""
    async with ask.store() as store:
        found = await summary_of(ask, store, scenario_id)
        project = await _project(store, found.project_id)
        content = await content_of(store, scenario_id, query.of)
        answered = await numbers.list_numbers(store, scenario_id=scenario_id, limit=_MOST_NUMBERS)
    own = content.consent.disclosure
    return DisclosureReport(
        of=query.of,
        language=language_of(content, project),
        own_words_say_ai=None if own is None else says_ai(own),
        cases=tuple(
            _case(content, project, called, caller)
            for called in [number.called for number in answered] or [""]
            for caller in _callers(called)
        ),
        wordings=tuple(
            _wording(content, project, said, language)
            for language in _languages(content, project)
            for said in ("disclosure", "disclosure_recorded", "disclosure_asking", "consent_question")
        ),
    )


async def get_speech(ask: Ask, scenario_id: UUID, query: SpeechQuery) -> web.StreamResponse:
    """Hear a sentence as callers hear it: WAV, 16-bit, 8 kHz."""
    async with ask.store() as store:
        found = await summary_of(ask, store, scenario_id)
        project = await _project(store, found.project_id)
        content = await content_of(store, scenario_id, query.of)
    shown = _wording(content, project, query.said, query.language or language_of(content, project))
    spoken = await ask.services.ask_desk(
        SpeechWanted(
            tenant_id=str(ask.tenant_id),
            project_id=str(project.id),
            text=shown.text,
            language=shown.language,
            voice=content.model.voice or "",
        ),
        SpeechRendered,
        seconds=_SPEAKING_S,
    )
    if not spoken.audio:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "No voice can say this now.",
            remedy="Try again soon; /readyz says which part is away",
        )
    return web.Response(body=_wav(spoken.audio), content_type="audio/wav", headers={"Cache-Control": "no-store"})


async def _project(store: TenantStore, project_id: UUID) -> Project:
    found = await projects.find(store, project_id)
    if found is None:
        raise NotThereError
    return found


def _callers(called: str) -> tuple[Caller, ...]:
    """A name is dialled from nowhere in particular."""
    return ("withheld",) if parse_number(called) is None else ("same_place", "withheld")


def _case(content: Scenario, project: Project, called: str, caller: Caller) -> DisclosureCase:
    decision = decide(
        project_jurisdiction=project.jurisdiction,
        called=called,
        caller=called if caller == "same_place" else None,
        wishes=wishes_of(content, project),
        on_date=datetime.now(UTC).date(),
    )
    first = opening_of(content, project, decision)
    return DisclosureCase(
        called=called,
        caller=caller,
        jurisdictions=decision.candidates,
        discloses_ai=decision.disclose_ai,
        ai_disclosure_required=isinstance(decision.disclosure_off, Deny),
        announces_recording=decision.announce_recording,
        asks_consent=decision.ask_consent,
        reasons=decision.reasons,
        laws=_laws(decision),
        says=first.text,
        says_own_words=first.is_own,
    )


def _laws(decision: DisclosureDecision) -> tuple[LawRow, ...]:
    return tuple(
        LawRow(
            jurisdiction=row.jurisdiction,
            rule=row.rule.value,
            statute=row.statute,
            source=row.source,
            confidence=row.confidence.value,
            checked_on=row.checked_on.isoformat(),
        )
        for row in decision.rows
    )


def _languages(content: Scenario, project: Project) -> tuple[str, ...]:
    own = language_of(content, project)
    return (own, *(language for language in LANGUAGES if language != nearest_language(own)))


def _wording(content: Scenario, project: Project, said: Said, language: str) -> WordingShown:
    """The scenario's own words in its own language; in any other, what would be said if it spoke that."""
    is_at_home = language == language_of(content, project)
    business = project.business_name
    if said == "consent_question":
        own = content.consent.question if is_at_home else None
        text = fill(own, business=business) if own else wording("consent_question", language, business=business)
        spoken = language if own else nearest_language(language)
        return WordingShown(said=said, language=spoken, text=text, is_own=own is not None)
    announced, asked = _ANNOUNCED[said]
    first = opening(
        own=content.consent.disclosure if is_at_home else None,
        language=language,
        business=business,
        disclose_ai=True,
        announce_recording=announced,
        ask_consent=asked,
    )
    return WordingShown(said=said, language=first.language, text=first.text, is_own=first.is_own)


def _wav(mu_law: bytes) -> bytes:
    """A file that every browser plays."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLES_PER_SECOND)
        file.writeframes(audioop.ulaw2lin(mu_law, 2))
    return made.getvalue()

"""Turns a scenario, a project and a caller into the plan of one call. Decides nothing that needs a database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeVar
from uuid import UUID

import msgspec

from policies.disclosure import DisclosureDecision, decide
from store.answering import Route
from store.opening import wishes_of
from store.scenarios import Scenario
from store.sessions import OpenedSession
from voice.desk.clips import Sentence
from voice.desk.sentences import Sentences
from voice.desk.settings import ModelEndpoint
from voice.desk.toolbox import Toolbox
from voice.waist.plan import (
    CallPlan,
    Clip,
    Clips,
    ConsentTerms,
    FallbackTerms,
    Limits,
    ModelTerms,
    RecordingTerms,
    TransferTarget,
)

T = TypeVar("T")

OWN_TOOLS = ("hang_up", "transfer", "take_message", "send_dtmf")
"""Run by the call itself, not by the desk."""


@dataclass(frozen=True)
class Draft:
    """One call on its way to a plan."""

    where: Route
    content: Scenario
    called: str
    caller: str | None
    """None when withheld, and for a spare plan: nobody knows whom that will answer, so the strictest rules hold."""
    on: date
    """Day of the call, UTC."""

    @cached_property
    def sentences(self) -> Sentences:
        """What may have to be said."""
        return Sentences(self.where.project, self.content)

    @cached_property
    def decision(self) -> DisclosureDecision:
        """What the caller is told and asked, and whether the call may be recorded."""
        return decide(
            project_jurisdiction=self.where.project.jurisdiction,
            called=self.called,
            caller=self.caller,
            wishes=wishes_of(self.content, self.where.project),
            on_date=self.on,
        )

    def needed(self) -> set[Sentence]:
        """The sentences this very call may have to say."""
        found: set[Sentence] = set()

        def note(sentence: Sentence) -> Clip:
            found.add(sentence)
            return _NO_CLIP

        self._clips(note)
        self._consent(note)
        return found

    def plan(
        self,
        tenant_id: UUID,
        opened: OpenedSession,
        *,
        clip: Callable[[Sentence], Clip],
        toolbox: Toolbox,
        model: ModelEndpoint,
    ) -> CallPlan:
        """The plan, written out."""
        content, project = self.content, self.where.project
        return CallPlan(
            session_id=str(opened.id),
            tenant_id=str(tenant_id),
            project_id=str(project.id),
            scenario_id=str(self.where.scenario_id),
            scenario_version=self.where.published_version or 0,
            called=self.called,
            language=self.sentences.language,
            business_name=project.business_name,
            instructions=content.instructions,
            opening=content.opening,
            own_tools=tuple(name for name in OWN_TOOLS if name in content.tools),
            tools=toolbox.offers(desk_tools(content)),
            transfer_targets=tuple(_as(TransferTarget, target) for target in content.transfers),
            clips=self._clips(clip),
            consent=self._consent(clip),
            recording=RecordingTerms(
                allowed=self.decision.recording_allowed,
                starts=self.decision.recording_starts,
                transcript=content.recording.transcript and project.transcript_days > 0,
            ),
            limits=_as(Limits, content.limits),
            model=model_terms(content, model),
            fallback=_as(FallbackTerms, content.fallback),
            data_key=opened.data_key.key,
            wrapped_data_key=opened.data_key.wrapped,
        )

    def _clips(self, clip: Callable[[Sentence], Clip]) -> Clips:
        say = self.sentences
        return Clips(
            disclosure=clip(say.opening(self.decision)),
            are_you_there=clip(say.of("are_you_there")),
            goodbye=clip(say.of("goodbye")),
            model_lost=clip(say.model_lost),
            model_lost_end=clip(say.of("model_lost_end")),
            leave_message=clip(say.of("leave_message")),
            message_taken=clip(say.of("message_taken")),
            transferring=clip(say.of("transferring")),
            transfer_failed=clip(say.of("transfer_failed")),
            time_is_up=clip(say.of("time_is_up")),
            drain_goodbye=clip(say.of("drain_goodbye")),
        )

    def _consent(self, clip: Callable[[Sentence], Clip]) -> ConsentTerms:
        if not self.decision.ask_consent:
            return ConsentTerms(asked=False, on_refusal=self.decision.on_refusal)
        return ConsentTerms(
            asked=True,
            question=clip(self.sentences.consent_question()),
            retry=clip(self.sentences.of("consent_retry")),
            on_refusal=self.decision.on_refusal,
            answer_seconds=self.content.consent.answer_seconds,
        )


def desk_tools(content: Scenario) -> tuple[str, ...]:
    """The tools of a scenario that the desk runs."""
    return tuple(name for name in content.tools if name not in OWN_TOOLS)


def model_terms(content: Scenario, model: ModelEndpoint) -> ModelTerms:
    """Which model speaks, and how: the scenario's wishes, and this server's choice where it has none."""
    wishes = msgspec.to_builtins(content.model)  # without what is left at its default
    return msgspec.convert({"name": model.realtime_model, **wishes, "url": model.realtime_url}, ModelTerms)


def _as(kind: type[T], part: msgspec.Struct) -> T:
    return msgspec.convert(part, kind, from_attributes=True)


_NO_CLIP = Clip(text="", language="", wording_sha256="", audio=b"")

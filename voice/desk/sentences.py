"""Which sentences a call of one scenario may have to say, in whose words and in which language."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from policies.disclosure import DisclosureDecision
from policies.languages import nearest_language
from policies.opening import opening
from policies.wordings import Kind, fill, wording
from store.opening import language_of
from store.projects import Project
from store.scenarios import Scenario
from voice.desk.clips import Sentence


@dataclass(frozen=True, slots=True)
class Sentences:
    """The words of one scenario of one project."""

    project: Project
    scenario: Scenario

    @property
    def language(self) -> str:
        """Of the call, BCP 47."""
        return language_of(self.scenario, self.project)

    def opening(self, decision: DisclosureDecision) -> Sentence:
        """The first sentence: who speaks, and whether the call is recorded, as far as has been decided."""
        return self._opening(
            disclose_ai=decision.disclose_ai,
            announce_recording=decision.announce_recording,
            ask_consent=decision.ask_consent,
        )

    def consent_question(self) -> Sentence:
        """Asks for consent to recording."""
        own = self.scenario.consent.question
        return self._own(own) if own else self.of("consent_question")

    def of(self, kind: Kind) -> Sentence:
        """Our own words of one kind."""
        words = wording(kind, self.language, business=self.project.business_name)
        return Sentence(words, nearest_language(self.language), self._voice, self.project.bounds)

    @property
    def model_lost(self) -> Sentence:
        """Says that the agent is gone, and what the scenario wants to follow."""
        kinds: dict[str, Kind] = {
            "take_message": "model_lost_take_message",
            "transfer": "model_lost_transfer",
            "end": "model_lost_end",
        }
        return self.of(kinds[self.scenario.fallback.action])

    def every(self) -> Iterator[Sentence]:
        """All that any call of the scenario may say, wherever the caller is."""
        for disclose, announce, ask in product((True, False), repeat=3):
            if disclose or not self.scenario.consent.disclose_ai:
                yield self._opening(disclose_ai=disclose, announce_recording=announce, ask_consent=announce and ask)
        yield self.consent_question()
        yield self.model_lost
        for kind in _ALWAYS:
            yield self.of(kind)

    def _opening(self, *, disclose_ai: bool, announce_recording: bool, ask_consent: bool) -> Sentence:
        said = opening(
            own=self.scenario.consent.disclosure,
            language=self.language,
            business=self.project.business_name,
            disclose_ai=disclose_ai,
            announce_recording=announce_recording,
            ask_consent=ask_consent,
        )
        return Sentence(said.text, said.language, self._voice, self.project.bounds)

    def _own(self, words: str) -> Sentence:
        return Sentence(
            fill(words, business=self.project.business_name), self.language, self._voice, self.project.bounds
        )

    @property
    def _voice(self) -> str:
        return self.scenario.model.voice or ""


_ALWAYS: tuple[Kind, ...] = (
    "consent_retry",
    "are_you_there",
    "goodbye",
    "model_lost_end",
    "leave_message",
    "message_taken",
    "transferring",
    "transfer_failed",
    "time_is_up",
    "drain_goodbye",
)

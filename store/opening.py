"""How the calls of a scenario open: what its project wishes, and the words that follow from what was decided."""

from policies.disclosure import DisclosureDecision, ScenarioWishes
from policies.opening import Opening, opening
from store.projects import Project
from store.scenarios import Scenario


def wishes_of(content: Scenario, project: Project) -> ScenarioWishes:
    """What the scenario would like, within what its project keeps at all."""
    return ScenarioWishes(
        disclose_ai=content.consent.disclose_ai,
        record=content.recording.audio and project.recording_days > 0,
        always_ask_consent=content.consent.always_ask,
        on_refusal=content.consent.on_refusal,
    )


def language_of(content: Scenario, project: Project) -> str:
    """Of its calls, BCP 47."""
    return content.language or project.language


def opening_of(content: Scenario, project: Project, decision: DisclosureDecision) -> Opening:
    """The first sentence of a call so decided."""
    return opening(
        own=content.consent.disclosure,
        language=language_of(content, project),
        business=project.business_name,
        disclose_ai=decision.disclose_ai,
        announce_recording=decision.announce_recording,
        ask_consent=decision.ask_consent,
    )

"""The first sentence of a call: ours, or a scenario's own where that says what has to be said."""

import re
from dataclasses import dataclass

from policies.languages import nearest_language
from policies.wordings import disclosure_kind, fill, wording

_SAYS_AI = re.compile(
    r"\b(A\.?I\.?|KI|IA|SI|(?i:artificial|artificiel\w*|artificiale|sztuczn\w*|künstliche\w*|kunstmatig\w*))\b"
)
"""In one of our languages; the short forms in capitals, as "si" and "ai" are everyday words in some of them."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What is said first."""

    text: str
    language: str
    """BCP 47, of the words: ours exist in `policies.languages.LANGUAGES` only."""
    is_own: bool
    """The scenario's words, not the product's."""


def says_ai(words: str) -> bool:
    """Whether a wording says that an AI speaks: one that does not is no disclosure."""
    return _SAYS_AI.search(words) is not None


def opening(
    *,
    own: str | None,
    language: str,
    business: str,
    disclose_ai: bool,
    announce_recording: bool,
    ask_consent: bool,
) -> Opening:
    """The words that a call so decided opens with.

    What the law wants said is said, whatever a scenario's own wording leaves out: one without AI in it is replaced
    where a machine has to say what it is, and a recording that has to be announced is announced after it.
    """
    kind = disclosure_kind(disclose_ai=disclose_ai, announce_recording=announce_recording, ask_consent=ask_consent)
    if own is None or (disclose_ai and not says_ai(own)):
        return Opening(wording(kind, language, business=business), nearest_language(language), is_own=False)
    if announce_recording and not ask_consent:
        own = f"{own} {recording_notice(language, business)}"
    return Opening(fill(own, business=business), language, is_own=True)


def recording_notice(language: str, business: str) -> str:
    """The sentence that says that the call is recorded, alone."""
    whole = wording("disclosure_recorded", language, business=business)
    return whole.removeprefix(wording("disclosure", language, business=business)).strip()

"""Everything the product says exists in every language, names only the business, and can be answered."""

import re

import pytest

from policies.consent_words import hear, yes_may_be_spoken
from policies.languages import LANGUAGES
from policies.wordings import KINDS, Kind, disclosure_kind, fill, wording

AI_IN = {
    "en": "AI assistant",
    "de": "KI-Assistent",
    "fr": "intelligence artificielle",
    "es": "inteligencia artificial",
    "it": "intelligenza artificiale",
    "nl": "AI-assistent",
    "pl": "sztucznej inteligencji",
    "pt": "inteligência artificial",
}
RECORD_IN = {"en": "record", "de": "aufgezeichnet", "fr": "enregistré", "es": "grab", "it": "registrata"} | {
    "nl": "opgenomen",
    "pl": "nagrywana",
    "pt": "gravada",
}
YES_NO_IN = {
    "en": ("yes", "no"),
    "de": ("Ja", "Nein"),
    "fr": ("oui", "non"),
    "es": ("sí", "no"),
    "it": ("sì", "no"),
    "nl": ("ja", "nee"),
    "pl": ("tak", "nie"),
    "pt": ("sim", "não"),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_wording_is_a_finished_sentence(kind: Kind, language: str) -> None:
    """It starts like one, ends like one, has no placeholder left and can be said in twenty seconds."""
    words = wording(kind, language, business="Praxis Dr. Weiß")
    assert re.fullmatch(r"[A-ZÄÖÜÊÈ¿].*[.?]", words)
    assert not re.search(r"[{}]|\s\s", words)
    assert len(words) < 260


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["disclosure", "disclosure_recorded", "disclosure_asking"])
def test_a_disclosure_says_ai_in_its_first_sentence(kind: Kind, language: str) -> None:
    """What speaks and for whom comes first; recording is named exactly where it is the case."""
    words = wording(kind, language, business="Praxis Weiss")
    first_sentence = words.split(". ", maxsplit=1)[0]
    assert AI_IN[language] in first_sentence
    assert "Praxis Weiss" in first_sentence
    assert (RECORD_IN[language] in words) is (kind != "disclosure")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_recording_notice_speaks_of_recording_and_the_greeting_does_not(language: str) -> None:
    """The two openings without AI disclosure differ in this alone."""
    assert RECORD_IN[language] in wording("recording_notice", language, business="X")
    assert RECORD_IN[language] not in wording("greeting", language, business="X")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["consent_question", "consent_retry"])
def test_a_question_offers_answers_that_are_understood(kind: Kind, language: str) -> None:
    """A question names the keys, and the words that count when they are spoken, which are heard as what they mean."""
    question = wording(kind, language, business="X")
    yes, no = YES_NO_IN[language]
    for answer, key, meaning in ((yes, "1", "yes"), (no, "2", "no")):
        offered = re.search(rf"\b{answer}\b", question) is not None
        assert offered is (meaning == "no" or yes_may_be_spoken(language))
        assert key in question
        assert hear(answer, language) == meaning


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_own_question_is_no_answer(language: str) -> None:
    """A question that echoes into the caller's microphone is neither a yes nor a no."""
    assert hear(wording("consent_question", language, business="X"), language) == "unclear"


def test_a_foreign_language_gets_english() -> None:
    """The fall-back of the language rule holds for wordings."""
    assert wording("goodbye", "ja", business="X") == wording("goodbye", "en", business="X")
    assert wording("goodbye", "de-CH", business="X") == wording("goodbye", "de", business="X")


def test_only_the_business_is_filled_in() -> None:
    """Braces in a name or a scenario's own words stay as they are."""
    assert fill("This is {business}, {not} {0}.", business=" A{business}B ") == "This is A{business}B, {not} {0}."


@pytest.mark.parametrize(
    ("disclose_ai", "announce", "ask", "kind"),
    [
        (True, True, False, "disclosure_recorded"),
        (True, True, True, "disclosure_asking"),
        (True, False, False, "disclosure"),
        (False, True, False, "recording_notice"),
        (False, True, True, "greeting"),
        (False, False, False, "greeting"),
    ],
)
def test_disclosure_kind(disclose_ai: bool, announce: bool, ask: bool, kind: Kind) -> None:  # noqa: FBT001 - a table's columns
    """Each decision has its opening words."""
    assert disclosure_kind(disclose_ai=disclose_ai, announce_recording=announce, ask_consent=ask) == kind

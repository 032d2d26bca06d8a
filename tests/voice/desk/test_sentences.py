from dataclasses import replace
from datetime import date
from itertools import product
from uuid import UUID

import pytest

from policies.disclosure import ScenarioWishes, decide
from policies.languages import LANGUAGES
from policies.opening import recording_notice
from store.projects import Project
from store.scenarios import ConsentWishes, FallbackWishes, Scenario
from voice.desk.sentences import Sentences

PROJECT = Project(UUID(int=1), "Front desk", "Harbour Dental", "GB", "en", "Europe/London", 90, 365)
SCENARIO = Scenario(name="Front desk", instructions="Help.")


def opening(scenario: Scenario, *, jurisdiction: str = "GB", called: str = "+442079460000", record: bool = True) -> str:
    """The first sentence of a call from a British number."""
    decision = decide(
        project_jurisdiction=jurisdiction,
        called=called,
        caller="+442079460001",
        wishes=ScenarioWishes(disclose_ai=scenario.consent.disclose_ai, record=record),
        on_date=date(2026, 11, 23),
    )
    return Sentences(PROJECT, scenario).opening(decision).text


def own(words: str, **wishes: bool) -> Scenario:
    return Scenario(name="Own", instructions="Help.", consent=ConsentWishes(disclosure=words, **wishes))


def test_own_words_open_the_call() -> None:
    """A scenario's own disclosure is used, with the business's name in it."""
    assert opening(own("Hi, I am the AI of {business}."), record=False) == "Hi, I am the AI of Harbour Dental."


@pytest.mark.parametrize("words", ["Hi, I am Susan from {business}.", "Buongiorno ai clienti.", "Si desea, hable."])
def test_own_words_that_hide_the_machine_are_not_used(words: str) -> None:
    """A disclosure that does not say that an AI speaks is none: ours is played."""
    assert "AI assistant" in opening(own(words))


def test_own_words_still_tell_of_the_recording() -> None:
    """Where the call is recorded after a notice, the notice is said behind the scenario's own words."""
    assert "This call is recorded." in opening(SCENARIO)
    assert opening(own("Hi, I am the AI of {business}.")) == "Hi, I am the AI of Harbour Dental. This call is recorded."


@pytest.mark.parametrize("language", LANGUAGES)
def test_notice_stands_alone_in_every_language(language: str) -> None:
    """The recording notice can be told from the disclosure it follows, in every language."""
    sentences = Sentences(replace(PROJECT, language=language), SCENARIO)
    notice = recording_notice(sentences.language, sentences.project.business_name)
    assert notice
    assert sentences.of("disclosure").text not in notice
    assert sentences.of("disclosure_recorded").text.endswith(notice)


@pytest.mark.parametrize("language", LANGUAGES)
def test_default_words_count_as_disclosure(language: str) -> None:
    """What we say ourselves would pass as a scenario's own disclosure."""
    words = Sentences(replace(PROJECT, language=language), SCENARIO).of("disclosure").text
    scenario = Scenario(name="Own", instructions="Help.", language=language, consent=ConsentWishes(disclosure=words))
    decision = decide(
        project_jurisdiction="DE",
        called="+493023125001",
        caller=None,
        wishes=ScenarioWishes(),
        on_date=date(2026, 11, 23),
    )
    assert Sentences(PROJECT, scenario).opening(decision).text == words


def test_every_sentence_is_known_beforehand() -> None:
    """Whatever is decided about a call, its first sentence is among those rendered at publication."""
    places = ("DE", "GB", "US-NY", "US-CA", "FR", "unknown")
    callers = (None, "+493012345678", "+12125550100", "+33140000000")
    for scenario in (SCENARIO, own("Hi, the AI of {business}."), own("Hi.", disclose_ai=False)):
        prepared = set(Sentences(PROJECT, scenario).every())
        for place, caller, record in product(places, callers, (True, False)):
            decision = decide(
                project_jurisdiction=place,
                called="+442079460000",
                caller=caller,
                wishes=ScenarioWishes(disclose_ai=scenario.consent.disclose_ai, record=record),
                on_date=date(2026, 11, 23),
            )
            assert Sentences(PROJECT, scenario).opening(decision) in prepared


def test_language_we_do_not_speak_is_served_in_english() -> None:
    """A Japanese scenario keeps its language for the model, and our own sentences are English."""
    sentences = Sentences(PROJECT, Scenario(name="Own", instructions="Help.", language="ja"))
    assert sentences.language == "ja"
    assert sentences.of("goodbye").language == "en"


def test_model_lost_says_what_follows() -> None:
    """The words before a fallback announce that fallback."""
    scenario = Scenario(name="Own", instructions="Help.", fallback=FallbackWishes(action="end"))
    assert "leave a message" in Sentences(PROJECT, SCENARIO).model_lost.text
    assert "leave a message" not in Sentences(PROJECT, scenario).model_lost.text

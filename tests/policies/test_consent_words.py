"""Yes, no, and everything that is neither."""

import pytest

from policies.consent_words import Heard, consent_phrases, hear, hear_key
from policies.languages import LANGUAGES


@pytest.mark.parametrize(
    ("language", "text", "heard"),
    [
        ("en", "Yes.", "yes"),
        ("en", "yes please", "yes"),
        ("en", "Um, yes, that's fine with me.", "yes"),
        ("en", "OK", "yes"),
        ("en", "No problem!", "yes"),
        ("en", "I don\u2019t mind", "yes"),
        ("en", "one", "yes"),
        ("en", "1", "yes"),
        ("en", "Sure, go ahead, thank you.", "yes"),
        ("en", "no", "no"),
        ("en", "No, thank you, I would rather not.", "no"),
        ("en", "of course not", "no"),
        ("en", "please don't record me", "no"),
        ("en", "I do not agree", "no"),
        ("en", "you may not", "no"),
        ("en", "no I just want to know your opening hours for tomorrow and the day after that please", "no"),
        ("en", "two", "no"),
        ("en", "yes no", "unclear"),
        ("en", "No, well, yes", "unclear"),
        ("en", "yes, but why?", "unclear"),
        ("en", "I'm not sure", "unclear"),
        ("en", "I don't know", "unclear"),
        ("en", "one moment", "unclear"),
        ("en", "no one told me", "unclear"),
        ("en", "okay I would like to book a table", "unclear"),
        ("en", "two people for tonight", "unclear"),
        ("en", "you can help me", "unclear"),
        ("en", "not", "unclear"),
        ("en", "yes " + "and so on " * 5, "unclear"),
        ("en", "hello", "unclear"),
        ("en", "", "unclear"),
        ("en", "?!", "unclear"),
        ("en", "yesterday", "unclear"),
        ("en", "know", "unclear"),
        ("en-GB", "Yes", "yes"),
        ("de", "Ja", "yes"),
        ("de", "Ja, gerne.", "yes"),
        ("de", "Gerne", "yes"),
        ("de", "Kein Problem", "yes"),
        ("de", "Ich bin einverstanden", "yes"),
        ("de-AT", "NATÜRLICH", "yes"),
        ("de", "Nein", "no"),
        ("de", "Nein danke", "no"),
        ("de", "Natürlich nicht", "no"),
        ("de", "Das möchte ich nicht", "no"),
        ("de", "Ich bin nicht einverstanden", "no"),
        ("de", "Ich hätte gern einen Termin", "unclear"),
        ("de", "Weiß ich nicht", "unclear"),
        ("de", "Ja, aber warum?", "unclear"),
        ("de", "Wie bitte?", "unclear"),
        ("de", "Jain ja nein", "unclear"),
        ("fr", "Oui", "yes"),
        ("fr", "D'accord", "yes"),
        ("fr", "Pas de problème", "yes"),
        ("fr", "Oui, bien sûr, allez-y", "yes"),
        ("fr", "Non", "no"),
        ("fr", "Je ne suis pas d'accord", "no"),
        ("fr", "Bien sûr que non", "no"),
        ("fr", "Je voudrais un rendez-vous", "unclear"),
        ("fr", "Je ne sais pas", "unclear"),
        ("fr", "Un", "yes"),
        ("es", "Sí", "yes"),
        ("es", "si", "yes"),
        ("es", "No hay problema", "yes"),
        ("es", "Claro que sí", "yes"),
        ("es", "No", "no"),
        ("es", "Claro que no", "no"),
        ("es", "¿Puede ayudarme?", "unclear"),
        ("es", "Bueno, quería una mesa", "unclear"),
        ("es", "No sé", "unclear"),
        ("it", "Sì", "yes"),
        ("it", "Va bene", "yes"),
        ("it", "Non c'è problema", "yes"),
        ("it", "No", "no"),
        ("it", "Non va bene", "no"),
        ("it", "Può aiutarmi", "unclear"),
        ("it", "Non ho capito", "unclear"),
        ("nl", "Ja hoor", "yes"),
        ("nl", "Geen probleem", "yes"),
        ("nl", "Nee", "no"),
        ("nl", "Liever niet", "no"),
        ("nl", "Ik wil graag een afspraak", "unclear"),
        ("nl", "Ik heb een vraag", "unclear"),
        ("pl", "Tak", "yes"),
        ("pl", "Zgadzam się", "yes"),
        ("pl", "Nie ma problemu", "yes"),
        ("pl", "Nie", "no"),
        ("pl", "Nie zgadzam się", "no"),
        ("pl", "Wolałbym nie", "no"),
        ("pl", "No", "unclear"),
        ("pl", "Nie wiem", "unclear"),
        ("pl", "Proszę mi powiedzieć", "unclear"),
        ("pt", "Sim", "yes"),
        ("pt-BR", "Pode sim", "yes"),
        ("pt", "Não há problema", "yes"),
        ("pt", "Não", "no"),
        ("pt", "nao", "no"),
        ("pt", "Claro que não", "no"),
        ("pt", "Pode ajudar-me", "unclear"),
        ("pt", "Queria marcar um horário", "unclear"),
        ("ja", "yes", "yes"),
    ],
)
def test_hear(language: str, text: str, heard: Heard) -> None:
    """Clear answers are understood, and what is not clear is neither."""
    assert hear(text, language) == heard


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("meaning", ["yes", "no"])
def test_each_phrase_means_what_its_list_says(language: str, meaning: Heard) -> None:
    """No phrase stands in two lists, and each is heard as its list says, also with a filler before it."""
    assert meaning != "unclear"
    phrases = consent_phrases(language, meaning)
    assert len(phrases) >= 12
    for phrase in phrases:
        assert hear(phrase, language) == meaning, phrase
        assert hear(f"hm {phrase}", language) == meaning, phrase


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_yes_and_a_no_together_are_unclear(language: str) -> None:
    """In every language and order."""
    yes, no = consent_phrases(language, "yes")[0], consent_phrases(language, "no")[0]
    assert hear(f"{yes}, {no}", language) == "unclear"
    assert hear(f"{no}, {yes}", language) == "unclear"


@pytest.mark.parametrize(
    ("digit", "heard"), [("1", "yes"), ("2", "no"), ("3", "unclear"), ("#", "unclear"), ("", "unclear")]
)
def test_keys(digit: str, heard: Heard) -> None:
    """1 is yes, 2 is no, the rest is neither."""
    assert hear_key(digit) == heard

"""What viewers see of a redacted transcript, in several languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.redaction import MAIL, NAME, NUMBER, SPELLED, redact, redact_together

SAID = [
    ("Hi, my name is Anna Schmidt and I need a check-up.", f"Hi, my name is {NAME} and I need a check-up."),
    ("my name is anna schmidt", f"my name is {NAME}"),
    ("This is Anna from the bakery.", f"This is {NAME} from the bakery."),
    ("This is great, thank you.", "This is great, thank you."),
    ("I am from Berlin.", "I am from Berlin."),
    ("Call me on +49 (30) 123-4567 please", f"Call me on {NUMBER} please"),
    ("It is card 4111 1111 1111 1111, valid till 12/27.", f"It is card {NUMBER}, valid till {NUMBER}."),
    ("four one five, two three two, six six seven one", NUMBER),
    ("We have one or two options.", "We have one or two options."),
    ("Write to anna.s+x@mail.example.co.uk today", f"Write to {MAIL} today"),
    ("anna dot schmidt at example dot com", MAIL),
    ("S C H M I D T", SPELLED),
    ("It is spelled S-C-H-M", f"It is spelled {SPELLED}"),
    ("Ich heiße Jürgen von der Tann, null drei null eins zwei.", f"Ich heiße {NAME}, {NUMBER}."),
    ("Mein Name ist Müller-Lüdenscheidt.", f"Mein Name ist {NAME}."),
    ("Guten Tag, hier ist Petra Klein.", f"Guten Tag, hier ist {NAME}."),
    ("Je m'appelle Élodie Dupont, le zéro six douze trente.", f"Je m'appelle {NAME}, le {NUMBER}."),
    ("Me llamo José y mi correo es jose arroba ejemplo punto es", f"Me llamo {NAME} y mi correo es {MAIL}"),
    ("Mi chiamo Giulia Rossi.", f"Mi chiamo {NAME}."),
    ("Mijn naam is Jan de Vries.", f"Mijn naam is {NAME}."),
    ("Meu nome é João da Silva.", f"Meu nome é {NAME}."),
    ("Nazywam się Łukasz Nowak.", f"Nazywam się {NAME}."),
    ("٠١٢٣٤٥٦", NUMBER),
    ("", ""),
]


@pytest.mark.parametrize(("said", "shown"), SAID)
def test_what_is_masked(said: str, shown: str) -> None:
    """Names where they are said, numbers in any writing, addresses; and not what only looks a little like them."""
    assert redact(said) == shown


def test_a_name_is_masked_wherever_it_is_said_again() -> None:
    """Also by the agent, in small letters, and with what grammar adds."""
    shown = redact_together(
        ["My name is Anna Schmidt.", "Thank you, Mrs. Schmidt.", "schmidt's the name, anna.", "Is Tuesday fine?"]
    )
    assert shown == [f"My name is {NAME}.", f"Thank you, Mrs. {NAME}.", f"{NAME} the name, {NAME}.", "Is Tuesday fine?"]


@given(st.text(max_size=80))
def test_no_digit_and_no_address_is_left(text: str) -> None:
    """Whatever is said, and twice is the same as once."""
    shown = redact(text)
    assert not any(character.isdecimal() for character in shown)
    assert redact(shown) == shown


@given(st.integers(0, 10**15))
def test_digits_are_masked_whole(number: int) -> None:
    """Not even how many there are is told."""
    assert redact(f"It is {number}.") == f"It is {NUMBER}."


@pytest.mark.parametrize(
    "text", ["my name is " * 400, "a dot " * 400 + "at b", "S " * 2000, "one " * 2000, "a@" * 2000]
)
def test_long_texts_take_no_time(text: str) -> None:
    """No text makes the rules go back and forth: pytest's own timeout is the judge of hours, this one of a second."""
    import time  # noqa: PLC0415 - here only

    began = time.process_time()
    redact_together([text])
    assert time.process_time() - began < 1.0

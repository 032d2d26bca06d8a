"""A code is brought to a number: by a real call over SIP and RTP to a telephone that answers."""

import pytest

from policies.dsar_words import code_sentence, code_words
from scripts.code_call import ring_with_code
from tests.fakes.telephone import Telephone, telephone

CODE = "407128"
NUMBER = "+4915112345678"
OFFER, TOLD, STOPPED = (bytes([level, level]) * 8000 for level in (16, 32, 48))
"""A second of sound each, of a level of its own; levels that G.711 carries apart."""


async def _speak(sentence: str) -> bytes:
    words = code_words("de")
    return {words.offer: OFFER, code_sentence("de", CODE): TOLD, words.stopped: STOPPED}[sentence]


def _heard(phone: Telephone, sound: bytes) -> int:
    """How many samples of this sound's level were heard; G.711 changes a level by less than a twentieth."""
    level = int.from_bytes(sound[:2], "little")
    return sum(abs(sample - level) < level // 20 for sample in memoryview(phone.sound.heard()).cast("h"))


async def test_who_presses_1_hears_the_code() -> None:
    """The number is rung with our own as caller; after the key comes the code, whole, and then the call ends."""
    phone = Telephone(key="1")
    async with telephone(phone) as trunk:
        outcome = await ring_with_code(trunk, NUMBER, code=CODE, language="de-AT", speak=_speak)
        invite = phone.asked[0]
        assert outcome == "heard"
        assert invite.start.startswith(f"INVITE sip:{NUMBER}@127.0.0.1:")
        assert "<sip:+493012345@" in invite.first("from")
        assert phone.methods[-1] == "BYE"
        assert CODE not in str(phone.asked)
        assert _heard(phone, TOLD) >= 7900


@pytest.mark.parametrize(("key", "outcome"), [("9", "stopped"), ("5", "unanswered"), ("", "unanswered")])
async def test_nobody_else_hears_it(key: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key 9, another, or none, as an answering machine presses none, the code is never said."""
    monkeypatch.setattr("scripts.code_call._THINKING_S", 0.5)
    phone = Telephone(key=key)
    async with telephone(phone) as trunk:
        assert await ring_with_code(trunk, NUMBER, code=CODE, language="de", speak=_speak) == outcome
        assert _heard(phone, TOLD) == 0
        assert (_heard(phone, STOPPED) >= 7900) is (key == "9")
        assert (_heard(phone, OFFER) >= 7900) is (key != "9")  # the key cuts it short
        assert phone.methods[-1] == "BYE"


@pytest.mark.parametrize("status", ["486 Busy Here", "603 Decline"])
async def test_a_call_that_is_not_taken(status: str) -> None:
    """A busy or unwilling number is left alone."""
    phone = Telephone(status=status)
    async with telephone(phone) as trunk:
        assert await ring_with_code(trunk, NUMBER, code=CODE, language="de", speak=_speak) == "unanswered"
        assert "BYE" not in phone.methods

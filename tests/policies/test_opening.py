"""The first sentence of a call: whose words it has, and that nothing the law wants said is left out."""

import pytest

from policies.languages import LANGUAGES
from policies.opening import opening, recording_notice, says_ai


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("own", [None, "Here is Susan.", "Here is the AI of {business}."])
@pytest.mark.parametrize(("announce", "ask"), [(False, False), (True, False), (True, True)])
def test_what_has_to_be_said_is_said(language: str, own: str | None, announce: bool, ask: bool) -> None:  # noqa: FBT001  # from the table
    """That an AI speaks, always; that the call is recorded, where nobody is asked; the business by its name."""
    said = opening(
        own=own, language=language, business="Bakery", disclose_ai=True, announce_recording=announce, ask_consent=ask
    )
    assert says_ai(said.text)
    assert "Bakery" in said.text
    if announce and not ask:
        assert said.text.endswith(recording_notice(language, "Bakery"))
    assert said.is_own == (own is not None and "AI" in own)


def test_own_words_without_ai_stand_where_none_has_to_be_named() -> None:
    """If neither scenario nor law wants it said, the scenario's words are used as they are."""
    said = opening(
        own="Here is {business}.", language="ja", business="Bakery", disclose_ai=False, announce_recording=False,
        ask_consent=False,
    )  # fmt: skip  # one call
    assert (said.text, said.language, said.is_own) == ("Here is Bakery.", "ja", True)

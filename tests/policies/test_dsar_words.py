"""What is said when a code is delivered."""

import pytest

from policies.dsar_words import code_sentence, code_words
from policies.languages import LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_offers_both_keys_and_says_the_code_twice(language: str) -> None:
    """The offer names the keys 1 and 9 and no digit of a code; the code is read out digit by digit, twice."""
    words = code_words(language)
    assert "1" in words.offer
    assert "9" in words.offer
    assert "{" not in words.offer + words.stopped
    assert code_sentence(language, "407128").count("4, 0, 7, 1, 2, 8") == 2

"""Which of our languages serves for a tag."""

import pytest

from policies.languages import nearest_language


@pytest.mark.parametrize(
    ("wanted", "served"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE", "de"),
        ("de_CH", "de"),
        ("pt-BR", "pt"),
        ("zh-Hant-TW", "en"),
        ("ja", "en"),
        ("", "en"),
        ("  fr ", "fr"),
        ("deutsch", "en"),
    ],
)
def test_nearest_language(wanted: str, served: str) -> None:
    """The base language counts; what we do not speak is served in English."""
    assert nearest_language(wanted) == served

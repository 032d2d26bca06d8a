"""The quick way to canonical JSON writes what the library for RFC 8785 does."""

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from policies.canonical_json import canonical, is_canonical

_TEXT = st.text(st.characters(exclude_categories=("Cs",)))
_WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
_FLAT = st.none() | st.booleans() | _WHOLE | _TEXT | st.lists(_TEXT)
_ASCII = st.text(st.characters(max_codepoint=127))


@given(st.dictionaries(_ASCII, _FLAT | st.dictionaries(_ASCII, _FLAT)))
def test_it_is_the_text_of_the_standard(value: dict[str, object]) -> None:
    """For everything that a log says: control characters, quotes, any script, keys in any order."""
    text = canonical(value)
    assert text == rfc8785.dumps(value).decode()
    assert is_canonical(text, value)


def test_what_others_wrote_is_read_by_the_standard() -> None:
    """Keys are sorted by UTF-16 code units, and there is one way to write a value."""
    value = {"\ufb33": 1, "\U0001f600": 2}
    assert is_canonical(rfc8785.dumps(value).decode(), value)
    assert not is_canonical('{"a": 1}', {"a": 1})
    assert not is_canonical('{"b":1,"a":2}', {"a": 2, "b": 1})

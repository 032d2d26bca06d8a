"""A scenario as a file: read again it says the same, whatever is in it; and what changed is seen line by line."""

from hypothesis import given
from hypothesis import strategies as st

from store.scenario_text import difference, parse_scenario, scenario_text
from store.scenarios import (
    ConsentWishes,
    FallbackWishes,
    LimitWishes,
    ModelWishes,
    Scenario,
    TransferTarget,
    TurnDetection,
)

words = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=60
) | st.sampled_from(['"""', "\\", 'a\n"""\nb', "tab\there", "\r\n", "x\x7f\x1f", "ends with a backslash\\\n", "'''"])


@given(words, words, words, st.floats(0.25, 1.5), st.booleans())
def test_a_file_says_what_the_scenario_says(name: str, instructions: str, label: str, speed: float, asks: bool) -> None:  # noqa: FBT001  # drawn
    """Text with quotes, backslashes, control characters and line breaks comes back unharmed."""
    scenario = Scenario(
        name=name,
        instructions=instructions,
        transfers=(TransferTarget(id="a", label=label, uri="tel:+491"), TransferTarget(id="b", label="B", uri="sip:b")),
        tools=("transfer", name),
        model=ModelWishes(speed=speed, turn_detection=TurnDetection(threshold=0.25)),
        consent=ConsentWishes(always_ask=asks, question=label),
        fallback=FallbackWishes(action="transfer", target_id="b"),
        limits=LimitWishes(max_seconds=1e3),
    )
    assert parse_scenario(scenario_text(scenario)) == scenario


def test_a_change_of_one_line_is_a_change_of_one_line() -> None:
    """Names of both sides head it; what is the same on both sides is not marked."""
    old = Scenario(name="A", instructions="one\ntwo\nthree")
    new = Scenario(name="A", instructions="one\n2\nthree")
    lines = difference(old, new, old_name="1", new_name="draft").splitlines()
    assert lines[:2] == ["--- 1", "+++ draft"]
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-two", "+2"]
    assert difference(old, old, old_name="1", new_name="1") == ""

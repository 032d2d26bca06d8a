"""Which words count as heard, and in which order turns come out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.call import transcript as module
from voice.call.transcript import Transcript, Turn, heard_part

TEXT = "one two three four five"


@pytest.mark.parametrize(
    ("sounded_ms", "heard_ms", "finished", "words"),
    [
        (2300, 2300, True, TEXT),
        (2300, 2400, True, TEXT),
        (2300, 0, True, ""),
        (0, 0, True, TEXT),
        (0, 0, False, ""),
        (2300, 300, True, "one"),
        (2300, 299, True, ""),
        (2300, 700, True, "one two"),
        (2300, 1250, True, "one two"),
        (2300, 1300, True, "one two three"),
        (200, 200, False, "one"),
        (200, 100, False, ""),
    ],
)
def test_heard_part(sounded_ms: int, heard_ms: int, finished: bool, words: str) -> None:  # noqa: FBT001 - a table
    """Whole words only, and never more than the share of the sound that was heard."""
    assert heard_part(TEXT, sounded_ms=sounded_ms, heard_ms=heard_ms, finished=finished) == words


@given(st.text(max_size=80), st.integers(0, 9000), st.integers(0, 9000), st.booleans())
def test_heard_part_is_always_a_beginning(text: str, sounded_ms: int, heard_ms: int, finished: bool) -> None:  # noqa: FBT001 - generated
    """Whatever comes in, what comes out is how the text begins."""
    assert text.startswith(heard_part(text, sounded_ms=sounded_ms, heard_ms=heard_ms, finished=finished))


class Ear:
    """A line's two clocks, set by the test, and a transcript that listens to them."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.heard: dict[str, int] = {}
        self.turns: list[Turn] = []
        self.so_far: list[Turn] = []
        self.transcript = Transcript(
            lambda: self.now_ms, lambda item: self.heard.get(item, 0), self.turns.append, self.so_far.append
        )

    def answer(self, item: str, text: str, duration_ms: int) -> None:
        """An answer comes in whole."""
        self.transcript.agent_said(item, text)
        self.transcript.agent_sounded(item, duration_ms)
        self.transcript.agent_finished(item)

    def hear(self, item: str, duration_ms: int, now_ms: int) -> None:
        """So much of an item has been heard by now."""
        self.heard[item] = duration_ms
        self.now_ms = now_ms
        self.transcript.settle()


def test_answer_is_settled_once_heard_whole() -> None:
    """An answer is written down when its last frame is out, with the times the media clock says."""
    ear = Ear()
    ear.answer("a", "Hello.", 1000)
    ear.hear("a", 980, 1980)
    assert not ear.turns
    ear.hear("a", 1000, 2000)
    assert ear.turns == [Turn("agent", "Hello.", 1000, 2000)]


def test_slow_words_of_the_caller_come_before_the_answer_to_them() -> None:
    """The caller's words may arrive after the answer has been heard; their turn still comes first."""
    ear = Ear()
    ear.transcript.caller_started("c", 100)
    ear.transcript.caller_stopped("c", 900)
    ear.answer("a", "Yes.", 400)
    ear.hear("a", 400, 2000)
    assert not ear.turns
    ear.transcript.caller_transcribed("c", " Are you open? ")
    assert ear.turns == [Turn("caller", "Are you open?", 100, 900), Turn("agent", "Yes.", 1600, 2000)]


def test_words_that_never_come_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while an answer goes ahead of a turn whose words are missing; should they come, they are kept."""
    monkeypatch.setattr(module, "TRANSCRIPTION_SECONDS", 0.0)
    ear = Ear()
    ear.transcript.caller_started("c", 100)
    ear.transcript.caller_stopped("c", 900)
    ear.answer("a", "Yes.", 400)
    ear.hear("a", 400, 2000)
    assert [turn.text for turn in ear.turns] == ["Yes."]
    ear.transcript.caller_transcribed("c", "Late.")
    assert [turn.text for turn in ear.turns] == ["Yes.", "Late."]


def test_an_answer_ends_with_its_response() -> None:
    """Also where the server does not tell the end of the item: it is settled once it has been heard."""
    ear = Ear()
    ear.transcript.agent_said("a", "Good evening.")
    ear.transcript.agent_sounded("a", 1000)
    ear.hear("a", 1000, 1000)
    assert not ear.turns
    ear.transcript.answers_finished()
    ear.hear("a", 1000, 1020)
    assert [turn.text for turn in ear.turns] == ["Good evening."]


def test_nothing_heard_is_nothing_said() -> None:
    """An answer that was cut before its first frame, and a turn without words, leave nothing."""
    ear = Ear()
    ear.answer("a", "Never heard.", 1000)
    ear.transcript.cut()
    ear.transcript.caller_started("c", 100)
    ear.transcript.caller_transcribed("c", "")
    ear.transcript.close()
    assert not ear.turns
    assert not ear.transcript.history()


def test_what_cannot_be_cut_is_heard_whole() -> None:
    """An interruption leaves clips alone that play on whatever happens; the line's end does not."""
    ear = Ear()
    ear.transcript.clip_queued("k", "Listen to this.", 1000, lasting=True)
    ear.transcript.cut()
    ear.hear("k", 1000, 1000)
    assert ear.turns == [Turn("agent", "Listen to this.", 0, 1000)]
    ear.transcript.clip_queued("l", "one two three four", 1000, lasting=True)
    ear.hear("l", 500, 1500)
    ear.transcript.close()
    assert ear.turns[1] == Turn("agent", "one two", 1000, 1500, interrupted=True)


def test_history_is_the_conversation_so_far() -> None:
    """A model that picks the call up is told settled turns, what is still playing, and keys."""
    ear = Ear()
    ear.answer("a", "Hello.", 100)
    ear.hear("a", 100, 100)
    ear.transcript.remember("caller", "[The caller pressed 1.]")
    ear.answer("b", "Still playing.", 5000)
    assert ear.transcript.history() == [
        ("agent", "Hello."),
        ("caller", "[The caller pressed 1.]"),
        ("agent", "Still playing."),
    ]


def test_an_answer_is_told_while_it_is_heard() -> None:
    """Every half second, as far as it was heard; the settled turn follows, and nothing is told twice."""
    ear = Ear()
    ear.answer("a", TEXT, 4000)
    for heard in range(0, 2200, 200):
        ear.hear("a", heard, heard)
    told = [(turn.from_ms, turn.to_ms) for turn in ear.so_far]
    assert told == [(0, 600), (0, 1200), (0, 1800)]
    assert all(TEXT.startswith(turn.text) and turn.interrupted for turn in ear.so_far)
    assert ear.turns == []
    ear.hear("a", 4000, 4000)
    assert [turn.text for turn in ear.turns] == [TEXT]
    assert len(ear.so_far) == 3

from voice.desk.digest import digest
from voice.waist import journal
from voice.waist.journal import AnyRecord, Header

HEADER = Header(
    session_id="s",
    tenant_id="t",
    project_id="p",
    scenario_id="c",
    scenario_version=3,
    wrapped_data_key=b"w",
    started_at_unix_ms=1_700_000_000_000,
)

CALL: list[AnyRecord] = [
    journal.CallArrived(at_ms=0, sip_call_id="a@b", called="100", caller="200", trunk="loopback", language="en"),
    journal.StateEntered(at_ms=1, state="answering", because="PlanGranted"),
    journal.StateEntered(at_ms=20, state="disclosing", because="AnswerAcknowledged"),
    journal.RecordingStarted(at_ms=4000, at_sample=32_000),
    journal.TurnSpoken(at_ms=5000, role="agent", text="Hello", from_ms=4100, to_ms=4900),
    journal.RecordingPaused(at_ms=6000, at_sample=48_000, by="operator"),
    journal.RecordingResumed(at_ms=7000, at_sample=56_000, by="operator"),
    journal.RecordingPaused(at_ms=8000, at_sample=64_000, by="agent"),
    journal.UsageCounted(
        at_ms=8500,
        input_text_tokens=1,
        input_audio_tokens=2,
        output_text_tokens=3,
        output_audio_tokens=4,
        cached_tokens=5,
    ),
    journal.UsageCounted(
        at_ms=8600,
        input_text_tokens=10,
        input_audio_tokens=20,
        output_text_tokens=30,
        output_audio_tokens=40,
        cached_tokens=50,
    ),
    journal.StateEntered(at_ms=9000, state="disclosing", because="never happens twice"),
    journal.CallEnded(at_ms=10_020, reason="hung_up", by="caller", recorded_samples=48_000, heard_samples=80_000),
]


def test_whole_call() -> None:
    """Times count from the answer, tokens add up, pauses keep their places, words are kept apart from events."""
    call = digest(HEADER, CALL)
    assert call.answered_ms == 20
    assert call.duration_ms == 10_000
    assert call.end_reason == "hung_up"
    assert (call.usage.input_text, call.usage.output_audio, call.usage.cached) == (11, 44, 55)
    assert call.recording is not None
    assert call.recording.from_sample == 32_000
    assert call.recording.pauses == [(48_000, 56_000), (64_000, None)]
    assert [turn.text for turn in call.turns] == ["Hello"]
    assert len(call.events) == len(CALL) - 1


def test_call_without_an_end_lost_its_worker() -> None:
    """A journal that just stops ends at its last record, and says so."""
    call = digest(HEADER, CALL[:5])
    assert call.end_reason == "worker_lost"
    assert call.duration_ms == 4980


def test_call_that_was_never_answered_has_no_duration() -> None:
    """Ringing is not billed."""
    assert digest(HEADER, CALL[:2]).duration_ms == 0

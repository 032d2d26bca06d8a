"""The lifecycle table, in the manner of a playbook: `>>` an event goes in, `<<` commands come out, `==` a state."""

import pytest

from policies import call_flow as flow
from policies.call_flow import Command, Event, IllegalEventError, State
from policies.line_events import CallerHungUp, LineFailed, MediaLost

EXAMPLES: dict[str, Event] = {
    type(event).__name__: event
    for event in (
        flow.PlanGranted(),
        flow.PlanDenied(404, "no such number"),
        flow.AnswerAcknowledged(),
        flow.DisclosurePlayed(),
        flow.ConsentNotAsked(),
        flow.ConsentGiven(),
        flow.ConsentRefusedCallGoesOn(),
        flow.ConsentRefusedCallTransfers("desk"),
        flow.ConsentRefusedCallEnds(),
        flow.ModelGivenUp(),
        flow.PauseAsked("operator"),
        flow.ResumeAsked("operator"),
        flow.TransferAsked("desk", "agent"),
        flow.TransferSucceeded(),
        flow.TransferFailed(486),
        flow.HangUpAsked(),
        flow.OperatorHungUp(),
        flow.CallerFellSilent(),
        flow.CallerStayedSilent(),
        flow.TimeRanOut(),
        flow.ShutdownCame(),
        flow.FaultCame(),
        flow.FallbackTakesMessage(),
        flow.FallbackTransfers("desk"),
        flow.FallbackEnds(),
        flow.MessageEnded(),
        flow.LastWordsSpoken(),
        CallerHungUp(),
        LineFailed(408),
        MediaLost(),
    )
}

CONNECTED = """
== planning
>> PlanGranted
<< answer
>> AnswerAcknowledged
<< play_disclosure record_if_due connect_model
>> DisclosurePlayed
<< record_if_due decide_consent
"""

TALKING = (
    CONNECTED
    + """
>> ConsentNotAsked
<< record_if_due open_gate start_conversation
== conversing
"""
)


def play(script: str) -> str:
    """Run a script's events and give back the script with the commands and states that really came."""
    state, out = State.PLANNING, list[str]()
    for line in script.split("\n"):
        if line.startswith(">> "):
            state, commands = flow.advance(state, EXAMPLES[line[3:]])
            out += [line, *([f"<< {' '.join(commands)}"] if commands else [])]
        elif line.startswith("== "):
            out.append(f"== {state}")
    return "\n".join(out)


def wanted(script: str) -> str:
    """The script without its blank lines."""
    return "\n".join(line for line in script.split("\n") if line)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            TALKING
            + """
>> HangUpAsked
<< shut_gate let_agent_finish
>> LastWordsSpoken
<< hang_up
== ended
""",
            id="the agent says goodbye",
        ),
        pytest.param(">> PlanDenied\n<< refuse\n== refused", id="no such number"),
        pytest.param(">> CallerHungUp\n== ended", id="CANCEL before the plan is there"),
        pytest.param(">> ShutdownCame\n<< refuse\n== refused", id="the worker stops before the plan is there"),
        pytest.param(">> PlanGranted\n<< answer\n>> LineFailed\n<< hang_up\n== ended", id="never acknowledged"),
        pytest.param(
            CONNECTED
            + """
>> ConsentGiven
<< record_if_due open_gate start_conversation
>> CallerHungUp
<< hang_up
== ended
""",
            id="consent given",
        ),
        pytest.param(
            CONNECTED + ">> ConsentRefusedCallGoesOn\n<< discard_recording open_gate start_conversation\n== conversing",
            id="consent refused, unrecorded",
        ),
        pytest.param(
            CONNECTED
            + """
>> ConsentRefusedCallTransfers
<< discard_recording refer
== leaving
>> TransferFailed
<< say_transfer_failed_and_goodbye
>> LastWordsSpoken
<< hang_up
== ended
""",
            id="consent refused, transfer fails",
        ),
        pytest.param(
            CONNECTED
            + """
>> ConsentRefusedCallEnds
<< discard_recording say_goodbye
== closing
""",
            id="consent refused, ended",
        ),
        pytest.param(
            TALKING
            + """
>> TransferAsked
<< shut_gate refer
>> TransferFailed
<< tell_transfer_failed open_gate check_model
== conversing
>> TransferAsked
<< shut_gate refer
>> TransferSucceeded
<< hang_up
== ended
""",
            id="a transfer fails, the next succeeds",
        ),
        pytest.param(
            TALKING
            + """
>> CallerFellSilent
<< ask_still_there
== conversing
>> CallerStayedSilent
<< shut_gate say_goodbye
== closing
""",
            id="nobody there any more",
        ),
        pytest.param(
            TALKING
            + """
>> PauseAsked
<< shut_gate pause
== paused
>> CallerFellSilent
>> ModelGivenUp
== paused
>> ResumeAsked
<< resume open_gate check_model
>> ModelGivenUp
<< shut_gate tell_model_lost
== falling_back
""",
            id="the model is lost while paused",
        ),
        pytest.param(
            TALKING
            + """
>> ModelGivenUp
<< shut_gate tell_model_lost
>> FallbackTakesMessage
<< take_message
>> MessageEnded
<< say_message_taken
>> LastWordsSpoken
<< hang_up
== ended
""",
            id="fallback: message",
        ),
        pytest.param(
            TALKING + ">> ModelGivenUp\n<< shut_gate tell_model_lost\n>> FallbackTransfers\n<< refer\n== leaving",
            id="fallback: transfer",
        ),
        pytest.param(
            TALKING + ">> ModelGivenUp\n<< shut_gate tell_model_lost\n>> FallbackEnds\n<< say_goodbye\n== closing",
            id="fallback: end",
        ),
        pytest.param(
            CONNECTED + ">> ModelGivenUp\n>> ConsentGiven\n<< record_if_due open_gate start_conversation\n",
            id="a model lost too early waits for the conversation",
        ),
        pytest.param(TALKING + ">> TimeRanOut\n<< shut_gate say_time_is_up\n== closing", id="time is up"),
        pytest.param(CONNECTED + ">> ShutdownCame\n<< say_drain_goodbye\n== closing", id="shutdown while asking"),
        pytest.param(TALKING + ">> FaultCame\n<< shut_gate say_goodbye\n== closing", id="something of ours breaks"),
        pytest.param(TALKING + ">> OperatorHungUp\n<< hang_up\n== ended", id="an operator ends it"),
        pytest.param(
            TALKING + ">> HangUpAsked\n<< shut_gate let_agent_finish\n>> TimeRanOut\n>> HangUpAsked\n>> ConsentGiven\n"
            "== closing",
            id="what comes late is ignored",
        ),
    ],
)
def test_playbook(script: str) -> None:
    """The table answers this transcript word for word."""
    assert play(script) == wanted(script)


@pytest.mark.parametrize("state", sorted(set(State) - flow.OVER - {State.PLANNING}))
@pytest.mark.parametrize("event", [CallerHungUp(), LineFailed(408), MediaLost(), flow.OperatorHungUp()])
def test_line_down_ends_every_answered_state(state: State, event: Event) -> None:
    """Wherever an answered call stands, a line that is gone ends it."""
    assert flow.advance(state, event) == (State.ENDED, (Command.HANG_UP,))


@pytest.mark.parametrize("state", sorted(flow.OVER))
@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_nothing_leads_out_of_the_end(state: State, event: Event) -> None:
    """A call that is over stays over, whatever still arrives."""
    assert flow.advance(state, event) == (state, ())


@pytest.mark.parametrize("event", sorted(flow.ON_SCHEDULE, key=str))
def test_out_of_turn_is_a_mistake(event: type[Event]) -> None:
    """What the driver produces in sequence raises when it comes out of turn."""
    with pytest.raises(IllegalEventError, match=event.__name__):
        flow.advance(State.PAUSED, EXAMPLES[event.__name__])


def test_gate_opens_only_behind_disclosure_and_consent() -> None:
    """No row opens the gate except those that settle consent, and those that come back to a conversation."""
    openers = {(state, event.__name__) for (state, event), (_, out) in flow.TABLE.items() if Command.OPEN_GATE in out}
    assert openers == {
        (State.ASKING, "ConsentNotAsked"),
        (State.ASKING, "ConsentGiven"),
        (State.ASKING, "ConsentRefusedCallGoesOn"),
        (State.PAUSED, "ResumeAsked"),
        (State.TRANSFERRING, "TransferFailed"),
    }


def test_every_way_to_the_end_has_a_reason() -> None:
    """Each event that brings a call to its end says why and by whom."""
    for (_, event), (to, _) in flow.TABLE.items():
        if to in {State.CLOSING, State.ENDED} and event is not flow.LastWordsSpoken:
            assert flow.ending(EXAMPLES[event.__name__]) is not None, event


def test_every_state_can_be_reached_and_left() -> None:
    """The table has no island and no trap."""
    reached = {to for to, _ in flow.TABLE.values()} | {State.PLANNING}
    left = {state for state, _ in flow.TABLE}
    assert reached == set(State)
    assert left == set(State) - flow.OVER


def test_mermaid_shows_each_state() -> None:
    """The diagram for README is a state diagram and names every state."""
    drawn = flow.mermaid()
    assert drawn.startswith("stateDiagram-v2\n    [*] --> planning\n")
    assert all(f" {state}" in drawn for state in State)

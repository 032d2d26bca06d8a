"""The lifecycle of a call: one table, state and event to next state and commands.

Events are what happened (past tense), commands are what to do now (imperative). `advance` is pure: whoever drives a
call feeds it events in the order in which they happened and carries out the commands in the order in which they come
back. A command belongs to the event that caused it, so its details (a SIP status, a transfer target) are read there.

What the table has no row for is decided by one rule: an event that the driver itself produces in sequence and that
comes at the wrong time is a programming mistake and raises; every other event may cross with a change of state, means
nothing where it has no row, and is ignored (`ON_SCHEDULE` lists the former).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Literal

from policies.line_events import CallerHungUp, LineFailed, MediaLost


@unique
class State(StrEnum):
    """Where a call stands."""

    PLANNING = "planning"
    """An INVITE is there and the desk has been asked what to do with it."""
    ANSWERING = "answering"
    """200 has been sent; the ACK is awaited."""
    DISCLOSING = "disclosing"
    """The caller hears that an AI speaks and whether the call is recorded. Nothing can cut it."""
    ASKING = "asking"
    """Consent is being settled; the caller's voice stays inside this process."""
    CONVERSING = "conversing"
    """The model hears the caller and the caller hears the model."""
    PAUSED = "paused"
    """Recording, transcript and the model's ear stand still."""
    TRANSFERRING = "transferring"
    """A REFER is out; if it fails, the conversation goes on."""
    LEAVING = "leaving"
    """A REFER is out, and there is no conversation to come back to."""
    FALLING_BACK = "falling_back"
    """There is no model; the caller is being told so."""
    TAKING_MESSAGE = "taking_message"
    """The caller speaks a message into the recording."""
    CLOSING = "closing"
    """The last words are on their way to the caller."""
    REFUSED = "refused"
    """The call was never answered by us."""
    ENDED = "ended"
    """The line is down."""


@unique
class Command(StrEnum):
    """What the driver of a call is to do."""

    ANSWER = "answer"
    REFUSE = "refuse"
    PLAY_DISCLOSURE = "play_disclosure"
    CONNECT_MODEL = "connect_model"
    RECORD_IF_DUE = "record_if_due"
    """Start recording if it is allowed and the plan says from this moment on."""
    DISCARD_RECORDING = "discard_recording"
    """The caller said no: keep neither sound nor words."""
    DECIDE_CONSENT = "decide_consent"
    OPEN_GATE = "open_gate"
    SHUT_GATE = "shut_gate"
    START_CONVERSATION = "start_conversation"
    CHECK_MODEL = "check_model"
    """Report again that the model is gone, should that have happened while nobody could act on it."""
    PAUSE = "pause"
    RESUME = "resume"
    ASK_STILL_THERE = "ask_still_there"
    REFER = "refer"
    TELL_TRANSFER_FAILED = "tell_transfer_failed"
    TELL_MODEL_LOST = "tell_model_lost"
    TAKE_MESSAGE = "take_message"
    LET_AGENT_FINISH = "let_agent_finish"
    """Let the agent's own goodbye play out; say ours if it has none."""
    SAY_GOODBYE = "say_goodbye"
    SAY_DRAIN_GOODBYE = "say_drain_goodbye"
    SAY_TIME_IS_UP = "say_time_is_up"
    SAY_MESSAGE_TAKEN = "say_message_taken"
    SAY_TRANSFER_FAILED_AND_GOODBYE = "say_transfer_failed_and_goodbye"
    HANG_UP = "hang_up"


@dataclass(frozen=True, slots=True)
class PlanGranted:
    """The desk, or its spare plan, says how to answer."""


@dataclass(frozen=True, slots=True)
class PlanDenied:
    """No such number (404), tenant at its limit (486), or nobody to ask (503)."""

    sip_status: int
    reason: str


@dataclass(frozen=True, slots=True)
class AnswerAcknowledged:
    """The ACK to our 200 came."""


@dataclass(frozen=True, slots=True)
class DisclosurePlayed:
    """Its last frame has gone to the wire."""


@dataclass(frozen=True, slots=True)
class ConsentNotAsked:
    """Nothing obliges us to ask."""


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """A yes, by key or by voice."""


@dataclass(frozen=True, slots=True)
class ConsentRefusedCallGoesOn:
    """A no, or no answer; the scenario goes on unrecorded."""


@dataclass(frozen=True, slots=True)
class ConsentRefusedCallTransfers:
    """A no, or no answer; the scenario sends such callers elsewhere."""

    target_id: str


@dataclass(frozen=True, slots=True)
class ConsentRefusedCallEnds:
    """A no, or no answer; the scenario ends such calls."""


@dataclass(frozen=True, slots=True)
class ModelGivenUp:
    """No connection to the model, and the one reconnect failed as well."""


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """Someone wants a stretch that nobody keeps."""

    by: str


@dataclass(frozen=True, slots=True)
class ResumeAsked:
    """The stretch is over."""

    by: str


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The agent, or an operator, wants the caller to be sent elsewhere."""

    target_id: str
    by: Literal["agent", "operator"]


@dataclass(frozen=True, slots=True)
class TransferSucceeded:
    """The other side took the caller."""


@dataclass(frozen=True, slots=True)
class TransferFailed:
    """The other side did not; the final status it gave."""

    sip_status: int


@dataclass(frozen=True, slots=True)
class HangUpAsked:
    """The agent considers the conversation finished."""


@dataclass(frozen=True, slots=True)
class OperatorHungUp:
    """Somebody in charge ended the call."""


@dataclass(frozen=True, slots=True)
class CallerFellSilent:
    """Neither side has spoken for the agreed time."""


@dataclass(frozen=True, slots=True)
class CallerStayedSilent:
    """Nor after having been asked."""


@dataclass(frozen=True, slots=True)
class TimeRanOut:
    """The call reached its longest duration."""


@dataclass(frozen=True, slots=True)
class ShutdownCame:
    """This process has to stop and has waited as long as it may."""


@dataclass(frozen=True, slots=True)
class FaultCame:
    """Something of ours is broken, and this call cannot go on."""


@dataclass(frozen=True, slots=True)
class FallbackTakesMessage:
    """The caller knows that there is no agent and may leave a message."""


@dataclass(frozen=True, slots=True)
class FallbackTransfers:
    """The caller knows that there is no agent and is sent elsewhere."""

    target_id: str


@dataclass(frozen=True, slots=True)
class FallbackEnds:
    """The caller knows that there is no agent and that this is all."""


@dataclass(frozen=True, slots=True)
class MessageEnded:
    """The caller's message is over."""


@dataclass(frozen=True, slots=True)
class LastWordsSpoken:
    """Everything that was to be said has gone to the wire."""


Event = (
    PlanGranted
    | PlanDenied
    | AnswerAcknowledged
    | DisclosurePlayed
    | ConsentNotAsked
    | ConsentGiven
    | ConsentRefusedCallGoesOn
    | ConsentRefusedCallTransfers
    | ConsentRefusedCallEnds
    | ModelGivenUp
    | PauseAsked
    | ResumeAsked
    | TransferAsked
    | TransferSucceeded
    | TransferFailed
    | HangUpAsked
    | OperatorHungUp
    | CallerFellSilent
    | CallerStayedSilent
    | TimeRanOut
    | ShutdownCame
    | FaultCame
    | FallbackTakesMessage
    | FallbackTransfers
    | FallbackEnds
    | MessageEnded
    | LastWordsSpoken
    | CallerHungUp
    | LineFailed
    | MediaLost
)

Step = tuple[State, tuple[Command, ...]]
S, C = State, Command  # the table reads better with short names

_ROWS: dict[tuple[State, type[Event]], Step] = {
    (S.PLANNING, PlanGranted): (S.ANSWERING, (C.ANSWER,)),
    (S.PLANNING, PlanDenied): (S.REFUSED, (C.REFUSE,)),
    (S.ANSWERING, AnswerAcknowledged): (S.DISCLOSING, (C.PLAY_DISCLOSURE, C.RECORD_IF_DUE, C.CONNECT_MODEL)),
    (S.DISCLOSING, DisclosurePlayed): (S.ASKING, (C.RECORD_IF_DUE, C.DECIDE_CONSENT)),
    (S.ASKING, ConsentNotAsked): (S.CONVERSING, (C.RECORD_IF_DUE, C.OPEN_GATE, C.START_CONVERSATION)),
    (S.ASKING, ConsentGiven): (S.CONVERSING, (C.RECORD_IF_DUE, C.OPEN_GATE, C.START_CONVERSATION)),
    (S.ASKING, ConsentRefusedCallGoesOn): (S.CONVERSING, (C.DISCARD_RECORDING, C.OPEN_GATE, C.START_CONVERSATION)),
    (S.ASKING, ConsentRefusedCallTransfers): (S.LEAVING, (C.DISCARD_RECORDING, C.REFER)),
    (S.ASKING, ConsentRefusedCallEnds): (S.CLOSING, (C.DISCARD_RECORDING, C.SAY_GOODBYE)),
    (S.CONVERSING, ModelGivenUp): (S.FALLING_BACK, (C.SHUT_GATE, C.TELL_MODEL_LOST)),
    (S.CONVERSING, PauseAsked): (S.PAUSED, (C.SHUT_GATE, C.PAUSE)),
    (S.CONVERSING, TransferAsked): (S.TRANSFERRING, (C.SHUT_GATE, C.REFER)),
    (S.CONVERSING, HangUpAsked): (S.CLOSING, (C.SHUT_GATE, C.LET_AGENT_FINISH)),
    (S.CONVERSING, CallerFellSilent): (S.CONVERSING, (C.ASK_STILL_THERE,)),
    (S.CONVERSING, CallerStayedSilent): (S.CLOSING, (C.SHUT_GATE, C.SAY_GOODBYE)),
    (S.PAUSED, ResumeAsked): (S.CONVERSING, (C.RESUME, C.OPEN_GATE, C.CHECK_MODEL)),
    (S.PAUSED, HangUpAsked): (S.CLOSING, (C.LET_AGENT_FINISH,)),
    (S.TRANSFERRING, TransferSucceeded): (S.ENDED, (C.HANG_UP,)),
    (S.TRANSFERRING, TransferFailed): (S.CONVERSING, (C.TELL_TRANSFER_FAILED, C.OPEN_GATE, C.CHECK_MODEL)),
    (S.LEAVING, TransferSucceeded): (S.ENDED, (C.HANG_UP,)),
    (S.LEAVING, TransferFailed): (S.CLOSING, (C.SAY_TRANSFER_FAILED_AND_GOODBYE,)),
    (S.FALLING_BACK, FallbackTakesMessage): (S.TAKING_MESSAGE, (C.TAKE_MESSAGE,)),
    (S.FALLING_BACK, FallbackTransfers): (S.LEAVING, (C.REFER,)),
    (S.FALLING_BACK, FallbackEnds): (S.CLOSING, (C.SAY_GOODBYE,)),
    (S.TAKING_MESSAGE, MessageEnded): (S.CLOSING, (C.SAY_MESSAGE_TAKEN,)),
    (S.CLOSING, LastWordsSpoken): (S.ENDED, (C.HANG_UP,)),
}

OVER = frozenset({S.REFUSED, S.ENDED})
"""Nothing leads out of these."""
_ANSWERED = frozenset(S) - OVER - {S.PLANNING}
_SPEAKING = _ANSWERED - {S.ANSWERING, S.CLOSING}


def _full_table() -> dict[tuple[State, type[Event]], Step]:
    """The rows above, and those which hold in many states."""
    table = dict(_ROWS)
    lost: tuple[type[Event], ...] = (CallerHungUp, LineFailed, MediaLost, OperatorHungUp)
    for event in lost:
        table[S.PLANNING, event] = (S.ENDED, ())
        for state in _ANSWERED:
            table[state, event] = (S.ENDED, (C.HANG_UP,))
    for event in (ShutdownCame, FaultCame):
        table[S.PLANNING, event] = (S.REFUSED, (C.REFUSE,))
        table[S.ANSWERING, event] = (S.ENDED, (C.HANG_UP,))
    for state in _SPEAKING:
        shut = () if state in {S.DISCLOSING, S.ASKING} else (C.SHUT_GATE,)
        table[state, TimeRanOut] = (S.CLOSING, (*shut, C.SAY_TIME_IS_UP))
        table[state, ShutdownCame] = (S.CLOSING, (*shut, C.SAY_DRAIN_GOODBYE))
        table[state, FaultCame] = (S.CLOSING, (*shut, C.SAY_GOODBYE))
    return table


TABLE: Mapping[tuple[State, type[Event]], Step] = _full_table()

ON_SCHEDULE: frozenset[type[Event]] = frozenset(
    {
        PlanGranted,
        PlanDenied,
        AnswerAcknowledged,
        DisclosurePlayed,
        ConsentNotAsked,
        ConsentGiven,
        ConsentRefusedCallGoesOn,
        ConsentRefusedCallTransfers,
        ConsentRefusedCallEnds,
        FallbackTakesMessage,
        FallbackTransfers,
        FallbackEnds,
    }
)
"""Events the driver produces in sequence: at the wrong time a mistake, unless the call closes or is over by then."""


class IllegalEventError(Exception):
    """The driver fed an event of `ON_SCHEDULE` in a state where it cannot happen."""


def advance(state: State, event: Event) -> Step:
    """The next state and what to do on the way there.

    Raises:
        IllegalEventError: The event is one of `ON_SCHEDULE` and out of turn.
    """
    step = TABLE.get((state, type(event)))
    if step is not None:
        return step
    if type(event) in ON_SCHEDULE and state not in OVER and state is not State.CLOSING:
        raise IllegalEventError(f"{type(event).__name__} while {state}")
    return state, ()


Ender = Literal["caller", "agent", "operator", "system"]

_ENDINGS: dict[type[Event], tuple[str, Ender]] = {
    CallerHungUp: ("caller_hung_up", "caller"),
    LineFailed: ("line_failed", "system"),
    MediaLost: ("media_lost", "system"),
    OperatorHungUp: ("operator_hung_up", "operator"),
    HangUpAsked: ("agent_hung_up", "agent"),
    ConsentRefusedCallEnds: ("consent_refused", "caller"),
    CallerStayedSilent: ("caller_silent", "system"),
    TimeRanOut: ("time_ran_out", "system"),
    ShutdownCame: ("shutdown", "system"),
    FaultCame: ("fault", "system"),
    TransferSucceeded: ("transferred", "agent"),
    TransferFailed: ("transfer_failed", "system"),
    FallbackEnds: ("model_lost", "system"),
    MessageEnded: ("message_taken", "system"),
}
END_REASONS: tuple[str, ...] = (*(reason for reason, _ in _ENDINGS.values()), "worker_lost")
"""All that a call can have ended by; the last one is told by the desk, of a call whose worker died."""


def ending(event: Event) -> tuple[str, Ender] | None:
    """Why and by whom a call ends that this event brings to `CLOSING` or `ENDED`; None for events that do neither."""
    return _ENDINGS.get(type(event))


def mermaid() -> str:
    """The table as a mermaid state diagram, for README, without what ends every state alike and would hide the rest."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.PLANNING}"]
    lines += [f"    {state} --> {to}: {event.__name__}" for (state, event), (to, _) in _ROWS.items()]
    lines += [f"    {state} --> [*]" for state in State if state in OVER]
    return "\n".join(lines) + "\n"

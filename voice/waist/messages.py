"""Small messages between a worker and the desk on a Unix stream socket, each request with a deadline.

On the wire: a length (u32, big endian) and an `Envelope` in MessagePack. Requests and replies share a number; number 0
is a notice that wants no reply. Requests flow both ways: a worker asks for plans and tools, the desk gives commands.

Operators (command line, admin, supervisor) speak the same protocol on a second socket that only the desk's own user may
open, so that an exploited worker can neither see nor command its neighbours' calls.
"""

import struct
from typing import Literal

import msgspec

from policies.audit_tags import OPERATOR, Actor
from policies.problems import Problem
from voice.waist.plan import CallPlan

LENGTH = struct.Struct(">I")
LONGEST_MESSAGE = 8 << 20


class DeskAwayError(Exception):
    """An operator finds no desk that answers; says what to do."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all that can stand in an envelope."""


# --- from a worker to the desk ---------------------------------------------------------------------------------------


class WorkerIntroduced(Message, frozen=True, kw_only=True):
    """First message on a connection (notice)."""

    worker: str


class PlanRequested(Message, frozen=True, kw_only=True):
    """A call for `called` has come in. Answered by `PlanGranted` or `PlanDenied`."""

    called: str
    caller: str | None
    trunk: str
    sip_call_id: str
    spare_wanted: bool = False
    """Ask for a second plan for the same number, to answer one call with while the desk is away."""


class TokenRequested(Message, frozen=True, kw_only=True):
    """A call wants to connect, or reconnect, to its model. Answered by `TokenMinted` or `TokenDenied`."""

    session_id: str
    tenant_id: str
    project_id: str


class ToolRequested(Message, frozen=True, kw_only=True):
    """The model called a tool that the desk runs. Answered by `ToolDone`."""

    session_id: str
    tenant_id: str
    project_id: str
    name: str
    arguments: dict[str, object]


class CallStateChanged(Message, frozen=True, kw_only=True):
    """What a live view shows (notice)."""

    session_id: str
    state: str


class TurnHeard(Message, frozen=True, kw_only=True):
    """A turn, as it is spoken, for a live view (notice)."""

    session_id: str
    role: Literal["caller", "agent"]
    text: str


class TurnSounding(Message, frozen=True, kw_only=True):
    """The agent's turn while it is being heard, as far as it has come, for a live view (notice)."""

    session_id: str
    text: str


class CallClosed(Message, frozen=True, kw_only=True):
    """Journal and recording are closed and may be ingested (notice)."""

    session_id: str


# --- from the desk to a worker ---------------------------------------------------------------------------------------


class PlanGranted(Message, frozen=True, kw_only=True):
    """Answer the call so."""

    plan: CallPlan
    spare: CallPlan | None = None


class PlanDenied(Message, frozen=True, kw_only=True):
    """Refuse the call so: 404 no such number or no scenario, 486 the tenant is at its limit.

    503 when the desk cannot know, because the database or a voice is away: a worker that holds a spare plan uses it.
    """

    sip_status: int
    reason: str


class TokenMinted(Message, frozen=True, kw_only=True):
    """A short-lived token for one model connection."""

    token: str
    expires_at_unix: int
    sent_bytes: int = 0
    """What asking the provider for it took, for the call's journal."""
    received_bytes: int = 0


class TokenDenied(Message, frozen=True, kw_only=True):
    """No token can be had; `code` says why."""

    code: str


class ToolDone(Message, frozen=True, kw_only=True):
    """What the tool returned, for the model."""

    ok: bool
    result: dict[str, object]


class HangUpOrdered(Message, frozen=True, kw_only=True):
    """An operator ends the call. Answered by `Done`."""

    session_id: str
    ordered_by: Actor = OPERATOR
    """For the audit log."""


class TransferOrdered(Message, frozen=True, kw_only=True):
    """An operator sends the caller elsewhere. Answered by `Done`."""

    session_id: str
    target_id: str
    ordered_by: Actor = OPERATOR


class PauseOrdered(Message, frozen=True, kw_only=True):
    """Stop recording, transcript and the model's ear. Answered by `Done`."""

    session_id: str
    by: str
    ordered_by: Actor = OPERATOR


class ResumeOrdered(Message, frozen=True, kw_only=True):
    """Go on with them. Answered by `Done`."""

    session_id: str
    by: str
    ordered_by: Actor = OPERATOR


class Done(Message, frozen=True, kw_only=True):
    """Whether an order was carried out, and if not why."""

    ok: bool
    why: str = ""


# --- on the operators' socket ----------------------------------------------------------------------------------------


class LiveCallsRequested(Message, frozen=True, kw_only=True):
    """Which calls are up? Answered by `LiveCallsListed`."""

    tenant_id: str | None = None
    """Only this tenant's; None for all."""


class LiveCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call that is up, as the desk knows it."""

    session_id: str
    tenant_id: str
    project_id: str
    worker: str
    state: str
    """One of `policies.call_flow`; "planned" until the worker has said more."""
    turns: int
    since_unix: float
    sip_call_id: str = ""
    """Empty where the desk has not planned the call itself."""


class LiveCallsListed(Message, frozen=True, kw_only=True):
    """The calls that are up, oldest first."""

    calls: tuple[LiveCall, ...]


class LiveTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn, as it was spoken."""

    role: Literal["caller", "agent"]
    text: str


class WatchRequested(Message, frozen=True, kw_only=True):
    """Tell this connection of every change of every call from now on. Answered by `WatchBegun`, then notices."""


class WatchedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is up when a watch begins, with what was said last."""

    call: LiveCall
    turns: tuple[LiveTurn, ...]


class WatchBegun(Message, frozen=True, kw_only=True):
    """The calls that are up, oldest first; whatever changes afterwards is told."""

    calls: tuple[WatchedCall, ...]


class LiveCallChanged(Message, frozen=True, kw_only=True):
    """A call is new, has moved on, or is over ("ended") (notice to whoever watches)."""

    call: LiveCall


class LiveTurnHeard(Message, frozen=True, kw_only=True):
    """Somebody has said something, or goes on saying it (notice to whoever watches)."""

    session_id: str
    number: int
    """Of the turn in its call, from 0. The same number again replaces the text."""
    turn: LiveTurn
    is_whole: bool
    """False while it is still being heard."""


class ProblemsRequested(Message, frozen=True, kw_only=True):
    """What does not work now? Answered by `ProblemsListed`."""


class ProblemsListed(Message, frozen=True, kw_only=True):
    """Of database, objects and disks."""

    problems: tuple[Problem, ...]


class ClipsWanted(Message, frozen=True, kw_only=True):
    """A wording was saved: render what this tenant's calls may have to say. Answered by `Done`."""

    tenant_id: str


class SpeechWanted(Message, frozen=True, kw_only=True):
    """How does this sentence sound to a caller of the project? Answered by `SpeechRendered`."""

    tenant_id: str
    project_id: str
    text: str
    language: str
    """BCP 47."""
    voice: str
    """The scenario's; empty for the server's own choice."""


class SpeechRendered(Message, frozen=True, kw_only=True):
    """G.711 mu-law at 8 kHz; empty where no voice can say it now."""

    audio: bytes


class NumberTested(Message, frozen=True, kw_only=True):
    """Would a call to this number of the tenant be answered now? Answered by `NumberJudged`."""

    tenant_id: str
    called: str


class NumberJudged(Message, frozen=True, kw_only=True):
    """200 where it would; else what the caller's side would get, and why."""

    sip_status: int
    reason: str


class TurnsRequested(Message, frozen=True, kw_only=True):
    """What has been said in this call, from the turn of this number on? Answered by `TurnsListed`."""

    sip_call_id: str
    after: int = 0


class TurnsListed(Message, frozen=True, kw_only=True):
    """The turns asked for; no session where no such call is up."""

    session_id: str | None
    turns: tuple[LiveTurn, ...]


class TrunksRequested(Message, frozen=True, kw_only=True):
    """Which trunks may send calls? Answered by `TrunksListed`."""


class TrunkTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One trunk, as the edge has to know it."""

    id: str
    networks: tuple[str, ...]
    """CIDR."""
    transports: tuple[str, ...]
    """Of "udp", "tcp", "tls"."""
    srtp: Literal["off", "optional", "mandatory"]
    min_tls: Literal["1.2", "1.3"]


class TrunksListed(Message, frozen=True, kw_only=True):
    """All trunks of all tenants."""

    trunks: tuple[TrunkTerms, ...]


AnyMessage = (
    WorkerIntroduced
    | PlanRequested
    | TokenRequested
    | ToolRequested
    | CallStateChanged
    | TurnHeard
    | TurnSounding
    | CallClosed
    | PlanGranted
    | PlanDenied
    | TokenMinted
    | TokenDenied
    | ToolDone
    | HangUpOrdered
    | TransferOrdered
    | PauseOrdered
    | ResumeOrdered
    | Done
    | LiveCallsRequested
    | LiveCallsListed
    | WatchRequested
    | WatchBegun
    | LiveCallChanged
    | LiveTurnHeard
    | ProblemsRequested
    | ProblemsListed
    | ClipsWanted
    | SpeechWanted
    | SpeechRendered
    | NumberTested
    | NumberJudged
    | TurnsRequested
    | TurnsListed
    | TrunksRequested
    | TrunksListed
)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One message on its way."""

    number: int
    """0: a notice. A positive number: a request, or the reply to it."""
    is_reply: bool
    body: AnyMessage


_encode = msgspec.msgpack.Encoder().encode
decode_envelope = msgspec.msgpack.Decoder(Envelope).decode


def frame(envelope: Envelope) -> bytes:
    """The envelope as bytes for the socket."""
    content = _encode(envelope)
    return LENGTH.pack(len(content)) + content

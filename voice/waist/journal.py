"""The journal of one call: an append-only file of sealed records.

With the recording it is all that a call leaves behind.

File: the line `AITJ1`, a length (u32, big endian) and the header in plain JSON, which names no person; then records,
each a length (u32) and a ciphertext. Each record is AES-256-GCM under a key derived from the call's data key; its nonce
is its number and its additional data the hash of the header, so records can be neither swapped, dropped from the
middle, nor moved to another file. A file cut short by a killed worker is readable up to its last whole record.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"AITJ1\n"
_LENGTH = struct.Struct(">I")
_LONGEST_RECORD = 1 << 20


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Says whose call this is and carries the wrapped key that opens the rest."""

    version: int = 1
    session_id: str
    tenant_id: str
    project_id: str
    scenario_id: str
    scenario_version: int
    wrapped_data_key: bytes
    started_at_unix_ms: int


class Record(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What happened, in the past tense. `at_ms` counts from the call's start by the monotonic clock."""

    at_ms: int


class CallArrived(Record, frozen=True, kw_only=True):
    """An INVITE reached the worker."""

    sip_call_id: str
    called: str
    caller: str | None
    """As the caller's side claims it; None when withheld."""
    trunk: str
    language: str


class StateEntered(Record, frozen=True, kw_only=True):
    """The call moved on; states are those of `policies.call_flow`."""

    state: str
    because: str


class MediaAgreed(Record, frozen=True, kw_only=True):
    """Offer and answer met, at the start or after a re-INVITE."""

    codec: str
    srtp: str
    """The SRTP suite, or "none"."""


class DisclosurePlayed(Record, frozen=True, kw_only=True):
    """The disclosure went out whole. Sample offsets are of the media clock, 8,000 a second, from the answer."""

    wording_sha256: str
    language: str
    from_sample: int
    to_sample: int


class ConsentDecided(Record, frozen=True, kw_only=True):
    """What the caller answered, or that nobody had to ask."""

    verdict: Literal["not_asked", "given", "refused", "no_answer"]
    method: Literal["none", "key", "voice"]
    wording_sha256: str | None
    language: str
    at_sample: int


class GateOpened(Record, frozen=True, kw_only=True):
    """From this sample on the caller's voice goes to the model."""

    at_sample: int


class RecordingStarted(Record, frozen=True, kw_only=True):
    """The sink takes sound from this sample on."""

    at_sample: int


class RecordingPaused(Record, frozen=True, kw_only=True):
    """Recording, transcript and the model's ear stopped together."""

    at_sample: int
    by: str


class RecordingResumed(Record, frozen=True, kw_only=True):
    """They go on together."""

    at_sample: int
    by: str


class TurnSpoken(Record, frozen=True, kw_only=True):
    """One turn as it was really heard: an interrupted answer holds only the words that left the line."""

    role: Literal["caller", "agent"]
    text: str
    from_ms: int
    to_ms: int
    interrupted: bool = False


class TurnSounding(Record, frozen=True, kw_only=True):
    """The agent's turn that is being heard, as far as it has come. The next `TurnSpoken` of the agent replaces it."""

    text: str
    from_ms: int
    to_ms: int


class KeyPressed(Record, frozen=True, kw_only=True):
    """A DTMF digit; "*" in its place where words are not kept."""

    digit: str
    by: Literal["caller", "agent"]


class ToolCalled(Record, frozen=True, kw_only=True):
    """The model used a tool. Where words are not kept: with no arguments, and "ok" or "failed" as its outcome."""

    name: str
    arguments: dict[str, object]
    outcome: str
    took_ms: int


class MessageTaken(Record, frozen=True, kw_only=True):
    """The caller left a message, in words or as a stretch of the recording."""

    text: str
    from_sample: int | None = None
    to_sample: int | None = None


class TransferEnded(Record, frozen=True, kw_only=True):
    """A REFER was answered for good."""

    target_id: str
    sip_status: int


class ModelChanged(Record, frozen=True, kw_only=True):
    """The connection to the model came up, failed, or came back."""

    what: Literal["connected", "refused", "dropped", "error", "silent", "reconnected", "given_up"]
    code: str | None = None
    """The server's error code, where it sent one."""


class LatencyMeasured(Record, frozen=True, kw_only=True):
    """One figure, named for what it spans, such as "answer_to_first_audio"."""

    what: str
    took_ms: float


class UsageCounted(Record, frozen=True, kw_only=True):
    """Tokens of one response, as the model's server counted them."""

    input_text_tokens: int
    input_audio_tokens: int
    output_text_tokens: int
    output_audio_tokens: int
    cached_tokens: int


class DataExchanged(Record, frozen=True, kw_only=True):
    """What went to the model's server since the last of these records, and what came back; headers of TLS left out."""

    host: str
    sent_bytes: int
    received_bytes: int


class LineMeasured(Record, frozen=True, kw_only=True):
    """Quality of the line over the whole call (RFC 3550 statistics; MOS by the E-model, ITU-T G.107)."""

    codec: str
    received_packets: int
    lost_packets: int
    jitter_ms: float
    round_trip_ms: float | None
    mos: float


class SipMessageSeen(Record, frozen=True, kw_only=True):
    """One rung of the ladder. Holds the start line's method or status, never a body or a name."""

    direction: Literal["in", "out"]
    summary: str


class AlarmRaised(Record, frozen=True, kw_only=True):
    """Something an operator should know, named, never described with personal data."""

    what: str


class CallEnded(Record, frozen=True, kw_only=True):
    """The last record of a journal that was closed properly."""

    reason: str
    by: Literal["caller", "agent", "operator", "system"]
    recorded_samples: int
    heard_samples: int


AnyRecord = (
    CallArrived
    | StateEntered
    | MediaAgreed
    | DisclosurePlayed
    | ConsentDecided
    | GateOpened
    | RecordingStarted
    | RecordingPaused
    | RecordingResumed
    | TurnSpoken
    | TurnSounding
    | KeyPressed
    | ToolCalled
    | MessageTaken
    | TransferEnded
    | ModelChanged
    | LatencyMeasured
    | UsageCounted
    | LineMeasured
    | SipMessageSeen
    | AlarmRaised
    | DataExchanged
    | CallEnded
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyRecord).decode
_decode_header = msgspec.json.Decoder(Header).decode


class JournalDamagedError(Exception):
    """The file is not a journal, or a record in its middle does not authenticate."""


def _cipher(data_key: bytes) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), 32, None, b"aitelier journal v1").derive(data_key))


class JournalSealer:
    """Turns records into bytes to append; knows no file."""

    def __init__(self, header: Header, data_key: bytes) -> None:
        plain = msgspec.json.encode(header)
        self.preamble = MAGIC + _LENGTH.pack(len(plain)) + plain
        """To be written first."""
        self._bound_to = hashlib.sha256(self.preamble).digest()
        self._cipher = _cipher(data_key)
        self._number = 0

    def seal(self, record: AnyRecord) -> bytes:
        """The record as bytes for the end of the file."""
        nonce = self._number.to_bytes(12, "big")
        self._number += 1
        sealed = self._cipher.encrypt(nonce, _encode(record), self._bound_to)
        return _LENGTH.pack(len(sealed)) + sealed


def read_header(content: bytes) -> Header:
    """The header of a journal file.

    Raises:
        JournalDamagedError: The file does not start as a journal does.
    """
    return _split(content)[0]


def open_records(content: bytes, data_key: bytes) -> Iterator[AnyRecord]:
    """Every whole record in order; a tail cut short ends the iteration quietly.

    Raises:
        JournalDamagedError: A whole record does not authenticate.
    """
    _, at = _split(content)
    bound_to = hashlib.sha256(content[:at]).digest()
    cipher = _cipher(data_key)
    number = 0
    while at + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        sealed = content[at + _LENGTH.size : at + _LENGTH.size + length]
        if len(sealed) < length:
            return
        try:
            plain = cipher.decrypt(number.to_bytes(12, "big"), sealed, bound_to)
        except InvalidTag as error:
            raise JournalDamagedError(f"record {number} does not authenticate") from error
        yield _decode(plain)
        number += 1
        at += _LENGTH.size + length


def _split(content: bytes) -> tuple[Header, int]:
    start = len(MAGIC) + _LENGTH.size
    if not content.startswith(MAGIC) or len(content) < start:
        raise JournalDamagedError("not a journal")
    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    if length > _LONGEST_RECORD or len(content) < start + length:
        raise JournalDamagedError("the header is cut short")
    try:
        header = _decode_header(content[start : start + length])
    except msgspec.MsgspecError as error:
        raise JournalDamagedError("the header cannot be read") from error
    return header, start + length

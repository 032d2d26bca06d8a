"""A call as a vCon, the container that the IETF makes for conversations (draft-ietf-vcon-vcon-core-04).

The recording stands inside, so that the one file is the whole call; it is written piece by piece for the same reason.
Where there is none, each turn is a dialog of its own; otherwise the turns are an analysis of the recording.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from store.journals import ConsentEvent, TakenMessage, Turn
from store.recordings import SAMPLES_PER_SECOND, Recording
from store.sessions import Session

_SYNTAX: Final = "0.4.0"
_CALLER, _AGENT = 0, 1
"""Places in `parties`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """What a vCon is made of."""

    session: Session
    business: str
    turns: Sequence[Turn]
    consent: Sequence[ConsentEvent]
    messages: Sequence[TakenMessage]
    recording: Recording | None
    """Opened, when there is one that can be heard."""


async def write_vcon(call: CallParts, created_at: datetime) -> AsyncIterator[bytes]:
    """The JSON of the call's vCon, in pieces. Raises as `Recording.read` does."""
    place = secrets.token_hex(16)  # nobody can have said it in the call
    encoded = msgspec.json.encode(vcon(call, created_at, sound=place))
    if call.recording is None:
        yield encoded
        return
    before, after = encoded.split(place.encode())
    yield before
    async for piece in _base64url(call.recording.wav()):
        yield piece
    yield after


def vcon(call: CallParts, created_at: datetime, *, sound: str) -> dict[str, Any]:
    """The vCon; `sound` is what stands for the recording, if there is one."""
    dialogs = _turns_as_dialogs(call) if call.recording is None else [_sound_as_dialog(call, call.recording, sound)]
    return {
        "vcon": _SYNTAX,
        "uuid": str(call.session.id),
        "created_at": _moment(created_at),
        "parties": _parties(call),
        "dialog": dialogs,
        "analysis": [] if call.recording is None else [_transcript(call)],
        "attachments": _attachments(call) if dialogs else [],  # each needs a dialog that it belongs to
    }


def _parties(call: CallParts) -> list[dict[str, str]]:
    caller, called = call.session.caller, call.session.called
    return [
        {"name": "anonymous"} if caller is None else {"tel": f"tel:{caller}", "type": "person"},
        {"type": "bot", "org": call.business, **({"tel": f"tel:{called}"} if called.startswith("+") else {})},
    ]


def _sound_as_dialog(call: CallParts, recording: Recording, sound: str) -> dict[str, Any]:
    from_ms = recording.info.starts_at_sample * 1000 / SAMPLES_PER_SECOND
    return {
        "type": "recording",
        "start": _moment(_start(call) + timedelta(milliseconds=from_ms)),
        "duration": recording.samples / SAMPLES_PER_SECOND,
        "parties": [_CALLER, _AGENT],  # one for each channel: left and right
        "mediatype": "audio/x-wav",
        "filename": "recording.wav",
        "encoding": "base64url",
        "body": sound,
    }


def _turns_as_dialogs(call: CallParts) -> list[dict[str, Any]]:
    return [
        {
            "type": "text",
            "start": _moment(_start(call) + timedelta(milliseconds=turn.from_ms)),
            "duration": (turn.to_ms - turn.from_ms) / 1000,
            "parties": [_party(turn)],
            "mediatype": "text/plain",
            "encoding": "none",
            "body": turn.text,
        }
        for turn in call.turns
    ]


def _transcript(call: CallParts) -> dict[str, Any]:
    return {
        "type": "transcript",
        "dialog": 0,
        "vendor": "aitelier",
        "mediatype": "application/json",
        "encoding": "json",
        "body": [
            {"party": _party(turn), "text": turn.text, "from_ms": turn.from_ms, "to_ms": turn.to_ms}
            for turn in call.turns
        ],
    }


def _attachments(call: CallParts) -> list[dict[str, Any]]:
    def attached(purpose: str, body: object) -> dict[str, Any]:
        return {
            "purpose": purpose,
            "start": _moment(_start(call)),
            "party": _CALLER,
            "dialog": 0,
            "mediatype": "application/json",
            "encoding": "json",
            "body": body,
        }

    return [
        attached("consent", msgspec.to_builtins(call.consent)),
        *(attached("message", msgspec.to_builtins(message)) for message in call.messages),
    ]


def _party(turn: Turn) -> int:
    return _CALLER if turn.role == "caller" else _AGENT


def _start(call: CallParts) -> datetime:
    return call.session.started_at or call.session.planned_at


def _moment(moment: datetime) -> str:
    """RFC 3339, as the draft asks for."""
    return moment.isoformat(timespec="milliseconds")


async def _base64url(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """RFC 4648, 5, without padding, of all pieces together."""
    left = b""
    async for piece in pieces:
        left += piece
        whole = len(left) // 3 * 3
        yield base64.urlsafe_b64encode(left[:whole])
        left = left[whole:]
    yield base64.urlsafe_b64encode(left).rstrip(b"=")

"""A call as a vCon: what draft-ietf-vcon-vcon-core-04 asks for, with the very sound of the recording."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from store import conversation, recordings, sessions
from store.blobs import FolderBlobs
from store.dsar.vcon import CallParts, write_vcon
from store.engine import Database
from tests.database import Shop
from tests.store.dsar.callers import STARTED, Said, make_call

_INDEX = {"type": "integer", "minimum": 0}
_CONTENT = {
    "mediatype": {"type": "string"},
    "encoding": {"enum": ["base64url", "json", "none"]},
}
SCHEMA = {
    "type": "object",
    "required": ["uuid", "created_at", "parties", "dialog"],
    "additionalProperties": False,
    "properties": {
        "vcon": {"const": "0.4.0"},
        "uuid": {"type": "string"},
        "created_at": {"type": "string"},
        "parties": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"type": "string"} for name in ("tel", "name", "type", "org")},
            },
        },
        "dialog": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "start", "parties", "mediatype", "encoding", "body"],
                "additionalProperties": False,
                "properties": {
                    "type": {"enum": ["recording", "text"]},
                    "start": {"type": "string"},
                    "duration": {"type": "number", "minimum": 0},
                    "parties": {"type": "array", "items": _INDEX},
                    "filename": {"type": "string"},
                    "body": {"type": "string"},
                    **_CONTENT,
                },
            },
        },
        "analysis": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "vendor"],
                "additionalProperties": False,
                "properties": {
                    "type": {"type": "string"},
                    "vendor": {"type": "string"},
                    "dialog": _INDEX,
                    "body": {},
                    **_CONTENT,
                },
            },
        },
        "attachments": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["start", "party", "dialog"],
                "additionalProperties": False,
                "properties": {
                    "purpose": {"type": "string"},
                    "start": {"type": "string"},
                    "party": _INDEX,
                    "dialog": _INDEX,
                    "body": {},
                    **_CONTENT,
                },
            },
        },
    },
}
"""The objects that we use, with the parameters and values that the draft gives them (its sections 4.1 to 4.5)."""


async def _vcon(database: Database, blobs: FolderBlobs, shop: Shop, said: Said) -> tuple[dict[str, Any], CallParts]:
    session_id = await make_call(database, blobs, shop, said)
    async with database.tenant(shop.tenant_id) as store:
        session = await sessions.find_session(store, session_id, actor=OPERATOR)
        assert session is not None
        parts = CallParts(
            session=session,
            business="Bakery",
            turns=await conversation.turns_of(store, session_id, reader=READS_ALL),
            consent=await conversation.consent_of(store, session_id),
            messages=await conversation.messages_of(store, session_id, reader=READS_ALL),
            recording=await recordings.open_recording(store, blobs, session_id, reader=READS_ALL),
        )
    written = b"".join([piece async for piece in write_vcon(parts, datetime(2026, 11, 3, tzinfo=UTC))])
    return json.loads(written), parts


@pytest.mark.parametrize(
    "said",
    [Said(seconds=5), Said(seconds=0), Said(caller=None)],
    ids=["recorded", "unrecorded", "withheld number"],
)
async def test_it_is_what_the_draft_describes(database: Database, tmp_path: Path, bakery: Shop, said: Said) -> None:
    """Each object has the parameters it must have and no others, and each index names something that is there."""
    found, parts = await _vcon(database, FolderBlobs(tmp_path / "blobs"), bakery, said)
    jsonschema.validate(found, SCHEMA)
    assert found["uuid"] == str(parts.session.id)
    assert found["parties"][0] == (
        {"tel": f"tel:{said.caller}", "type": "person"} if said.caller else {"name": "anonymous"}
    )
    assert found["parties"][1]["org"] == "Bakery"
    for dialog in found["dialog"]:
        assert all(party < len(found["parties"]) for party in dialog["parties"])
    for other in (*found["analysis"], *found["attachments"]):
        assert other["dialog"] < len(found["dialog"])
    assert [attachment["purpose"] for attachment in found["attachments"]] == ["consent", "message"]


async def test_the_sound_is_the_recording(database: Database, tmp_path: Path, bakery: Shop) -> None:
    """The body decodes to the WAV file, whose channels are the caller and the agent, and starts when it started."""
    found, parts = await _vcon(database, FolderBlobs(tmp_path / "blobs"), bakery, Said(seconds=5))
    assert parts.recording is not None
    (dialog,) = found["dialog"]
    body = dialog["body"]
    sound = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    assert sound == b"".join([piece async for piece in parts.recording.wav()])
    assert (dialog["parties"], dialog["duration"]) == ([0, 1], 5.0)
    assert (datetime.fromisoformat(dialog["start"]) - STARTED).total_seconds() == 0.9
    assert [turn["party"] for turn in found["analysis"][0]["body"]] == [1, 0]


async def test_without_sound_each_turn_is_a_dialog(database: Database, tmp_path: Path, bakery: Shop) -> None:
    """An unrecorded call keeps its words, each with its speaker."""
    found, _ = await _vcon(database, FolderBlobs(tmp_path / "blobs"), bakery, Said(seconds=0))
    assert [(dialog["parties"], dialog["body"]) for dialog in found["dialog"]] == [
        ([1], "Guten Tag!"),
        ([0], "A purple giraffe <b>please</b>"),
    ]
    assert found["analysis"] == []

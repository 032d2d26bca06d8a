"""What an export of a caller's data contains: every column by name, and of the others why they are left out.

Nothing is exported because it happens to be in a row. A column that is named in neither list fails a test, so that
whoever adds one decides. Keys, and whatever else opens or finds data, are in no list of exported columns, and the
exporter copies the named ones only.
"""

from collections.abc import Mapping
from typing import Final

EXPORTED: Final[Mapping[str, tuple[str, ...]]] = {
    "sessions": (
        "id", "project_id", "state", "called", "caller_sealed", "language", "planned_at", "started_at", "ended_at",
        "ended_by", "end_reason", "heard_samples", "first_audio_ms", "reply_ms", "consent",
    ),
    "turns": ("ordinal", "role", "text_sealed", "from_ms", "to_ms", "interrupted"),
    "consent_events": (
        "ordinal", "at_ms", "kind", "verdict", "method", "wording_sha256", "language", "from_sample", "to_sample",
    ),
    "session_events": ("ordinal", "at_ms", "kind", "facts", "personal_sealed"),
    "messages": ("ordinal", "text_sealed", "from_sample", "to_sample"),
    "recordings": ("samples", "starts_at_sample", "created_at"),
    "usage_events": ("kind", "quantity", "happened_at"),
    "session_transfers": (
        "host", "purpose", "whose", "data", "countries", "transfer", "sent_bytes", "received_bytes",
    ),
    "dsar_cases": ("id", "wish", "origin", "received_at", "due_at", "closed_at", "outcome"),
}  # fmt: skip  # columns in the order of the tables
"""By table. What ends in `_sealed` is exported as the plain text."""

_OWN = "the tenant's own key for the row, which says nothing about the caller"
_LINK = "given by the folder that the row is exported in"

WITHHELD: Final[Mapping[str, Mapping[str, str]]] = {
    "sessions": {
        "caller_index": "finds calls of a number; the number itself is exported",
        "scenario_id": "which wording answered is the business's own affair",
        "scenario_version": "see scenario_id",
        "trunk": "how the business is connected to the telephone network",
        "recorded": "follows from the recording in the folder",
        "ingested_at": "when the server finished its own work",
    },
    "turns": {"session_id": _LINK},
    "consent_events": {"session_id": _LINK},
    "session_events": {"session_id": _LINK},
    "messages": {
        "session_id": _LINK,
        "created_at": "when the server took the call in; the call's own times are exported",
    },
    "recordings": {
        "session_id": _LINK,
        "blob": "where the sealed sound lies; the sound itself is exported",
        "sealed_bytes": "see blob",
    },
    "usage_events": {
        "id": _OWN,
        "project_id": "exported with the call",
        "project_stub": "stands for a project that is gone, and its calls with it",
        "session_id": _LINK,
    },
    "session_transfers": {"session_id": _LINK, "in_eu": "follows from the countries"},
    "dsar_cases": {
        "project_id": _OWN,
        "state": "follows from closed_at",
        "caller_sealed": "exported with the calls",
        "caller_index": "see sessions",
        "contact_sealed": "where the caller asked to be answered, and knows",
        "erasure_id": "for the receipt",
        "erased_objects": "for the receipt",
        "next_step": "which reminder the business gets next",
        "next_step_at": "see next_step",
        "receipt": "handed over when the case is closed",
    },
    "keys.data_keys": {
        "session_id": "a key",
        "wrapped": "a key",
        "created_at": "a key",
    },
}
"""By table and column, each with the reason. The tenant itself is named in the manifest."""

ROWS_PER_SECTION: Final = 10_000
"""Of each section of a call at most so many rows are exported; the others are counted."""

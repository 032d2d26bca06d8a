"""One JSON text for one value: what an audit log hashes (RFC 8785)."""

import json
from typing import Any

import rfc8785

_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False)


def canonical(value: dict[str, Any]) -> str:
    """The text of a value whose keys are ASCII and whose numbers are whole: all that a log says.

    The same as `rfc8785.dumps` in a tenth of the time. They differ where keys have to be sorted by UTF-16 code units
    and where fractions are written, so what others may have written is held against `is_canonical`.
    """
    return _PLAIN.encode(value)


def is_canonical(text: str, value: dict[str, Any]) -> bool:
    """Whether this is the one text of the value, whatever its keys are."""
    return _PLAIN.encode(value) == text or rfc8785.dumps(value).decode() == text

"""The words of the erasure manifest (`policies.erasure`): what becomes of a row, and what a column holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Fate(StrEnum):
    """What becomes of a row."""

    DELETED = "deleted"
    CUT_OFF = "cut_off"
    """It stays, under a new random id and without anything that leads back."""
    KEPT = "kept"
    """It stays as it is; the table says why, and for how long."""
    UNTOUCHED = "untouched"
    """It has nothing to do with what goes."""


class Holds(StrEnum):
    """What a column holds, and so what becomes of it where its row stays."""

    ID = "id"
    """Random or counted: says nothing by itself."""
    FACT = "fact"
    """Nothing about a caller."""
    BUSINESS = "business"
    """The business's own words, names and numbers."""
    CALL_SEALED = "call_sealed"
    """Sealed under the call's data key: lost, also in backups, once that is shredded."""
    TENANT_SEALED = "tenant_sealed"
    """Sealed under a key of the tenant, and gone when its own purpose is."""
    PERSON_SEALED = "person_sealed"
    """Sealed under a key of the one person it is about: lost once that is deleted."""
    WRAPPED_KEY = "wrapped_key"
    """A key, wrapped by the one above it."""
    INDEX = "index"
    """A blind index: finds rows of a person, for those who hold the tenant's key."""
    HASH = "hash"
    """Something that we only check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRule:
    """What becomes of the rows of a table."""

    call: Fate
    """When the call that a row belongs to is erased."""
    project: Fate
    """When the project that a row belongs to is wiped."""
    columns: Mapping[str, Holds]
    """All but `tenant_id`, which every table has."""
    link: str | None = None
    """The column that names the call."""
    why: str = ""
    """Of what stays: why it may, and until when."""


def columns(**kinds: str) -> Mapping[str, Holds]:
    """By name, from the names of each kind."""
    return MappingProxyType({name: Holds[kind.upper()] for kind, names in kinds.items() for name in names.split()})

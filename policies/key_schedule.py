"""When keys are renewed, when that is late, and when an old one may be destroyed."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from policies.retention import BACKUP_DAYS

ROTATE_DAYS: Final = 90
OVERDUE_DAYS: Final = 97
"""A week after a key was due the job that renews it has failed often enough for an operator to look."""
MOST_SEALS: Final = 1 << 30
"""Of one AES-GCM key with random nonces: a quarter of the 2^32 that NIST SP 800-38D section 8.3 allows."""
OVERDUE_SEALS: Final = 1 << 31
ROOT_DAYS: Final = 365
"""About a year, as NIST SP 800-57 part 1 rev. 5, 5.3.6 has it for a symmetric master key. The operator renews it."""
ROOT_OVERDUE_DAYS: Final = 395
"""A month later nobody has."""


class Purpose(StrEnum):
    """What a key of a tenant is for."""

    WRAPPING = "wrapping"
    """Wraps the keys of calls, and of persons in the audit log."""
    INDEX = "index"
    """Makes the blind indexes by which a number is found."""
    COLUMNS = "columns"
    """Seals what is personal, or secret, and belongs to no call."""
    SIGNING = "signing"
    """The operator's: makes the keys that sign audit logs, which auditors hold us to. Not renewed."""


RENEWED: Final = (Purpose.WRAPPING, Purpose.INDEX, Purpose.COLUMNS)


def is_due(created_at: datetime, seals: int, now: datetime) -> bool:
    """Whether a key is to be followed by a new one."""
    return now >= created_at + timedelta(days=ROTATE_DAYS) or seals >= MOST_SEALS


def is_overdue(created_at: datetime, seals: int, now: datetime) -> bool:
    """Whether it should have been, so long ago that something is wrong."""
    return now >= created_at + timedelta(days=OVERDUE_DAYS) or seals >= OVERDUE_SEALS


def is_root_due(since: datetime, now: datetime) -> bool:
    """Whether the operator is to give the server another root key."""
    return now >= since + timedelta(days=ROOT_DAYS)


def is_root_overdue(since: datetime, now: datetime) -> bool:
    """Whether that should have been done long ago."""
    return now >= since + timedelta(days=ROOT_OVERDUE_DAYS)


def may_be_destroyed(empty_since: datetime | None, now: datetime) -> bool:
    """Whether nothing under an old key is left, in backups neither. `empty_since`: since when no row is under it."""
    return empty_since is not None and now >= empty_since + timedelta(days=BACKUP_DAYS)

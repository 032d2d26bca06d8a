"""The embedded PostgreSQL: a real server under the home folder, reachable through a private socket only."""

from pathlib import Path

OWNER = "aitelier_owner"


def url(home: Path, role: str) -> str:
    """The address under which `role` connects."""
    raise NotImplementedError(home, role)

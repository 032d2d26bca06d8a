"""What the store is told at its start. Only `scripts/settings.py` reads the environment."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket for objects."""

    endpoint: str
    """`https://host[:port]`; plain http only where nobody can listen."""
    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the data lies and which key seals it."""

    database_url: str | None = field(repr=False)
    """A `postgresql://` address of your own, whose user owns the schema; None for the embedded server under `home`."""
    home: Path
    """The data folder. The store owns `postgres/` and `blobs/` in it."""
    master_key: bytes = field(repr=False)
    """32 bytes that wrap every tenant's keys."""
    old_master_key: bytes | None = field(default=None, repr=False)
    """Its predecessor, while some are still wrapped by that one."""
    pool_size: int = 8
    """Connections that one process keeps at most for transactions of tenants, and as many for look-ups across tenants,
    of which every request needs one too; further ones wait for a free one."""
    s3: S3Settings | None = None
    """Keeps the objects; None for a folder under `home`."""

    def __post_init__(self) -> None:
        """Refuse a key that is no AES-256 key before anything is sealed with it."""
        if len(self.master_key) != 32:
            raise ValueError(f"the master key has 32 bytes, not {len(self.master_key)}")

    @property
    def blobs(self) -> Path:
        """Recordings and other sealed objects, unless a bucket keeps them."""
        return self.home / "blobs"

"""What the admin is told at its start. Only `scripts/settings.py` reads the environment."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Where the admin listens."""

    bind: str = "127.0.0.1"
    port: int = 8080
    """0: any free one."""
    tls_certificate: Path | None = None
    """PEM chain; without it the admin speaks plain HTTP, which only loopback may hear."""
    tls_key: Path | None = None

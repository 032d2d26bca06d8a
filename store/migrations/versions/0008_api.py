"""Keys and idempotency of the HTTP API."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

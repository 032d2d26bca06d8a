"""Requests of callers about their data."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

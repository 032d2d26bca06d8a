"""The audit log."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""People who sign in, and what they may do."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""Jobs, retention, legal holds, erasure and its ledger."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""Sub-processors, residency, and what left the EU."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

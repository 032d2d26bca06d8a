"""Keys of tenants in their life: rotation, retirement, sealed columns and secrets."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""Sub-processors, residency, what left the EU, and mail that is going out."""

from alembic import op

from store.migrations.isolation import isolate

revision = "0006"
down_revision = "0005"

MAILS = """
CREATE TABLE mails (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    id             uuid NOT NULL,
    kind           text NOT NULL,
    to_sealed      bytea NOT NULL,
    subject_sealed bytea NOT NULL,
    body_sealed    bytea NOT NULL,
    queued_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
"""

TABLES = ("mails",)


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(MAILS)
    for table in TABLES:
        isolate(table)


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

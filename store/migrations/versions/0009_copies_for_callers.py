"""Copies of everything held about a caller, while they are made and for the day that they are kept."""

from alembic import op

from store.migrations.isolation import isolate

revision = "0009"
down_revision = "0008"

COPIES = """
-- The file lies sealed among the objects; it can be read as long as its row is here.
CREATE TABLE dsar_copies (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    id           uuid NOT NULL,
    case_id      uuid NOT NULL,
    actor_kind   text NOT NULL,
    actor_id     text NOT NULL,
    key_sealed   bytea NOT NULL,
    asked_at     timestamptz NOT NULL,
    calls        integer NOT NULL CHECK (calls >= 0),
    calls_done   integer NOT NULL CHECK (calls_done >= 0),
    made_at      timestamptz,  -- NULL while it is being made
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, case_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES dsar_cases (tenant_id, id) ON DELETE CASCADE
);
"""


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(COPIES)
    isolate("dsar_copies")


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

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

REGISTERS = """
ALTER TABLE projects
    ADD COLUMN residency text NOT NULL DEFAULT 'anywhere' CHECK (residency IN ('anywhere', 'eu_only')),
    ADD COLUMN hipaa boolean NOT NULL DEFAULT false;

-- In the operator's own books only.
CREATE TABLE subprocessors (
    tenant_id uuid NOT NULL REFERENCES tenants,
    id        text NOT NULL,
    name      text NOT NULL,
    purpose   text NOT NULL,
    data      text[] NOT NULL,
    countries text[] NOT NULL CHECK (cardinality(countries) > 0),
    transfer  text NOT NULL,
    hosts     text[] NOT NULL CHECK (cardinality(hosts) > 0),
    since     date NOT NULL,
    told      date,
    accepted  boolean NOT NULL,
    baa_since date,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE subprocessor_notices (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    subprocessor_id text NOT NULL,
    since           date NOT NULL,
    told_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, subprocessor_id, since)
);

CREATE TABLE session_transfers (
    tenant_id      uuid NOT NULL,
    session_id     uuid NOT NULL,
    host           text NOT NULL,
    purpose        text NOT NULL CHECK (purpose IN ('model', 'recording', 'books')),
    whose          text NOT NULL,
    data           text[] NOT NULL,
    countries      text[] NOT NULL,
    in_eu          boolean NOT NULL,
    transfer       text NOT NULL,
    sent_bytes     bigint NOT NULL CHECK (sent_bytes >= 0),
    received_bytes bigint NOT NULL CHECK (received_bytes >= 0),
    PRIMARY KEY (tenant_id, session_id, host, purpose),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);
"""

TABLES = ("mails", "subprocessors", "subprocessor_notices", "session_transfers")


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(MAILS)
    op.get_bind().exec_driver_sql(REGISTERS)
    for table in TABLES:
        isolate(table)


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""Requests of callers about their data: cases of a tenant, and the intake desk that finds the tenants."""

from alembic import op

from store.migrations.isolation import isolate, show

revision = "0005"
down_revision = "0004"

CASES = """
-- Where a tenant wants to be told of requests, such as its data protection officer.
CREATE TABLE dsar_contacts (
    tenant_id      uuid PRIMARY KEY REFERENCES tenants,
    contact_sealed bytea NOT NULL
);

-- Once a case is closed nothing in it tells whose it was.
CREATE TABLE dsar_cases (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    id             uuid NOT NULL,
    project_id     uuid,  -- NULL: all projects of the tenant
    wish           text NOT NULL CHECK (wish IN ('access', 'erasure')),
    origin         text NOT NULL CHECK (origin IN ('member', 'intake')),
    state          text NOT NULL CHECK (state IN ('open', 'closed')),
    caller_sealed  bytea CHECK ((caller_sealed IS NOT NULL) = (state = 'open')),
    caller_index   bytea CHECK (length(caller_index) = 20 AND (caller_index IS NOT NULL) = (state = 'open')),
    contact_sealed bytea CHECK (contact_sealed IS NULL OR state = 'open'),
    received_at    timestamptz NOT NULL,
    due_at         timestamptz NOT NULL,
    next_step      integer NOT NULL CHECK (next_step >= 0),  -- of those in policies/dsar.py
    next_step_at   timestamptz CHECK (next_step_at IS NULL OR state = 'open'),
    closed_at      timestamptz CHECK ((closed_at IS NOT NULL) = (state = 'closed')),
    outcome        text CHECK ((outcome IS NOT NULL) = (state = 'closed')
                               AND outcome IN ('fulfilled', 'nothing_found', 'kept_by_law', 'kept_for_claims',
                                               'identity_unproven', 'unfounded')),
    erasure_id     uuid,   -- of what is erased because of it
    erased_objects jsonb,  -- SHA-256 of their names, for the receipt, while they are being erased
    receipt        jsonb CHECK (receipt IS NULL OR state = 'closed'),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id) ON DELETE SET NULL (project_id),
    FOREIGN KEY (tenant_id, erasure_id) REFERENCES erasures (tenant_id, id) ON DELETE SET NULL (erasure_id)
);
CREATE INDEX ON dsar_cases (tenant_id, received_at);
CREATE INDEX ON dsar_cases (tenant_id, caller_index) WHERE caller_index IS NOT NULL;
CREATE INDEX ON dsar_cases (tenant_id, project_id) WHERE project_id IS NOT NULL;
CREATE INDEX ON dsar_cases (next_step_at) WHERE next_step_at IS NOT NULL;
"""

# Rows of the operator's own books (store/house.py) and of no customer's.
INTAKE = """
CREATE TABLE dsar_intakes (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    id             uuid NOT NULL,
    wish           text NOT NULL CHECK (wish IN ('access', 'erasure')),
    language       text NOT NULL,
    state          text NOT NULL CHECK (state IN ('unproven', 'proven', 'routed', 'done', 'stopped')),
    number_sealed  bytea,  -- NULL once nothing is to be done any more
    number_index   bytea CHECK (length(number_index) = 20),
    contact_sealed bytea,
    received_at    timestamptz NOT NULL,
    code_hash      bytea CHECK (length(code_hash) = 20),
    code_ends_at   timestamptz CHECK ((code_ends_at IS NULL) = (code_hash IS NULL)),
    wrong_guesses  integer NOT NULL DEFAULT 0 CHECK (wrong_guesses >= 0),
    finished_at    timestamptz CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'stopped'))),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON dsar_intakes (tenant_id, number_index) WHERE number_index IS NOT NULL;

-- Every code that was sent: what the limits count. Kept for a day.
CREATE TABLE dsar_codes (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    id           uuid NOT NULL,
    number_index bytea NOT NULL CHECK (length(number_index) = 20),
    sent_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON dsar_codes (tenant_id, sent_at);

-- Which tenants hold data of the number, and how far they are. The tenant is another than the row's own, so nothing
-- refers to it; the case's id is known to that tenant, the request's to the operator only.
CREATE TABLE dsar_routes (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    intake_id       uuid NOT NULL,
    case_id         uuid NOT NULL,
    customer_id     uuid NOT NULL,
    business_sealed bytea,  -- whom the caller called; NULL once the caller was told of the end
    outcome         text,
    PRIMARY KEY (tenant_id, intake_id, case_id),
    UNIQUE (tenant_id, case_id),
    FOREIGN KEY (tenant_id, intake_id) REFERENCES dsar_intakes (tenant_id, id) ON DELETE CASCADE
);
"""


def upgrade() -> None:
    """Make it."""
    run = op.get_bind().exec_driver_sql
    run(CASES)
    run(INTAKE)
    for table in ("dsar_contacts", "dsar_cases", "dsar_intakes", "dsar_codes", "dsar_routes"):
        isolate(table)
    show("dsar_cases", "aitelier_jobs", "tenant_id", "next_step_at")  # whose cases need a reminder


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

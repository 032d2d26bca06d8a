"""Jobs, retention, legal holds, erasure and its ledger."""

from alembic import op
from procrastinate.schema import SchemaManager

from store.migrations.isolation import isolate, show

revision = "0004"
down_revision = "0003"

# The queue lies in a schema of its own, which only the role of the jobs may look into. A tenant's transaction puts work
# in and takes its own out again through the functions here, which write and compare the tenant themselves.
QUEUE_DOORS = """
CREATE FUNCTION jobs.enqueue(tenant uuid, task text, arguments jsonb, due timestamptz, same_lock text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = jobs, pg_temp AS $$
BEGIN
    IF tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'work is put in for the tenant of the transaction only';
    END IF;
    RETURN (procrastinate_defer_jobs_v1(ARRAY[ROW(
        'tenants', task, 0, tenant || ' ' || same_lock, NULL,
        jsonb_build_object('tenant_id', tenant, 'arguments', arguments), due
    )::procrastinate_job_to_defer_v1]))[1];
END $$;

CREATE FUNCTION jobs.forget(tenant uuid, name text, ids text[])
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = jobs, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    IF tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'work is taken out for the tenant of the transaction only';
    END IF;
    DELETE FROM procrastinate_jobs
    WHERE status = 'todo' AND args ->> 'tenant_id' = tenant::text AND args -> 'arguments' ->> name = ANY (ids);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA jobs FROM PUBLIC;
GRANT USAGE ON SCHEMA jobs TO aitelier_app, aitelier_jobs;
GRANT EXECUTE ON FUNCTION jobs.enqueue, jobs.forget TO aitelier_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA jobs TO aitelier_jobs;
REVOKE EXECUTE ON FUNCTION jobs.enqueue, jobs.forget FROM aitelier_jobs;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO aitelier_jobs;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO aitelier_jobs;
GRANT USAGE ON SCHEMA jobs TO aitelier_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA jobs TO aitelier_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA jobs TO aitelier_backup;
"""

BUSINESS = """
ALTER TABLE projects
    ADD COLUMN retention_basis   text,         -- the law that asks this business to keep calls for more than a year
    ADD COLUMN deletion_asked_at timestamptz;  -- from then on its numbers answer no calls
ALTER TABLE usage_events ADD COLUMN project_stub uuid;  -- stands for a project that was deleted; random
CREATE INDEX ON sessions (tenant_id, project_id, (coalesce(ended_at, planned_at)));

CREATE TABLE job_progress (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    job_id     bigint NOT NULL,
    task       text NOT NULL,
    done       bigint NOT NULL,
    of         bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, job_id)
);

-- While one is there, the references keep the database itself from deleting what it holds.
CREATE TABLE legal_holds (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    project_id    uuid NOT NULL,
    session_id    uuid,  -- NULL: all calls of the project
    reason_sealed bytea NOT NULL,
    owner_kind    text NOT NULL,
    owner_id      text NOT NULL,
    placed_at     timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id)
);
CREATE INDEX ON legal_holds (tenant_id, project_id);
CREATE INDEX ON legal_holds (tenant_id, session_id) WHERE session_id IS NOT NULL;

CREATE TABLE erasures (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    id             uuid NOT NULL,
    reason         text NOT NULL,
    actor_kind     text NOT NULL,
    actor_id       text NOT NULL,
    asked_at       timestamptz NOT NULL,
    sessions       integer NOT NULL,
    counts         jsonb NOT NULL,  -- rows gone so far, by table
    then_task      text,            -- a job that waits for the end
    then_arguments jsonb,
    finished_at    timestamptz,
    receipt        jsonb CHECK ((receipt IS NOT NULL) = (finished_at IS NOT NULL)),
    PRIMARY KEY (tenant_id, id)
);

-- What an erasure still has to do.
CREATE TABLE erasure_sessions (
    tenant_id  uuid NOT NULL,
    erasure_id uuid NOT NULL,
    session_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, erasure_id, session_id),
    FOREIGN KEY (tenant_id, erasure_id) REFERENCES erasures (tenant_id, id) ON DELETE CASCADE
);

-- What must not come back, should an old backup be restored. Random ids only.
CREATE TABLE erasure_ledger (
    tenant_id uuid NOT NULL REFERENCES tenants,
    kind      text NOT NULL CHECK (kind IN ('session', 'project')),
    subject   uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind, subject)
);

CREATE TABLE project_deletions (
    tenant_id        uuid NOT NULL REFERENCES tenants,
    project_id       uuid NOT NULL,
    actor_kind       text NOT NULL,
    actor_id         text NOT NULL,
    asked_at         timestamptz NOT NULL,
    sessions         integer NOT NULL DEFAULT 0,
    counts           jsonb NOT NULL DEFAULT '{}',
    project_stub     uuid,  -- only while its usage is being anonymised
    keys_shredded_at timestamptz,
    wiped_at         timestamptz,
    receipt          jsonb CHECK ((receipt IS NOT NULL) = (wiped_at IS NOT NULL)),
    PRIMARY KEY (tenant_id, project_id)
);

-- That callers were told and asked, after their calls are gone: nothing of who they were or what they said.
CREATE TABLE consent_proofs (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    session_id     uuid NOT NULL,
    ordinal        integer NOT NULL,
    happened_at    timestamptz NOT NULL,
    kind           text NOT NULL,
    verdict        text,
    method         text,
    wording_sha256 text,
    language       text,
    kept_until     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, session_id, ordinal)
);
CREATE INDEX ON consent_proofs (tenant_id, kept_until);
"""

TABLES = (
    "job_progress",
    "legal_holds",
    "erasures",
    "erasure_sessions",
    "erasure_ledger",
    "project_deletions",
    "consent_proofs",
)


def upgrade() -> None:
    """Make it."""
    run = op.get_bind().exec_driver_sql
    run("CREATE SCHEMA jobs")
    run("SET LOCAL search_path = jobs")
    run(SchemaManager.get_schema().replace("%", "%%"))  # the driver reads a lone one as the place of a value
    run("SET LOCAL search_path TO DEFAULT")
    run(QUEUE_DOORS)
    run(BUSINESS)
    for table in TABLES:
        isolate(table)
    show("project_deletions", "aitelier_jobs", "tenant_id", "asked_at", "wiped_at")


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

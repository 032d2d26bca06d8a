"""Jobs, retention, legal holds, erasure and its ledger."""

from alembic import op
from procrastinate.schema import SchemaManager

from store.migrations.isolation import isolate

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
"""

PROGRESS = """
CREATE TABLE job_progress (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    job_id     bigint NOT NULL,
    task       text NOT NULL,
    done       bigint NOT NULL,
    of         bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, job_id)
);
"""

TABLES = ("job_progress",)


def upgrade() -> None:
    """Make it."""
    run = op.get_bind().exec_driver_sql
    run("CREATE SCHEMA jobs")
    run("SET LOCAL search_path = jobs")
    run(SchemaManager.get_schema().replace("%", "%%"))  # the driver reads a lone one as the place of a value
    run("SET LOCAL search_path TO DEFAULT")
    run(QUEUE_DOORS)
    run(PROGRESS)
    for table in TABLES:
        isolate(table)


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

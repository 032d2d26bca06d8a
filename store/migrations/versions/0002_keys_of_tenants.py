"""Keys of tenants in their life: rotation, retirement, sealed columns and secrets."""

from alembic import op

from store.migrations.isolation import isolate, show

revision = "0002"
down_revision = "0001"

KEYS = """
ALTER TABLE keys.tenant_keys
    ALTER COLUMN wrapped DROP NOT NULL,
    ADD COLUMN root_id bytea,                      -- under which root key it is wrapped
    ADD COLUMN seals bigint NOT NULL DEFAULT 0 CHECK (seals >= 0),
    ADD COLUMN empty_since timestamptz,            -- since when no row is under it
    ADD COLUMN destroyed_at timestamptz CHECK ((destroyed_at IS NOT NULL) = (state = 'destroyed')),
    DROP CONSTRAINT tenant_keys_state_check,
    ADD CONSTRAINT tenant_keys_state_check CHECK (state IN ('primary', 'decrypt_only', 'destroyed')),
    ADD CHECK ((wrapped IS NULL) = (state = 'destroyed')),
    ADD CHECK (root_id IS NOT DISTINCT FROM substring(wrapped FROM 2 FOR 4));
"""

SECRETS = """
CREATE TABLE secrets (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    name         text NOT NULL,
    value_sealed bytea NOT NULL,
    last_four    text CHECK (length(last_four) = 4),
    set_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name)
);
"""


def upgrade() -> None:
    """Make it."""
    run = op.get_bind().exec_driver_sql
    run(KEYS)
    run(SECRETS)
    isolate("secrets")
    # Whose keys are due, and whether all are under today's root. What is wrapped is not shown.
    run("GRANT USAGE ON SCHEMA keys TO aitelier_jobs")
    show("keys.tenant_keys", "aitelier_jobs", "tenant_id", "purpose", "state", "created_at", "seals", "root_id")


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""Keys and idempotency of the HTTP API."""

from alembic import op

from store.migrations.isolation import isolate, show

revision = "0008"
down_revision = "0007"

API_KEYS = """
CREATE TABLE api_keys (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    id           uuid NOT NULL,
    name         text NOT NULL,
    key_hash     bytea NOT NULL,
    last_four    text NOT NULL,
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    project_id   uuid,
    networks     text[] NOT NULL,
    made_by_kind text NOT NULL,
    made_by_id   text NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id)
);
"""


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(API_KEYS)
    isolate("api_keys")
    # Whose key it is has to be known before its tenant is.
    show("api_keys", "aitelier_platform", "tenant_id", "id", "key_hash")


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

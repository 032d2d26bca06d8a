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

KEPT_ANSWERS = """
-- Kept for a day.
CREATE TABLE kept_answers (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    actor_kind    text NOT NULL,
    actor_id      text NOT NULL,
    key_hash      bytea NOT NULL CHECK (length(key_hash) = 32),
    request_hash  bytea NOT NULL CHECK (length(request_hash) = 32),
    begun_at      timestamptz NOT NULL,
    status        integer CHECK (status BETWEEN 200 AND 399),  -- NULL while it is being done
    answer_sealed bytea CHECK (answer_sealed IS NULL OR status IS NOT NULL),
    PRIMARY KEY (tenant_id, actor_kind, actor_id, key_hash)
);
CREATE INDEX ON kept_answers (tenant_id, begun_at);
"""


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(API_KEYS)
    isolate("api_keys")
    op.get_bind().exec_driver_sql(KEPT_ANSWERS)
    isolate("kept_answers")
    # Whose key it is has to be known before its tenant is.
    show("api_keys", "aitelier_platform", "tenant_id", "id", "key_hash")


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

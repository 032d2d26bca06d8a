"""The audit log.

Nobody but the owner can change or remove a leaf: the app may add and read. After seven years a leaf's text may go, by
way of one function that looks at its age itself; its hash stays, and with it every proof.
"""

from alembic import op

from store.migrations.isolation import isolate, show

revision = "0003"
down_revision = "0002"

LOG = """
CREATE TABLE audit_heads (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,
    size      bigint NOT NULL CHECK (size >= 0),
    edge      bytea NOT NULL
);

CREATE TABLE audit_leaves (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    idx        bigint NOT NULL CHECK (idx >= 0),
    leaf_hash  bytea NOT NULL CHECK (length(leaf_hash) = 32),
    leaf       text,
    at         timestamptz NOT NULL,
    tag        text NOT NULL,
    actor_kind text NOT NULL,
    actor_id   text NOT NULL,
    PRIMARY KEY (tenant_id, idx)
);
CREATE INDEX ON audit_leaves (tenant_id, tag, idx);

-- Finds the acts about a thing. Proves nothing: that is the leaf's part.
CREATE TABLE audit_about (
    tenant_id uuid NOT NULL REFERENCES tenants,
    about     text NOT NULL,
    idx       bigint NOT NULL,
    PRIMARY KEY (tenant_id, about, idx)
);

CREATE TABLE audit_personal (
    tenant_id uuid NOT NULL,
    idx       bigint NOT NULL,
    subject   bytea NOT NULL,
    sealed    bytea NOT NULL,
    PRIMARY KEY (tenant_id, idx),
    FOREIGN KEY (tenant_id, idx) REFERENCES audit_leaves (tenant_id, idx)
);
CREATE INDEX ON audit_personal (tenant_id, subject);

CREATE TABLE audit_checkpoints (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    size       bigint NOT NULL CHECK (size > 0),
    root       bytea NOT NULL CHECK (length(root) = 32),
    note       text NOT NULL,
    server_idx bigint CHECK (server_idx >= 0),
    made_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, size)
);

CREATE TABLE audit_anchors (
    tenant_id uuid NOT NULL,
    size      bigint NOT NULL,
    kind      text NOT NULL,
    proof     bytea,
    made_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, size, kind),
    FOREIGN KEY (tenant_id, size) REFERENCES audit_checkpoints (tenant_id, size)
);

CREATE TABLE keys.subject_keys (
    tenant_id  uuid NOT NULL,
    subject    bytea NOT NULL,
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, subject)
);
"""

# `policies.merkle.Edge.appended`, next to the data.
EDGE = r"""
CREATE FUNCTION audit_edge(leaves bigint, hashes bytea, hashed bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    node bytea := hashed;
    rest bigint := leaves;
BEGIN
    WHILE rest & 1 = 1 LOOP
        node := sha256('\x01'::bytea || substring(hashes FROM length(hashes) - 31) || node);
        hashes := substring(hashes FOR length(hashes) - 32);
        rest := rest >> 1;
    END LOOP;
    RETURN hashes || node;
END $$;
"""

# In one call, since all acts of a tenant wait for the row of its head. -1 stands for an edge that cannot be one of its
# size: somebody else wrote there.
APPEND = r"""
CREATE FUNCTION audit_append(tenant uuid, leaf text, at timestamptz, tag text, actor_kind text, actor_id text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    leaves bigint;
    hashed bytea := sha256('\x00'::bytea || convert_to(leaf, 'UTF8'));
    said jsonb := leaf::jsonb;
BEGIN
    LOOP
        UPDATE audit_heads SET size = size + 1, edge = audit_edge(size, edge, hashed)
        WHERE tenant_id = tenant AND length(edge) = 32 * bit_count(size::bit(64)) RETURNING size - 1 INTO leaves;
        EXIT WHEN FOUND;
        INSERT INTO audit_heads (tenant_id, size, edge) VALUES (tenant, 0, '') ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN -1;
        END IF;
    END LOOP;
    WITH written AS (
        INSERT INTO audit_leaves (tenant_id, idx, leaf_hash, leaf, at, tag, actor_kind, actor_id)
        VALUES (tenant, leaves, hashed, leaf, at, tag, actor_kind, actor_id)
    )
    INSERT INTO audit_about (tenant_id, about, idx)
    SELECT tenant, value, leaves FROM jsonb_each_text(said -> 'objects') ON CONFLICT DO NOTHING;
    IF jsonb_typeof(said #> '{facts,sessions}') = 'array' THEN
        INSERT INTO audit_about (tenant_id, about, idx)
        SELECT tenant, jsonb_array_elements_text(said #> '{facts,sessions}'), leaves ON CONFLICT DO NOTHING;
    END IF;
    RETURN leaves;
END $$;
"""

# What was written stays written. The trigger stands before the owner, too, who could take it away, but not in silence.
APPEND_ONLY = """
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.leaf IS NULL AND OLD.at < now() - interval '7 years'
       AND (NEW.tenant_id, NEW.idx, NEW.leaf_hash, NEW.at, NEW.tag, NEW.actor_kind, NEW.actor_id)
         = (OLD.tenant_id, OLD.idx, OLD.leaf_hash, OLD.at, OLD.tag, OLD.actor_kind, OLD.actor_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is only ever added to';
END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit_leaves FOR EACH ROW EXECUTE FUNCTION audit_stays();
CREATE FUNCTION audit_checkpoint_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a checkpoint is never changed';
END $$;
CREATE TRIGGER audit_checkpoint_stays BEFORE UPDATE OR DELETE ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_stays();
REVOKE UPDATE, DELETE ON audit_leaves, audit_checkpoints FROM aitelier_app;
REVOKE UPDATE ON audit_about FROM aitelier_app;
GRANT UPDATE (leaf) ON audit_leaves TO aitelier_app;
REVOKE DELETE ON audit_heads FROM aitelier_app;
"""

TABLES = (
    "audit_heads",
    "audit_leaves",
    "audit_about",
    "audit_personal",
    "audit_checkpoints",
    "audit_anchors",
    "keys.subject_keys",
)


def upgrade() -> None:
    """Make it."""
    run = op.get_bind().exec_driver_sql
    run(LOG)
    for table in TABLES:
        isolate(table)
    run(EDGE)
    run(APPEND)
    run(APPEND_ONLY)
    for table in ("audit_heads", "audit_checkpoints"):
        show(table, "aitelier_jobs", "tenant_id", "size")


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""People who sign in, and what they may do."""

from alembic import op

from store.migrations.isolation import isolate, show

revision = "0007"
down_revision = "0006"

MEMBERS = """
ALTER TABLE tenants ADD COLUMN second_factor_for_all boolean NOT NULL DEFAULT false;
ALTER TABLE projects
    ADD COLUMN viewers_see text NOT NULL DEFAULT 'all' CHECK (viewers_see IN ('all', 'redacted', 'none'));

-- People are the server's, and lie in the operator's own books; what they may do is the tenant's.
CREATE TABLE memberships (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    user_id         uuid NOT NULL,
    project_id      uuid,
    role            text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    granted_by_kind text NOT NULL,
    granted_by_id   text NOT NULL,
    granted_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, project_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id)
);
CREATE INDEX memberships_of_a_person ON memberships (user_id);

CREATE TABLE invitations (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    email_sealed    bytea NOT NULL,
    token_hash      bytea NOT NULL,
    project_id      uuid,
    role            text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    invited_by_kind text NOT NULL,
    invited_by_id   text NOT NULL,
    invited_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id)
);
"""


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(MEMBERS)
    isolate("memberships")
    isolate("invitations")
    # Where somebody is a member has to be known before one of these tenants is chosen.
    show("memberships", "aitelier_platform", "tenant_id", "user_id")


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

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
    last_seen_at    timestamptz,
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

ACCOUNTS = """
-- All of these are the server's, and lie in the operator's own books.
CREATE TABLE accounts (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    id           uuid NOT NULL,
    email_sealed bytea NOT NULL,
    email_index  bytea NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email_index)
);

CREATE TABLE challenges (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    email_sealed  bytea,
    email_index   bytea,
    customer_id   uuid,
    browser_hash  bytea,
    code_hash     bytea,
    link_hash     bytea NOT NULL,
    wrong_guesses integer NOT NULL DEFAULT 0,
    made_at       timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    used_at       timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, link_hash),
    -- Either the sign-in of a browser, or a link that makes somebody the first owner of a customer.
    CHECK (num_nonnulls(email_sealed, email_index, browser_hash, code_hash)
           = CASE WHEN customer_id IS NULL THEN 4 ELSE 0 END)
);
CREATE INDEX challenges_of_a_browser ON challenges (tenant_id, browser_hash);
CREATE INDEX challenges_of_an_address ON challenges (tenant_id, email_index, made_at);

CREATE TABLE failed_codes (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    id          uuid NOT NULL,
    email_index bytea NOT NULL,
    failed_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX failed_codes_of_an_address ON failed_codes (tenant_id, email_index, failed_at);

CREATE TABLE devices (
    tenant_id        uuid NOT NULL REFERENCES tenants,
    id               uuid NOT NULL,
    user_id          uuid NOT NULL,
    label_sealed     bytea NOT NULL,
    browser_hash     bytea NOT NULL,
    secret_sealed    bytea NOT NULL,
    generation       integer NOT NULL DEFAULT 0,
    made_at          timestamptz NOT NULL,
    rotated_at       timestamptz NOT NULL,
    seen_at          timestamptz NOT NULL,
    idle_limit_s     integer,
    ends_at          timestamptz NOT NULL,
    second_factor_at timestamptz,
    ended_at         timestamptz,
    end_reason       text CHECK (end_reason IN ('signed_out', 'revoked', 'reused', 'idle')),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts (tenant_id, id) ON DELETE CASCADE,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX devices_of_a_person ON devices (tenant_id, user_id);

CREATE TABLE token_keys (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    id          text NOT NULL,
    seed_sealed bytea NOT NULL,
    made_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
"""


FACTORS = """
-- Second factors of people, and so the server's own too.
CREATE TABLE totps (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    user_id       uuid NOT NULL,
    secret_sealed bytea NOT NULL,
    last_step     bigint,  -- the last one of which a code was accepted
    begun_at      timestamptz NOT NULL,
    confirmed_at  timestamptz,  -- NULL: is being set up
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts (tenant_id, id) ON DELETE CASCADE,
    CHECK ((confirmed_at IS NULL) = (last_step IS NULL))
);
CREATE UNIQUE INDEX totps_of_a_person ON totps (tenant_id, user_id, (confirmed_at IS NULL));

CREATE TABLE passkeys (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    user_id       uuid NOT NULL,
    relying_party text NOT NULL,
    credential_id bytea NOT NULL,
    public_key    bytea NOT NULL,
    sign_count    bigint NOT NULL CHECK (sign_count >= 0),
    transports    text[] NOT NULL,
    backed_up     boolean NOT NULL,
    label_sealed  bytea NOT NULL,
    added_at      timestamptz NOT NULL,
    used_at       timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, credential_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX passkeys_of_a_person ON passkeys (tenant_id, user_id);

CREATE TABLE passkey_challenges (
    tenant_id uuid NOT NULL REFERENCES tenants,
    device_id uuid NOT NULL,
    purpose   text NOT NULL CHECK (purpose IN ('add', 'confirm')),
    challenge bytea NOT NULL CHECK (length(challenge) = 32),
    ends_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, device_id, purpose),
    FOREIGN KEY (tenant_id, device_id) REFERENCES devices (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE recovery_codes (
    tenant_id uuid NOT NULL REFERENCES tenants,
    user_id   uuid NOT NULL,
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (tenant_id, user_id, code_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE wrong_codes (
    tenant_id uuid NOT NULL REFERENCES tenants,
    user_id   uuid NOT NULL,
    since     timestamptz NOT NULL,
    count     integer NOT NULL CHECK (count BETWEEN 0 AND 10),
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts (tenant_id, id) ON DELETE CASCADE
);
"""


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(MEMBERS)
    isolate("memberships")
    isolate("invitations")
    # Where somebody is a member has to be known before one of these tenants is chosen.
    show("memberships", "aitelier_platform", "tenant_id", "user_id")
    op.get_bind().exec_driver_sql(ACCOUNTS)
    for table in ("accounts", "challenges", "failed_codes", "devices", "token_keys"):
        isolate(table)
    op.get_bind().exec_driver_sql(FACTORS)
    for table in ("totps", "passkeys", "passkey_challenges", "recovery_codes", "wrong_codes"):
        isolate(table)


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")

"""A call and its tenant: everything the first call needs.

Rules for every table, now and later, held by a test: it has `tenant_id`, its primary key begins with it, references to
other tables carry it along (so nothing of one tenant can point at another's), and row-level security is on and forced.
"""

from alembic import op

from store.migrations.isolation import isolate, show

revision = "0001"
down_revision = None

BUSINESS = """
CREATE TABLE tenants (
    tenant_id   uuid PRIMARY KEY,
    name        text NOT NULL,
    max_calls   integer NOT NULL CHECK (max_calls >= 0),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    name            text NOT NULL,
    business_name   text NOT NULL,
    jurisdiction    text NOT NULL CHECK (jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    language        text NOT NULL,
    time_zone       text NOT NULL,
    recording_days  integer NOT NULL CHECK (recording_days >= 0),   -- 0: nothing is ever recorded
    transcript_days integer NOT NULL CHECK (transcript_days >= 0),  -- 0: nothing is ever written down
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE scenarios (
    tenant_id         uuid NOT NULL REFERENCES tenants,
    id                uuid NOT NULL,
    project_id        uuid NOT NULL,
    name              text NOT NULL,
    published_version integer,
    revision          integer NOT NULL DEFAULT 1 CHECK (revision >= 1),  -- one more with each change, for two editors
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, project_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE scenario_versions (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    scenario_id uuid NOT NULL,
    version     integer NOT NULL CHECK (version >= 1),
    content     jsonb NOT NULL,
    actor_kind  text NOT NULL,
    actor_id    text NOT NULL,
    copy_of     integer CHECK (copy_of < version),  -- the version that was rolled back to
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, scenario_id, version),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES scenarios (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE scenario_drafts (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    scenario_id uuid NOT NULL,
    content     jsonb NOT NULL,
    actor_kind  text NOT NULL,
    actor_id    text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, scenario_id),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES scenarios (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE scenarios
    ADD FOREIGN KEY (tenant_id, id, published_version) REFERENCES scenario_versions (tenant_id, scenario_id, version)
    DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE numbers (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    id          uuid NOT NULL,
    project_id  uuid NOT NULL,
    scenario_id uuid NOT NULL,
    called      text NOT NULL UNIQUE CHECK (called = lower(called)),  -- over all tenants: it can ring in one place only
    label       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id, scenario_id) REFERENCES scenarios (tenant_id, project_id, id) ON DELETE CASCADE
);
CREATE INDEX ON numbers (tenant_id, project_id, scenario_id);

CREATE TABLE trunks (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    id         uuid NOT NULL,
    name       text NOT NULL,
    networks   text[] NOT NULL,
    transports text[] NOT NULL CHECK (transports <@ ARRAY['udp', 'tcp', 'tls'] AND cardinality(transports) > 0),
    srtp       text NOT NULL CHECK (srtp IN ('off', 'optional', 'mandatory')),
    min_tls    text NOT NULL CHECK (min_tls IN ('1.2', '1.3')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE sessions (
    tenant_id        uuid NOT NULL REFERENCES tenants,
    id               uuid NOT NULL,  -- UUIDv7: newer calls have greater ids
    project_id       uuid NOT NULL,
    scenario_id      uuid NOT NULL,
    scenario_version integer NOT NULL,
    state            text NOT NULL CHECK (state IN ('spare', 'open', 'ended')),
    called           text NOT NULL,
    caller_sealed    bytea,
    caller_index     bytea CHECK (length(caller_index) = 20),
    trunk            text NOT NULL,
    language         text NOT NULL,
    planned_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    ended_at         timestamptz CHECK ((ended_at IS NOT NULL) = (state = 'ended')),
    ended_by         text,
    end_reason       text,
    heard_samples    bigint,
    first_audio_ms   integer,  -- from the answer to the first sound
    reply_ms         integer,  -- from the end of what the caller said to the agent's first sound; the call's median
    consent          text,     -- what the caller answered, or that nobody had to ask
    ingested_at      timestamptz,
    recorded         boolean NOT NULL DEFAULT false,  -- whether there is a recording now; kept so by triggers
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id),
    FOREIGN KEY (tenant_id, scenario_id, scenario_version)
        REFERENCES scenario_versions (tenant_id, scenario_id, version)
);
CREATE INDEX ON sessions (tenant_id, project_id, id);
CREATE INDEX ON sessions (tenant_id, caller_index, id) WHERE caller_index IS NOT NULL;
CREATE INDEX ON sessions (tenant_id, planned_at) WHERE state = 'open';
CREATE INDEX ON sessions (tenant_id, end_reason, id) WHERE end_reason IS NOT NULL;
CREATE INDEX ON sessions (tenant_id, id) WHERE heard_samples IS NULL;  -- missed
CREATE INDEX ON sessions (tenant_id, scenario_id, scenario_version);
CREATE INDEX ON sessions (tenant_id, called, id);
CREATE INDEX ON sessions (tenant_id, trunk, id);
CREATE INDEX ON sessions (tenant_id, recorded, id);
CREATE INDEX ON sessions (tenant_id, id)  -- all that figures of many calls are added up from
    INCLUDE (project_id, state, planned_at, heard_samples, first_audio_ms, reply_ms, consent);

CREATE TABLE turns (
    tenant_id   uuid NOT NULL,
    session_id  uuid NOT NULL,
    ordinal     integer NOT NULL,
    role        text NOT NULL CHECK (role IN ('caller', 'agent')),
    text_sealed bytea NOT NULL,
    from_ms     integer NOT NULL,
    to_ms       integer NOT NULL,
    interrupted boolean NOT NULL,
    PRIMARY KEY (tenant_id, session_id, ordinal),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE consent_events (
    tenant_id      uuid NOT NULL,
    session_id     uuid NOT NULL,
    ordinal        integer NOT NULL,
    at_ms          integer NOT NULL,
    kind           text NOT NULL,
    verdict        text,
    method         text,
    wording_sha256 text,
    language       text,
    from_sample    bigint NOT NULL,
    to_sample      bigint,
    PRIMARY KEY (tenant_id, session_id, ordinal),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE session_events (
    tenant_id       uuid NOT NULL,
    session_id      uuid NOT NULL,
    ordinal         integer NOT NULL,
    at_ms           integer NOT NULL,
    kind            text NOT NULL,
    facts           jsonb NOT NULL,  -- nothing personal
    personal_sealed bytea,
    PRIMARY KEY (tenant_id, session_id, ordinal),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE messages (
    tenant_id   uuid NOT NULL,
    session_id  uuid NOT NULL,
    ordinal     integer NOT NULL,
    text_sealed bytea NOT NULL,
    from_sample bigint,
    to_sample   bigint,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, session_id, ordinal),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE recordings (
    tenant_id        uuid NOT NULL,
    session_id       uuid NOT NULL,
    blob             text NOT NULL,
    sealed_bytes     bigint NOT NULL,
    samples          bigint NOT NULL,
    starts_at_sample bigint NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, session_id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);
CREATE FUNCTION note_recordings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions s SET recorded = (TG_OP = 'INSERT')
    FROM changed c WHERE s.tenant_id = c.tenant_id AND s.id = c.session_id;
    RETURN NULL;
END $$;
CREATE TRIGGER recordings_come AFTER INSERT ON recordings REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_recordings();
CREATE TRIGGER recordings_go AFTER DELETE ON recordings REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_recordings();

-- Outlives calls and projects: the law wants it for years.
CREATE TABLE usage_events (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    id          uuid NOT NULL,
    project_id  uuid,
    session_id  uuid,
    kind        text NOT NULL,
    quantity    bigint NOT NULL,
    happened_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id) ON DELETE SET NULL (project_id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE SET NULL (session_id)
);
CREATE INDEX ON usage_events (tenant_id, happened_at);
CREATE INDEX ON usage_events (tenant_id, session_id) WHERE session_id IS NOT NULL;
"""

# Wrapped keys live apart and nothing refers to them, so that they can be backed up apart, for a short time only: a key
# that was deleted is then soon gone from every backup, and with it the call it opened.
KEYS = """
CREATE SCHEMA keys;

CREATE TABLE keys.tenant_keys (
    tenant_id  uuid NOT NULL,
    purpose    text NOT NULL CHECK (purpose IN ('wrapping', 'index', 'columns', 'signing')),
    key_id     bytea NOT NULL CHECK (length(key_id) = 4),
    state      text NOT NULL CHECK (state IN ('primary', 'decrypt_only')),
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, purpose, key_id)
);
CREATE UNIQUE INDEX ON keys.tenant_keys (tenant_id, purpose) WHERE state = 'primary';

CREATE TABLE keys.data_keys (
    tenant_id  uuid NOT NULL,
    session_id uuid NOT NULL,
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, session_id)
);
"""

TABLES = (
    "tenants",
    "projects",
    "scenarios",
    "scenario_versions",
    "scenario_drafts",
    "numbers",
    "trunks",
    "sessions",
    "turns",
    "consent_events",
    "session_events",
    "messages",
    "recordings",
    "usage_events",
    "keys.tenant_keys",
    "keys.data_keys",
)

RIGHTS = """
GRANT USAGE ON SCHEMA public TO aitelier_app, aitelier_platform, aitelier_jobs, aitelier_backup;
GRANT USAGE ON SCHEMA keys TO aitelier_app, aitelier_backup;
GRANT SELECT ON alembic_version TO aitelier_app, aitelier_backup;
"""


def upgrade() -> None:
    """Make it all."""
    run = op.get_bind().exec_driver_sql
    run(BUSINESS)
    run(KEYS)
    for table in TABLES:
        isolate(table)
    run(RIGHTS)
    # Before a call is known to be a tenant's, somebody must look across all of them: in these columns, and no others.
    show("tenants", "aitelier_platform", "tenant_id", "name", "max_calls")
    show("numbers", "aitelier_platform", "tenant_id", "id", "project_id", "scenario_id", "called")
    show("trunks", "aitelier_platform", "tenant_id", "id", "name", "networks", "transports", "srtp", "min_tls")
    show("tenants", "aitelier_jobs", "tenant_id")


def downgrade() -> None:
    """There is nothing before this."""
    raise NotImplementedError("restore a backup instead")

-- Written so that SQLite and PostgreSQL read it alike: BIGINT for numbers and for times (Unix
-- nanoseconds), TEXT for everything else. Secrets are stored as SHA-256, passwords as argon2id.

CREATE TABLE projects (
    id          BIGINT PRIMARY KEY,
    name        TEXT   NOT NULL,
    -- a JSON array of attribute keys
    pinned      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE TABLE tokens (
    hash        TEXT   PRIMARY KEY,
    project_id  BIGINT NOT NULL REFERENCES projects (id),
    label       TEXT   NOT NULL,
    -- config: named by the configuration file, and withdrawn when it no longer names it
    origin      TEXT   NOT NULL CHECK (origin IN ('config', 'user')),
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT
);

CREATE INDEX tokens_by_project ON tokens (project_id);

CREATE TABLE users (
    id          TEXT   PRIMARY KEY,
    -- in lower case
    email       TEXT   NOT NULL UNIQUE,
    name        TEXT   NOT NULL,
    -- PHC string
    password    TEXT   NOT NULL,
    -- all: every project, also future ones; granted: those of the table grants
    sees        TEXT   NOT NULL CHECK (sees IN ('all', 'granted')),
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE grants (
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id  BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, project_id)
);

CREATE TABLE sessions (
    hash        TEXT   PRIMARY KEY,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);

-- At most one row: the right to create the first user.
CREATE TABLE setup (
    id          BIGINT PRIMARY KEY CHECK (id = 1),
    hash        TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL
);

-- What people make of their own in a project, and who changed what.

-- A page of the UI as somebody wants to find it again.
CREATE TABLE saved_views (
    -- 32 random hex digits
    id          TEXT   PRIMARY KEY,
    project_id  BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    -- which page: traces, logs, metrics, ...
    page        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    -- what stands behind the `?` of the page's address
    query       TEXT   NOT NULL,
    -- 1: listed first
    pinned      BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);

CREATE UNIQUE INDEX saved_views_names ON saved_views (project_id, page, name);

-- Dashboards and monitors: YAML as its author wrote it.
CREATE TABLE documents (
    -- 32 random hex digits
    id          TEXT   PRIMARY KEY,
    project_id  BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    kind        TEXT   NOT NULL CHECK (kind IN ('dashboard', 'monitors')),
    name        TEXT   NOT NULL,
    yaml        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);

CREATE UNIQUE INDEX documents_names ON documents (project_id, kind, name);

-- Refers to nothing: it outlives what it is about.
CREATE TABLE audit (
    -- 32 random hex digits
    id          TEXT   PRIMARY KEY,
    at          BIGINT NOT NULL,
    -- an e-mail address, or the command line of some system user
    actor       TEXT   NOT NULL,
    project_id  BIGINT NOT NULL,
    -- created, changed, deleted
    action      TEXT   NOT NULL,
    -- saved view, dashboard, monitors, limits
    object      TEXT   NOT NULL,
    -- its name, or what it has become
    subject     TEXT   NOT NULL
);

CREATE INDEX audit_by_project ON audit (project_id, at);

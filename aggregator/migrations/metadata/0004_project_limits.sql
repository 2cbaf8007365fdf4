-- What a project may send, where people have set that beside the configuration.

CREATE TABLE project_limits (
    project_id  BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    -- as in the configuration: bytes_per_second, items_per_second, series_per_hour, attribute_keys_per_hour
    name        TEXT   NOT NULL,
    -- null: as much as there is room for, whatever the configuration says
    most        BIGINT,
    PRIMARY KEY (project_id, name)
);

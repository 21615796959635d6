-- Component health: extremes by the minute and by the hour.

-- owner: health
CREATE TABLE component_minutes (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    start_ms BIGINT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (device_no, connector_id, start_ms)
){{clustered}};
CREATE INDEX component_minutes_age ON component_minutes (start_ms, device_no, connector_id);

-- owner: health
CREATE TABLE component_hours (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    start_ms BIGINT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (device_no, connector_id, start_ms)
){{clustered}};
CREATE INDEX component_hours_age ON component_hours (start_ms, device_no, connector_id);

-- Hours with minutes that are not in them yet; changes counts the times that minutes were written.
-- owner: health
CREATE TABLE component_due (
    start_ms BIGINT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    changes BIGINT NOT NULL,
    PRIMARY KEY (start_ms, device_no, connector_id)
){{clustered}};
CREATE INDEX component_due_device ON component_due (device_no, connector_id, start_ms);

-- Processes that fold, up to when all that came to them is in the minutes, when they were heard.
-- owner: health
CREATE TABLE component_folders (
    folder_id TEXT PRIMARY KEY,
    folded_ms BIGINT NOT NULL,
    noted_ms BIGINT NOT NULL
);

-- What came late to such a process, so that it is found again should the process die.
-- owner: health
CREATE TABLE component_late (
    late_no {{serial}},
    folder_id TEXT NOT NULL,
    noted_ms BIGINT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL
);
CREATE INDEX component_late_folder ON component_late (folder_id, late_no);

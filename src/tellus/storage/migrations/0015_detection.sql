-- What detectors have to look at, what they count, and what was found.

-- Something to look at, written with the fact that asks for it: at once, or when it is due. What
-- comes again while it waits counts in marks, so that nothing is taken off that has grown since.
-- owner: diagnostics
CREATE TABLE diagnostic_inbox (
    item_no {{serial}},
    kind TEXT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    ref TEXT NOT NULL,
    due_ms BIGINT NOT NULL,
    marks BIGINT NOT NULL,
    content TEXT NOT NULL,
    UNIQUE (kind, device_no, connector_id, ref)
);
CREATE INDEX diagnostic_inbox_due ON diagnostic_inbox (due_ms, item_no);

-- A fault that is so, or was. told_ms: an alert was told of it; folded: into what it was folded.
-- owner: diagnostics
CREATE TABLE diagnostic_conditions (
    condition_no {{serial}},
    operator_id TEXT NOT NULL,
    matter TEXT NOT NULL,
    code TEXT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    site_id TEXT NOT NULL,
    found_by TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL,
    told_ms BIGINT,
    folded TEXT,
    cleared_ms BIGINT,
    content TEXT NOT NULL,
    UNIQUE (operator_id, matter)
);
CREATE INDEX diagnostic_conditions_present
    ON diagnostic_conditions (code, condition_no) WHERE cleared_ms IS NULL;
CREATE INDEX diagnostic_conditions_device ON diagnostic_conditions (device_no, condition_no);
CREATE INDEX diagnostic_conditions_cleared
    ON diagnostic_conditions (cleared_ms) WHERE cleared_ms IS NOT NULL;

-- When a connector was last started, stopped, plugged in and out, by its own events.
-- owner: diagnostics
CREATE TABLE diagnostic_turns (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    time_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, connector_id, event_type)
){{clustered}};

-- Starts (code '') and faults of a device by day (UTC) and the firmware that ran.
-- owner: diagnostics
CREATE TABLE diagnostic_counts (
    device_no BIGINT NOT NULL,
    day_ms BIGINT NOT NULL,
    firmware_version TEXT NOT NULL,
    code TEXT NOT NULL,
    times BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, day_ms, firmware_version, code)
){{clustered}};

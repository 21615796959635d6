-- Controls that limit many chargers at once, and what each connector of theirs is to hold.

-- owner: flexibility
CREATE TABLE controls (
    control_no {{serial}},
    control_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    target_type TEXT NOT NULL,
    target_ids TEXT NOT NULL,
    command TEXT NOT NULL,
    limit_pct BIGINT NOT NULL,
    reason TEXT,
    duration_ms BIGINT NOT NULL,
    stagger_ms BIGINT NOT NULL,
    chargers BIGINT NOT NULL,
    phase TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    cancelled_ms BIGINT
);
CREATE INDEX controls_operator ON controls (operator_id, control_no);
CREATE INDEX controls_until ON controls (until_ms);

-- owner: flexibility
CREATE TABLE control_targets (
    control_no BIGINT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    offset_ms BIGINT NOT NULL,
    begin_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    limit_kw DOUBLE PRECISION,
    joined BIGINT NOT NULL,
    gone TEXT,
    stage TEXT NOT NULL,
    due_ms BIGINT,
    lifted BIGINT NOT NULL,
    applied BIGINT NOT NULL,
    command_id TEXT,
    lift_command_id TEXT,
    PRIMARY KEY (control_no, device_no, connector_id)
){{clustered}};
CREATE INDEX control_targets_due ON control_targets (control_no, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX control_targets_connector ON control_targets (device_no, connector_id, until_ms);

-- owner: firmware
CREATE TABLE firmware_releases (
    release_no {{serial}},
    release_id TEXT NOT NULL UNIQUE,
    firmware_version TEXT NOT NULL,
    platform_build TEXT,
    url TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    channel TEXT NOT NULL,
    notes TEXT,
    withdrawn_ms BIGINT,
    withdrawn_reason TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- owner: firmware
CREATE TABLE firmware_release_models (
    model TEXT NOT NULL,
    firmware_version TEXT NOT NULL,
    release_id TEXT NOT NULL,
    PRIMARY KEY (model, firmware_version)
){{clustered}};
CREATE INDEX firmware_release_models_release ON firmware_release_models (release_id);

-- owner: firmware
CREATE TABLE firmware_upgrades (
    upgrade_no {{serial}},
    command_id TEXT NOT NULL UNIQUE,
    device_no BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    platform_build TEXT,
    rollout_id TEXT,
    created_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE INDEX firmware_upgrades_device ON firmware_upgrades (device_no, upgrade_no);
CREATE INDEX firmware_upgrades_open ON firmware_upgrades (upgrade_no) WHERE ended_ms IS NULL;

-- owner: firmware
CREATE TABLE firmware_rollouts (
    rollout_no {{serial}},
    rollout_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    name TEXT,
    firmware_version TEXT NOT NULL,
    rollback_version TEXT,
    allow_downgrade BIGINT NOT NULL,
    max_in_flight BIGINT,
    cohort TEXT NOT NULL,
    waves TEXT NOT NULL,
    state TEXT NOT NULL,
    wave BIGINT NOT NULL,
    reached_ms BIGINT,
    halt TEXT,
    revision BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE INDEX firmware_rollouts_operator ON firmware_rollouts (operator_id, rollout_no);
CREATE INDEX firmware_rollouts_open ON firmware_rollouts (rollout_no) WHERE ended_ms IS NULL;

-- owner: firmware
CREATE TABLE firmware_rollout_devices (
    rollout_id TEXT NOT NULL,
    device_no BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    model TEXT NOT NULL,
    position BIGINT NOT NULL,
    wave BIGINT,
    state TEXT NOT NULL,
    reason TEXT,
    message TEXT,
    excused BIGINT NOT NULL,
    previous_version TEXT,
    fault_before TEXT,
    command_id TEXT,
    rollback_command_id TEXT,
    due_ms BIGINT,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (rollout_id, device_no)
){{clustered}};
CREATE INDEX firmware_rollout_devices_device ON firmware_rollout_devices (device_no);

-- Configuration profiles, who is assigned which, and what chargers say they run.

-- owner: configuration
CREATE TABLE config_profiles (
    profile_id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    note TEXT,
    models TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    assigned_ms BIGINT,
    deleted_ms BIGINT
);
CREATE UNIQUE INDEX config_profiles_name
    ON config_profiles (operator_id, name) WHERE deleted_ms IS NULL;

-- What a profile said, by version; a version is never written again.
-- owner: configuration
CREATE TABLE config_profile_versions (
    profile_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    hash TEXT NOT NULL,
    content TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (profile_id, version)
);

-- look_ms is when to look again at the command that carries it, NULL once that has ended.
-- owner: configuration
CREATE TABLE config_assignments (
    device_no BIGINT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    assigned_ms BIGINT NOT NULL,
    command_id TEXT NOT NULL,
    settled_ms BIGINT NOT NULL,
    look_ms BIGINT
);
CREATE INDEX config_assignments_profile ON config_assignments (profile_id, device_no);
CREATE INDEX config_assignments_look ON config_assignments (look_ms) WHERE look_ms IS NOT NULL;

-- What a charger says it runs, and since when; empty where it does not say.
-- owner: configuration
CREATE TABLE config_reports (
    device_no BIGINT PRIMARY KEY,
    profile_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    since_ms BIGINT NOT NULL
);

-- Vehicles that an operator knows to give energy back; the keys are what they are found by.
-- owner: diagnostics
CREATE TABLE v2g_vehicles (
    vehicle_id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    make TEXT NOT NULL,
    model TEXT NOT NULL,
    make_key TEXT NOT NULL,
    model_key TEXT NOT NULL,
    min_firmware TEXT,
    note TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (operator_id, make_key, model_key)
);

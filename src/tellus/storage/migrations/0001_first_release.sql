-- owner: storage
CREATE TABLE instance (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- owner: audit
CREATE TABLE audit_log (
    entry_no {{serial}},
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    operator_id TEXT,
    request_id TEXT,
    details TEXT NOT NULL
);
CREATE INDEX audit_log_resource ON audit_log (resource_type, resource_id, entry_no);

-- owner: identity
CREATE TABLE operators (
    operator_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- owner: identity
CREATE TABLE clients (
    client_id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    vin_mode TEXT NOT NULL,
    limits TEXT NOT NULL,
    allowed_networks TEXT NOT NULL,
    cors_origins TEXT NOT NULL,
    generation BIGINT NOT NULL,
    revoked_ms BIGINT,
    created_ms BIGINT NOT NULL
);
CREATE INDEX clients_operator ON clients (operator_id, client_id);

-- owner: identity
CREATE TABLE client_secrets (
    secret_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    verifier {{blob}} NOT NULL,
    created_ms BIGINT NOT NULL,
    first_used_ms BIGINT,
    retires_ms BIGINT
);
CREATE INDEX client_secrets_client ON client_secrets (client_id, created_ms);

-- owner: identity
CREATE TABLE service_accounts (
    service_account_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    verifier {{blob}} NOT NULL,
    generation BIGINT NOT NULL,
    revoked_ms BIGINT,
    created_ms BIGINT NOT NULL
);

-- owner: identity
CREATE TABLE device_credentials (
    device_no BIGINT NOT NULL,
    secret_id TEXT NOT NULL,
    verifier {{blob}} NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    first_used_ms BIGINT,
    retires_ms BIGINT,
    overdue_told_ms BIGINT,
    PRIMARY KEY (device_no, secret_id)
);

-- owner: identity
CREATE TABLE device_principals (
    device_no BIGINT PRIMARY KEY,
    device_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    revoked_ms BIGINT,
    created_ms BIGINT NOT NULL
);

-- owner: identity
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    sealed {{blob}} NOT NULL,
    created_ms BIGINT NOT NULL,
    retired_ms BIGINT
);

-- owner: identity
CREATE TABLE subjects (
    subject_id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    blind_index {{blob}} NOT NULL,
    sealed_key {{blob}} NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (operator_id, blind_index)
);

-- owner: fleet
CREATE TABLE sites (
    site_id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT,
    lat DOUBLE PRECISION,
    lng DOUBLE PRECISION,
    timezone TEXT NOT NULL,
    region TEXT NOT NULL,
    power_capacity_kw DOUBLE PRECISION,
    active BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX sites_operator ON sites (operator_id, created_ms, site_id);

-- owner: fleet
CREATE TABLE provisionings (
    sn TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    model TEXT,
    connectors BIGINT,
    rated_power_kw DOUBLE PRECISION,
    v2g BIGINT,
    token_round BIGINT NOT NULL,
    claim_from_ms BIGINT NOT NULL,
    claim_until_ms BIGINT,
    created_ms BIGINT NOT NULL
);
CREATE INDEX provisionings_site ON provisionings (site_id, sn);

-- owner: fleet
CREATE TABLE devices (
    device_no {{serial}},
    device_id TEXT NOT NULL UNIQUE,
    sn TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    model TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    firmware_version TEXT NOT NULL,
    mac TEXT,
    rated_power_kw DOUBLE PRECISION,
    v2g BIGINT,
    proof {{blob}},
    active BIGINT NOT NULL,
    reclaim_until_ms BIGINT,
    created_ms BIGINT NOT NULL,
    owned_since_ms BIGINT NOT NULL DEFAULT 0,
    updated_ms BIGINT NOT NULL,
    deleted_ms BIGINT
);
CREATE UNIQUE INDEX devices_sn ON devices (sn) WHERE deleted_ms IS NULL;
CREATE INDEX devices_operator ON devices (operator_id, device_no);
CREATE INDEX devices_site ON devices (site_id, device_no);

-- owner: fleet
CREATE TABLE device_state (
    device_no BIGINT PRIMARY KEY,
    last_seen_ms BIGINT,
    last_heartbeat_ms BIGINT,
    heartbeat_status TEXT,
    fault_code TEXT,
    clock_offset_ms BIGINT,
    online BIGINT NOT NULL,
    online_since_ms BIGINT,
    offline_since_ms BIGINT
);

-- owner: fleet
CREATE TABLE connectors (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    rated_power_kw DOUBLE PRECISION,
    peak_power_kw DOUBLE PRECISION,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, connector_id)
){{clustered}};

-- owner: fleet
CREATE TABLE connector_state (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    time_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (device_no, connector_id)
){{clustered}};

-- owner: fleet
CREATE TABLE events (
    time_ms BIGINT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    digest BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    fault_key TEXT,
    received_ms BIGINT NOT NULL,
    origin TEXT NOT NULL,
    clock_suspect BIGINT NOT NULL,
    data TEXT NOT NULL,
    subject_id TEXT,
    sealed_data {{blob}},
    PRIMARY KEY (time_ms, device_no, connector_id, digest)
){{clustered}};
CREATE INDEX events_device ON events (device_no, time_ms);

-- owner: telemetry
CREATE TABLE samples (
    time_ms BIGINT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    digest BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (time_ms, device_no, connector_id, digest)
){{clustered}};

-- owner: telemetry
CREATE TABLE sample_hours (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (device_no, connector_id, hour_ms)
){{clustered}};

-- owner: sessions
CREATE TABLE charging_records (
    record_no {{serial}},
    device_no BIGINT NOT NULL,
    record_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    connector_id BIGINT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    energy_kwh DOUBLE PRECISION NOT NULL,
    max_power_kw DOUBLE PRECISION NOT NULL,
    avg_power_kw DOUBLE PRECISION,
    cost DOUBLE PRECISION,
    meter_start_kwh DOUBLE PRECISION,
    meter_end_kwh DOUBLE PRECISION,
    soc_start_pct BIGINT,
    soc_end_pct BIGINT,
    flags TEXT NOT NULL,
    extras TEXT,
    subject_id TEXT,
    sealed_vin {{blob}},
    sealed_extras {{blob}},
    fingerprint {{blob}} NOT NULL,
    received_ms BIGINT NOT NULL,
    UNIQUE (device_no, record_id)
);
CREATE INDEX charging_records_operator
    ON charging_records (operator_id, start_ms DESC, record_id, device_no, connector_id);
CREATE INDEX charging_records_site
    ON charging_records (site_id, operator_id, start_ms DESC, record_id, device_no, connector_id);
CREATE INDEX charging_records_device
    ON charging_records (device_no, operator_id, start_ms DESC, record_id, connector_id);

-- owner: sessions
CREATE TABLE charging_record_conflicts (
    device_no BIGINT NOT NULL,
    record_id TEXT NOT NULL,
    fingerprint {{blob}} NOT NULL,
    subject_id TEXT,
    content TEXT,
    sealed_content {{blob}},
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, record_id, fingerprint)
);

-- owner: commands
CREATE TABLE commands (
    command_no {{serial}},
    command_id TEXT NOT NULL UNIQUE,
    device_no BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    connector_id BIGINT NOT NULL,
    operator_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    command TEXT NOT NULL,
    params TEXT NOT NULL,
    transaction_id TEXT,
    phase TEXT NOT NULL,
    result TEXT,
    superseded_by TEXT,
    contradicted BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    delivered_ms BIGINT,
    deliveries BIGINT NOT NULL,
    lease_until_ms BIGINT
);
CREATE INDEX commands_queued ON commands (device_no, command_no) WHERE phase = 'queued';
CREATE INDEX commands_transaction
    ON commands (client_id, transaction_id, created_ms) WHERE transaction_id IS NOT NULL;

-- owner: commands
CREATE TABLE command_reports (
    command_id TEXT NOT NULL,
    status TEXT NOT NULL,
    time_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    effect TEXT NOT NULL,
    message TEXT,
    details TEXT,
    PRIMARY KEY (command_id, status, time_ms)
);

-- owner: commands
CREATE TABLE firmware_reports (
    report_no {{serial}},
    device_no BIGINT NOT NULL,
    firmware_version TEXT NOT NULL,
    status TEXT NOT NULL,
    progress_pct BIGINT,
    message TEXT,
    received_ms BIGINT NOT NULL
);
CREATE INDEX firmware_reports_device ON firmware_reports (device_no, report_no);

-- owner: commands
CREATE TABLE schedules (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    schedule_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    plan TEXT NOT NULL,
    command_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, connector_id, schedule_id)
);

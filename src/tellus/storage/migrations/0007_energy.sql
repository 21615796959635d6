-- Energy: what sessions moved and when, summed per site and operator. Energies are whole numbers of
-- 1e-9 kWh, so that sums do not depend on their order and what was added can be taken away again.

-- Facts that came late, or that settle what is folded already: fold this span of a connector again.
-- owner: energy
CREATE TABLE energy_marks (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    marks BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, connector_id)
){{clustered}};

-- Where devices stood before: up to `until_ms` at that site of that operator.
-- owner: energy
CREATE TABLE past_places (
    device_no BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    operator_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    PRIMARY KEY (device_no, until_ms)
);

-- owner: energy
CREATE TABLE energy_sessions (
    session_no {{serial}},
    session_id TEXT NOT NULL UNIQUE,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT,
    last_ms BIGINT NOT NULL,
    record_id TEXT,
    charge_nkwh BIGINT NOT NULL,
    discharge_nkwh BIGINT NOT NULL,
    peak_nkwh BIGINT NOT NULL,
    soc_start_pct BIGINT,
    soc_end_pct BIGINT,
    samples BIGINT NOT NULL,
    basis TEXT NOT NULL,
    resolution TEXT NOT NULL,
    folded_to_ms BIGINT NOT NULL,
    shape {{blob}} NOT NULL,
    carry {{blob}}
);
CREATE INDEX energy_sessions_connector ON energy_sessions (device_no, connector_id, start_ms);
CREATE INDEX energy_sessions_operator ON energy_sessions (operator_id, start_ms DESC, session_no);
CREATE INDEX energy_sessions_site ON energy_sessions (site_id, start_ms DESC, session_no);
CREATE INDEX energy_sessions_open ON energy_sessions (device_no, connector_id) WHERE end_ms IS NULL;

-- A scope is a site or an operator, by its identifier. The four quarters of each clock hour (UTC):
-- energy in, energy out, and the largest net energy of one clock minute, both ways.
-- owner: energy
CREATE TABLE energy_hours (
    scope_id TEXT NOT NULL,
    hour_ms BIGINT NOT NULL,
    charge_0 BIGINT NOT NULL,
    charge_1 BIGINT NOT NULL,
    charge_2 BIGINT NOT NULL,
    charge_3 BIGINT NOT NULL,
    discharge_0 BIGINT NOT NULL,
    discharge_1 BIGINT NOT NULL,
    discharge_2 BIGINT NOT NULL,
    discharge_3 BIGINT NOT NULL,
    peak_0 BIGINT NOT NULL,
    peak_1 BIGINT NOT NULL,
    peak_2 BIGINT NOT NULL,
    peak_3 BIGINT NOT NULL,
    PRIMARY KEY (scope_id, hour_ms)
){{clustered}};

-- Net energy of each of the sixty minutes of an hour.
-- owner: energy
CREATE TABLE energy_minutes (
    scope_id TEXT NOT NULL,
    hour_ms BIGINT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (scope_id, hour_ms)
){{clustered}};

-- Days are those of UTC.
-- owner: energy
CREATE TABLE energy_days (
    scope_id TEXT NOT NULL,
    day_ms BIGINT NOT NULL,
    charge BIGINT NOT NULL,
    discharge BIGINT NOT NULL,
    peak BIGINT NOT NULL,
    PRIMARY KEY (scope_id, day_ms)
){{clustered}};

-- Samples that cannot be believed; they are kept, and left out of energy.
-- owner: energy
CREATE TABLE implausible_samples (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    time_ms BIGINT NOT NULL,
    digest BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (device_no, connector_id, time_ms, digest)
){{clustered}};

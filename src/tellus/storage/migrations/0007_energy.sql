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
CREATE INDEX implausible_samples_time ON implausible_samples (time_ms);

CREATE INDEX charging_records_flagged
    ON charging_records (operator_id, start_ms) WHERE flags <> '';

-- What is kept and for how long. Means of one minute take the place of the samples of an hour that
-- is older than the raw tier; where there is such a row, samples of that hour are gone.
-- owner: telemetry
CREATE TABLE sample_minutes (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    received_to_ms BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (device_no, connector_id, hour_ms)
){{clustered}};
CREATE INDEX sample_minutes_received
    ON sample_minutes (received_to_ms, device_no, connector_id, hour_ms);

-- Packed hours of old times that hold something received lately: when to look at them again.
-- owner: telemetry
CREATE TABLE late_hours (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    look_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, connector_id, hour_ms)
){{clustered}};

CREATE INDEX sample_hours_hour ON sample_hours (hour_ms, device_no, connector_id);
CREATE INDEX energy_sessions_minute ON energy_sessions (end_ms, session_no)
    WHERE resolution = 'minute';
CREATE INDEX energy_sessions_fine ON energy_sessions (device_no, connector_id, start_ms)
    WHERE resolution = 'minute';

-- When a vehicle was last heard of, so that its number ages with its newest record or event.
ALTER TABLE subjects ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT 0;
UPDATE subjects SET seen_ms = created_ms;
UPDATE subjects SET seen_ms = newest.received_ms FROM (
    SELECT subject_id, max(received_ms) AS received_ms FROM (
        SELECT subject_id, received_ms FROM charging_records
        UNION ALL SELECT subject_id, received_ms FROM charging_record_conflicts
        UNION ALL SELECT subject_id, received_ms FROM events
    ) AS held WHERE subject_id IS NOT NULL GROUP BY subject_id
) AS newest
WHERE newest.subject_id = subjects.subject_id AND newest.received_ms > subjects.seen_ms;
CREATE INDEX subjects_seen ON subjects (seen_ms);

-- What was erased on request: of a vehicle or of a device, when, and how much.
-- owner: fleet
CREATE TABLE erasures (
    erasure_no {{serial}},
    erasure_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    device_no BIGINT,
    device_id TEXT,
    asked_by TEXT NOT NULL,
    asked_ms BIGINT NOT NULL,
    done_ms BIGINT,
    removed TEXT NOT NULL
);
CREATE INDEX erasures_open ON erasures (erasure_no) WHERE done_ms IS NULL;

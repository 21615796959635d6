-- When devices reconnected, and what is known of them beyond their operation.

-- ------------------------------------------------------------------ what is known of devices

-- How a charger says it is connected; NULL where it does not say.
-- owner: fleet
CREATE TABLE device_connectivity (
    device_no BIGINT PRIMARY KEY,
    kind TEXT,
    signal_dbm BIGINT,
    imei TEXT,
    told_ms BIGINT NOT NULL
);

-- owner: fleet
CREATE TABLE device_lifecycle (
    device_no BIGINT PRIMARY KEY,
    activated_ms BIGINT,
    warranty_expires_ms BIGINT,
    manufacturing_batch TEXT,
    decommissioned_ms BIGINT
);
INSERT INTO device_lifecycle (device_no, activated_ms)
    SELECT d.device_no, COALESCE(MIN(c.first_used_ms), d.created_ms)
    FROM devices d LEFT JOIN device_credentials c ON c.device_no = d.device_no
    WHERE d.active = 1 AND d.deleted_ms IS NULL
    GROUP BY d.device_no, d.created_ms;

-- ------------------------------------------------------------------ connections

-- What happened to the connection of a device: online, offline (silence), shutdown (it said so
-- itself), reconnect.
-- owner: fleet
CREATE TABLE connection_log (
    device_no BIGINT NOT NULL,
    time_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (device_no, time_ms, kind)
){{clustered}};
CREATE INDEX connection_log_time ON connection_log (time_ms);

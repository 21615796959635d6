-- When devices reconnected, and what is known of them beyond their operation.

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

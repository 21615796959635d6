-- Means of one minute lie in pieces by time like samples, so that old pieces can be dropped whole.
DROP TABLE sample_minutes;
-- owner: telemetry
CREATE TABLE sample_minutes (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    received_to_ms BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (device_no, connector_id, hour_ms)
) PARTITION BY RANGE (hour_ms);
CREATE INDEX sample_minutes_received
    ON sample_minutes (received_to_ms, device_no, connector_id, hour_ms);
-- owner: telemetry
CREATE TABLE sample_minutes_rest PARTITION OF sample_minutes DEFAULT;

-- Every node keeps keys of vehicles in memory: they go there too.
CREATE TRIGGER subjects_noted AFTER DELETE ON subjects
    FOR EACH ROW EXECUTE FUNCTION note_change('subject_id');

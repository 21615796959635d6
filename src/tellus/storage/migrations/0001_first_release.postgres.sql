-- owner: audit
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the % is append-only', replace(TG_TABLE_NAME, '_', ' ');
END $$;

-- owner: audit
CREATE TRIGGER audit_log_unchanged BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- owner: audit
CREATE TRIGGER audit_log_kept BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Samples lie in pieces by time, which come and go by themselves.
DROP TABLE samples;
-- owner: telemetry
CREATE TABLE samples (
    time_ms BIGINT NOT NULL,
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    digest BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (time_ms, device_no, connector_id, digest)
) PARTITION BY RANGE (time_ms);
CREATE INDEX samples_connector ON samples (device_no, connector_id, time_ms);
-- owner: telemetry
CREATE TABLE samples_rest PARTITION OF samples DEFAULT;

DROP TABLE sample_hours;
-- owner: telemetry
CREATE TABLE sample_hours (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (device_no, connector_id, hour_ms)
) PARTITION BY RANGE (hour_ms);
-- owner: telemetry
CREATE TABLE sample_hours_rest PARTITION OF sample_hours DEFAULT;

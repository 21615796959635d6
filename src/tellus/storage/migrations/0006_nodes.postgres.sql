-- Every node keeps these rows in memory: note which were written, and say that there is news.
-- A connection's application_name begins with the identifier of its node.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    written record;
BEGIN
    written := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    INSERT INTO changes (at_ms, node_id, table_name, row_key) VALUES (
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
        split_part(current_setting('application_name'), ' ', 1),
        TG_TABLE_NAME,
        to_jsonb(written) ->> TG_ARGV[0]
    );
    PERFORM pg_notify('tellus', '["","changes",[]]');
    RETURN NULL;
END $$;

CREATE TRIGGER clients_noted AFTER INSERT OR UPDATE OR DELETE ON clients
    FOR EACH ROW EXECUTE FUNCTION note_change('client_id');
CREATE TRIGGER client_secrets_noted AFTER INSERT OR UPDATE OR DELETE ON client_secrets
    FOR EACH ROW EXECUTE FUNCTION note_change('client_id');
CREATE TRIGGER service_accounts_noted AFTER INSERT OR UPDATE OR DELETE ON service_accounts
    FOR EACH ROW EXECUTE FUNCTION note_change('service_account_id');
CREATE TRIGGER signing_keys_noted AFTER INSERT OR UPDATE OR DELETE ON signing_keys
    FOR EACH ROW EXECUTE FUNCTION note_change('kid');
CREATE TRIGGER device_principals_noted AFTER INSERT OR UPDATE OR DELETE ON device_principals
    FOR EACH ROW EXECUTE FUNCTION note_change('device_no');
CREATE TRIGGER device_credentials_noted AFTER INSERT OR UPDATE OR DELETE ON device_credentials
    FOR EACH ROW EXECUTE FUNCTION note_change('device_no');
CREATE TRIGGER devices_noted AFTER INSERT OR UPDATE OR DELETE ON devices
    FOR EACH ROW EXECUTE FUNCTION note_change('device_no');
CREATE TRIGGER connectors_noted AFTER INSERT OR UPDATE OR DELETE ON connectors
    FOR EACH ROW EXECUTE FUNCTION note_change('device_no');
CREATE TRIGGER controls_noted AFTER INSERT OR UPDATE ON controls
    FOR EACH ROW EXECUTE FUNCTION note_change('control_no');
CREATE TRIGGER device_state_inserted AFTER INSERT ON device_state
    FOR EACH ROW EXECUTE FUNCTION note_change('device_no');
-- When a device was last seen is written every few seconds and read by all in one query.
CREATE TRIGGER device_state_noted AFTER UPDATE ON device_state
    FOR EACH ROW
    WHEN (
        (OLD.heartbeat_status, OLD.fault_code, OLD.online, OLD.online_since_ms, OLD.offline_since_ms)
        IS DISTINCT FROM
        (NEW.heartbeat_status, NEW.fault_code, NEW.online, NEW.online_since_ms, NEW.offline_since_ms)
    )
    EXECUTE FUNCTION note_change('device_no');

-- The acceptances (microseconds) that still count in a window, by its name. They are worth nothing
-- after a crash of the database, so they are not logged.
-- owner: nodes
CREATE UNLOGGED TABLE rate_windows (
    window_key TEXT PRIMARY KEY,
    taken_us BIGINT[] NOT NULL,
    idle_us BIGINT NOT NULL
);

-- Accept now and return 0, or return the microseconds until a slot is free; take none where
-- counts is false. At most ``most`` acceptances stand in any span of ``period_us``.
CREATE FUNCTION take_slot(wanted text, most BIGINT, period_us BIGINT, counts BOOLEAN)
RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    held BIGINT[];
    now_us BIGINT;
BEGIN
    IF counts THEN
        -- What is idle may be forgotten between the two statements.
        LOOP
            INSERT INTO rate_windows (window_key, taken_us, idle_us) VALUES (wanted, '{}', 0)
                ON CONFLICT (window_key) DO NOTHING;
            SELECT taken_us INTO held FROM rate_windows WHERE window_key = wanted FOR UPDATE;
            EXIT WHEN FOUND;
        END LOOP;
    ELSE
        SELECT taken_us INTO held FROM rate_windows WHERE window_key = wanted;
    END IF;
    now_us := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    held := ARRAY(SELECT one FROM unnest(held) AS one WHERE one + period_us > now_us ORDER BY one);
    IF cardinality(held) >= most THEN
        RETURN held[cardinality(held) - most + 1] + period_us - now_us;
    END IF;
    IF counts THEN
        UPDATE rate_windows SET taken_us = held || now_us, idle_us = now_us + period_us
            WHERE window_key = wanted;
    END IF;
    RETURN 0;
END $$;

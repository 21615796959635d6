-- Every node remembers what chargers last said they run, so as not to write it with each heartbeat.
CREATE TRIGGER config_reports_noted AFTER INSERT OR UPDATE ON config_reports
    FOR EACH ROW EXECUTE FUNCTION note_change('device_no');

-- Every node remembers how chargers last said they are connected.
CREATE TRIGGER device_connectivity_noted AFTER INSERT OR UPDATE ON device_connectivity
    FOR EACH ROW EXECUTE FUNCTION note_change('device_no');

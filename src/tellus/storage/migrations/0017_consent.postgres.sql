-- Every node keeps these rows in memory.
CREATE TRIGGER consents_noted AFTER INSERT OR UPDATE OR DELETE ON consents
    FOR EACH ROW EXECUTE FUNCTION note_change('consent_id');

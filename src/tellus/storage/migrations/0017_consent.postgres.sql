-- Every node keeps these rows in memory: consents, and which dated builds releases are.
CREATE TRIGGER consents_noted AFTER INSERT OR UPDATE OR DELETE ON consents
    FOR EACH ROW EXECUTE FUNCTION note_change('consent_id');
CREATE TRIGGER firmware_releases_noted AFTER INSERT OR UPDATE OR DELETE ON firmware_releases
    FOR EACH ROW EXECUTE FUNCTION note_change('release_id');

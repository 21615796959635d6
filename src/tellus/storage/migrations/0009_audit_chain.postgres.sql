-- owner: audit
CREATE TRIGGER audit_seals_unchanged BEFORE UPDATE OR DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- owner: audit
CREATE TRIGGER audit_seals_kept BEFORE TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

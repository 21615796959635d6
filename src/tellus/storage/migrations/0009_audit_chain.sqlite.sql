-- owner: audit
CREATE TRIGGER audit_seals_unchanged BEFORE UPDATE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'the audit seals are append-only');
END;

-- owner: audit
CREATE TRIGGER audit_seals_kept BEFORE DELETE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'the audit seals are append-only');
END;

-- REPLACE deletes without telling the trigger above.
-- owner: audit
CREATE TRIGGER audit_seals_not_replaced BEFORE INSERT ON audit_seals
WHEN EXISTS (SELECT 1 FROM audit_seals WHERE seal_no = NEW.seal_no OR entry_no = NEW.entry_no)
BEGIN
    SELECT RAISE(ABORT, 'the audit seals are append-only');
END;

-- The audit log shows tampering: each entry is sealed with a keyed hash over itself and the seal
-- before. Whoever has the database without the key file cannot make a seal.

-- owner: audit
CREATE TABLE audit_seals (
    seal_no BIGINT PRIMARY KEY,
    entry_no BIGINT NOT NULL UNIQUE,
    hash {{blob}} NOT NULL
);

CREATE INDEX audit_log_operator ON audit_log (operator_id, entry_no);

-- What the owners of chargers have agreed to. A consent is revoked, never changed or deleted.

-- services is a set of bits; ended_ms says that what has to follow the end of a consent is done.
-- owner: consent
CREATE TABLE consents (
    consent_no {{serial}},
    consent_id TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    customer TEXT,
    granted_by TEXT NOT NULL,
    services BIGINT NOT NULL,
    evidence TEXT,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT,
    created_ms BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_ms BIGINT,
    revoked_by TEXT,
    revoke_reason TEXT,
    ended_ms BIGINT
);
CREATE INDEX consents_scope ON consents (scope_id);
CREATE INDEX consents_operator ON consents (operator_id, consent_no);
CREATE INDEX consents_end ON consents (to_ms) WHERE ended_ms IS NULL;

-- Where data goes beyond the region of the installation, and by whose leave.

-- In which region a client, a webhook or a peer is; those that are not here are in the installation's.
-- owner: transfers
CREATE TABLE destination_regions (
    destination_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    region TEXT NOT NULL,
    stated_ms BIGINT NOT NULL,
    stated_by TEXT NOT NULL
){{clustered}};
CREATE INDEX destination_regions_operator ON destination_regions (operator_id);

-- A grant is revoked, never changed or deleted; kinds are names with blanks between.
-- owner: transfers
CREATE TABLE transfer_grants (
    grant_no {{serial}},
    grant_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL,
    to_region TEXT NOT NULL,
    kinds TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    evidence TEXT,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT,
    created_ms BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_ms BIGINT,
    revoked_by TEXT,
    revoke_reason TEXT
);
CREATE INDEX transfer_grants_operator ON transfer_grants (operator_id, to_region);

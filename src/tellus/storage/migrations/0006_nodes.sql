-- The processes that serve one installation, the duty that one of them has, and what they changed.

-- owner: nodes
CREATE TABLE nodes (
    node_id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    started_ms BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL
);

-- owner: nodes
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    node_id TEXT NOT NULL,
    until_ms BIGINT NOT NULL
);

-- owner: nodes
CREATE TABLE changes (
    change_no {{serial}},
    at_ms BIGINT NOT NULL,
    node_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    row_key TEXT NOT NULL
);

CREATE INDEX changes_at ON changes (at_ms);

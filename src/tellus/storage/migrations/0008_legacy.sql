-- Platforms of other operators: what is shared with them, what they started here, what they are owed,
-- and what they told of their own charge points.

-- A peer is a client of ours with the scope for it: peer_id is the identifier of that client.
-- owner: legacy
CREATE TABLE legacy_peers (
    peer_id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    timezone TEXT NOT NULL,
    push_url TEXT,
    sends_discharging BIGINT NOT NULL,
    auth TEXT NOT NULL,
    token_url TEXT,
    auth_id TEXT,
    auth_scope TEXT,
    sealed_secret {{blob}},
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE INDEX legacy_peers_operator ON legacy_peers (operator_id, created_ms, peer_id);

-- owner: legacy
CREATE TABLE legacy_shares (
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (peer_id, kind, resource_id)
){{clustered}};

-- A device as a peer knows it: since when its static data are as they are, and the statuses told.
-- owner: legacy
CREATE TABLE legacy_points (
    peer_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    device_no BIGINT NOT NULL,
    described TEXT NOT NULL,
    changed_ms BIGINT NOT NULL,
    told TEXT NOT NULL,
    PRIMARY KEY (peer_id, device_id)
){{clustered}};
CREATE INDEX legacy_points_changed ON legacy_points (peer_id, changed_ms, device_id);

-- owner: legacy
CREATE TABLE legacy_orders (
    order_no {{serial}},
    vendor_order_id TEXT NOT NULL UNIQUE,
    peer_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    device_no BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    connector_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    limit_energy_kwh BIGINT,
    first_state TEXT NOT NULL,
    state TEXT NOT NULL,
    command_id TEXT,
    stop_command_id TEXT,
    reason TEXT,
    energy_kwh DOUBLE PRECISION,
    record_id TEXT,
    created_ms BIGINT NOT NULL,
    began_ms BIGINT,
    stopped_ms BIGINT,
    unplugged_ms BIGINT,
    changed_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    UNIQUE (peer_id, order_id)
);
CREATE INDEX legacy_orders_open ON legacy_orders (device_no, connector_id) WHERE ended_ms IS NULL;
CREATE INDEX legacy_orders_running
    ON legacy_orders (peer_id, device_id, connector_id, order_no) WHERE ended_ms IS NULL;
CREATE INDEX legacy_orders_connector ON legacy_orders (device_no, connector_id, order_no);
CREATE INDEX legacy_orders_operator ON legacy_orders (operator_id, order_no);

-- owner: legacy
CREATE TABLE legacy_outbox (
    push_no {{serial}},
    push_id TEXT NOT NULL UNIQUE,
    peer_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    ordering_key TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_ms BIGINT,
    lease_id TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    last_status BIGINT,
    last_error TEXT,
    history TEXT NOT NULL,
    ended_ms BIGINT
);
CREATE INDEX legacy_outbox_due ON legacy_outbox (peer_id, due_ms, push_no) WHERE ended_ms IS NULL;
CREATE INDEX legacy_outbox_order ON legacy_outbox (peer_id, operation, ordering_key, push_no);
CREATE INDEX legacy_outbox_ended ON legacy_outbox (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX legacy_outbox_peer ON legacy_outbox (peer_id, push_no);

-- owner: legacy
CREATE TABLE legacy_foreign_points (
    peer_id TEXT NOT NULL,
    charge_box_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    content TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (peer_id, charge_box_id)
){{clustered}};
CREATE INDEX legacy_foreign_points_operator
    ON legacy_foreign_points (operator_id, charge_box_id, peer_id);

-- owner: legacy
CREATE TABLE legacy_foreign_orders (
    peer_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    vendor_order_id TEXT NOT NULL,
    charge_point_id TEXT NOT NULL,
    connector_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    changed_ms BIGINT NOT NULL,
    meter TEXT,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (peer_id, order_id)
){{clustered}};
CREATE INDEX legacy_foreign_orders_operator
    ON legacy_foreign_orders (operator_id, received_ms, peer_id, order_id);

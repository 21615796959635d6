-- What the agents propose, what became of it, and when each last looked.

-- owner: agents
CREATE TABLE agent_proposals (
    proposal_no {{serial}},
    proposal_id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    matter TEXT NOT NULL,
    site_id TEXT,
    device_no BIGINT,
    connector_id BIGINT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    evidence TEXT NOT NULL,
    status TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL,
    judged_ms BIGINT,
    judged_by TEXT,
    note TEXT,
    confirmed_ms BIGINT
);
CREATE UNIQUE INDEX agent_proposals_live
    ON agent_proposals (operator_id, agent, matter) WHERE status = 'proposed';
CREATE INDEX agent_proposals_list ON agent_proposals (operator_id, agent, proposal_no);
CREATE INDEX agent_proposals_device ON agent_proposals (device_no, created_ms);

-- owner: agents
CREATE TABLE agent_turns (
    agent TEXT PRIMARY KEY,
    turned_ms BIGINT NOT NULL,
    looked_at BIGINT NOT NULL,
    found BIGINT NOT NULL
){{clustered}};

-- owner: agents
CREATE TABLE agent_wear (
    device_no BIGINT NOT NULL,
    connector_id BIGINT NOT NULL,
    component TEXT NOT NULL,
    days_left DOUBLE PRECISION NOT NULL,
    body TEXT NOT NULL,
    looked_ms BIGINT NOT NULL,
    PRIMARY KEY (device_no, connector_id, component)
){{clustered}};

-- Alerts, what became of them, and the webhooks that are told of them.

-- One alert per matter (operator_id, alert_key) is live: open or acknowledged, ended_ms is null.
-- owner: alerts
CREATE TABLE alerts (
    alert_no {{serial}},
    alert_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL,
    alert_key TEXT NOT NULL,
    site_id TEXT,
    device_no BIGINT,
    connector_id BIGINT NOT NULL,
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    found_by TEXT NOT NULL,
    runbook TEXT,
    evidence TEXT NOT NULL,
    status TEXT NOT NULL,
    condition TEXT NOT NULL,
    condition_ms BIGINT NOT NULL,
    found BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX alerts_live ON alerts (operator_id, alert_key) WHERE ended_ms IS NULL;
CREATE INDEX alerts_operator ON alerts (operator_id, alert_no);
CREATE INDEX alerts_device ON alerts (device_no, alert_no) WHERE device_no IS NOT NULL;
CREATE INDEX alerts_changed ON alerts (changed_ms, alert_no);
CREATE INDEX alerts_ended ON alerts (ended_ms) WHERE ended_ms IS NOT NULL;

-- Every change of an alert: what changed (status, condition, severity, or a note alone), by whom.
-- owner: alerts
CREATE TABLE alert_notes (
    note_no {{serial}},
    alert_no BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    note TEXT
);
CREATE INDEX alert_notes_alert ON alert_notes (alert_no, note_no);

-- owner: alerts
CREATE TABLE alert_runs (
    alert_no BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    runbook TEXT NOT NULL,
    linked_ms BIGINT NOT NULL,
    PRIMARY KEY (alert_no, run_id)
){{clustered}};

-- owner: alerts
CREATE TABLE webhooks (
    webhook_no {{serial}},
    webhook_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    kinds TEXT NOT NULL,
    min_severity TEXT NOT NULL,
    active BIGINT NOT NULL,
    sealed_secret {{blob}} NOT NULL,
    sealed_old {{blob}},
    old_until_ms BIGINT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE INDEX webhooks_operator ON webhooks (operator_id, webhook_no);

-- What webhooks are owed. Those of one alert go in their order; alert_no is null for a test.
-- owner: alerts
CREATE TABLE webhook_outbox (
    push_no {{serial}},
    push_id TEXT NOT NULL UNIQUE,
    webhook_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    alert_no BIGINT,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
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
CREATE INDEX webhook_outbox_due ON webhook_outbox (webhook_id, due_ms, push_no) WHERE ended_ms IS NULL;
CREATE INDEX webhook_outbox_order
    ON webhook_outbox (webhook_id, ordering_key, push_no) WHERE ended_ms IS NULL;
CREATE INDEX webhook_outbox_ended ON webhook_outbox (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX webhook_outbox_webhook ON webhook_outbox (webhook_id, push_no);
CREATE INDEX webhook_outbox_alert ON webhook_outbox (alert_no) WHERE alert_no IS NOT NULL;

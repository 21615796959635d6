-- Runs of runbooks: where each stands, what came of its steps, and the photos sent along.

-- What a run waits for is all here, so that any node can go on with it: due_ms is when it is to be
-- looked at, NULL while only a person can move it. One run of a runbook at a time per place.
-- owner: runbooks
CREATE TABLE runbook_runs (
    run_no {{serial}},
    run_id TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    device_no BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    connector_id BIGINT NOT NULL,
    alert_id TEXT,
    command_id TEXT,
    vehicle TEXT NOT NULL,
    status TEXT NOT NULL,
    n BIGINT NOT NULL,
    stage TEXT NOT NULL,
    part BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    due_ms BIGINT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    pending_command_id TEXT,
    question TEXT,
    cause TEXT,
    conclusion TEXT,
    escalated_to TEXT,
    from_run_id TEXT,
    next_run_id TEXT,
    ended_ms BIGINT,
    revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX runbook_runs_live
    ON runbook_runs (operator_id, slug, device_no, connector_id) WHERE ended_ms IS NULL;
CREATE INDEX runbook_runs_due ON runbook_runs (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX runbook_runs_operator ON runbook_runs (operator_id, run_no);
CREATE INDEX runbook_runs_device ON runbook_runs (device_no, run_no);

-- owner: runbooks
CREATE TABLE runbook_steps (
    run_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    step_id TEXT NOT NULL,
    began_ms BIGINT NOT NULL,
    verdict TEXT,
    finding TEXT,
    advice TEXT,
    evidence TEXT NOT NULL,
    answered_by TEXT,
    client_id TEXT,
    note TEXT,
    confirmed_by TEXT,
    command_ids TEXT NOT NULL,
    ended_ms BIGINT,
    PRIMARY KEY (run_id, n)
){{clustered}};

-- owner: runbooks
CREATE TABLE runbook_photos (
    run_id TEXT NOT NULL,
    file_id TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    note TEXT,
    client_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (run_id, file_id)
){{clustered}};

-- owner: identity
ALTER TABLE clients ADD COLUMN signing TEXT NOT NULL DEFAULT 'off';

-- owner: identity
ALTER TABLE client_secrets ADD COLUMN sealed {{blob}};

-- owner: identity
CREATE TABLE signed_answers (
    client_id TEXT NOT NULL,
    signature {{blob}} NOT NULL,
    received_ms BIGINT NOT NULL,
    status BIGINT,
    body {{blob}},
    PRIMARY KEY (client_id, signature)
){{clustered}};
CREATE INDEX signed_answers_age ON signed_answers (received_ms);

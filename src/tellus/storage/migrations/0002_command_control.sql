-- Lists of commands, commands that a charger works on, and answers that may be asked for again.

CREATE INDEX commands_operator ON commands (operator_id, command_no);

CREATE INDEX commands_device ON commands (device_no, command_no);

CREATE INDEX commands_accepted ON commands (device_no, command_no) WHERE phase = 'accepted';

-- owner: commands
CREATE TABLE request_keys (
    client_id TEXT NOT NULL,
    key_digest TEXT NOT NULL,
    body_digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (client_id, key_digest)
);

CREATE INDEX request_keys_created ON request_keys (created_ms);

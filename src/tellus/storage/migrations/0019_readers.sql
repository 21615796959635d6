-- Who read what of which device, by day.

-- owner: coexistence
CREATE TABLE reads (
    scope_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    reader_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    scope TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    reader_kind TEXT NOT NULL,
    times BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    PRIMARY KEY (scope_id, day, reader_id, kind)
){{clustered}};
CREATE INDEX reads_day ON reads (day);

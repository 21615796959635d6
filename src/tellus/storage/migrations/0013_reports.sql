-- Diagnostic reports and the files they bring.

-- A file has no size before it is whole; what never becomes whole is swept away by touched_ms.
-- owner: reports
CREATE TABLE stored_files (
    file_id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL,
    device_no BIGINT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes BIGINT,
    sha256 TEXT,
    created_ms BIGINT NOT NULL,
    touched_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX stored_files_unfinished ON stored_files (touched_ms) WHERE size_bytes IS NULL;
CREATE INDEX stored_files_expiring ON stored_files (expires_ms);
CREATE INDEX stored_files_device ON stored_files (device_no);

-- owner: reports
CREATE TABLE stored_file_parts (
    file_id TEXT NOT NULL,
    part_no BIGINT NOT NULL,
    content {{blob}} NOT NULL,
    PRIMARY KEY (file_id, part_no)
);

-- owner: reports
CREATE TABLE diagnostic_reports (
    report_no {{serial}},
    report_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL,
    device_no BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    command_id TEXT NOT NULL,
    upload_digest TEXT NOT NULL UNIQUE,
    upload_until_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    note TEXT,
    from_ms BIGINT,
    to_ms BIGINT,
    created_ms BIGINT NOT NULL,
    touched_ms BIGINT NOT NULL,
    file_id TEXT,
    media_type TEXT,
    size_bytes BIGINT,
    sha256 TEXT,
    uploaded_ms BIGINT,
    expires_ms BIGINT
);
CREATE INDEX diagnostic_reports_device ON diagnostic_reports (device_no, report_no);
CREATE INDEX diagnostic_reports_open ON diagnostic_reports (report_no)
    WHERE state IN ('queued', 'uploading');
CREATE INDEX diagnostic_reports_created ON diagnostic_reports (created_ms);

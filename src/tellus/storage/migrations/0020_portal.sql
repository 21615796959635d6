-- Customers who look after their consents themselves, and where their chargers stood.

-- The customer whose portal a client is, as consents name customers.
ALTER TABLE clients ADD COLUMN customer TEXT;

CREATE INDEX consents_customer ON consents (operator_id, customer);

-- What customers ask for: other services, or that a charger is erased; and what it was answered.
-- owner: portal
CREATE TABLE customer_requests (
    request_no {{serial}},
    request_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    customer TEXT NOT NULL,
    device_no BIGINT,
    device_id TEXT,
    consent_id TEXT,
    services BIGINT NOT NULL,
    note TEXT,
    status TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    answered_ms BIGINT,
    answered_by TEXT,
    answer TEXT,
    erasure_id TEXT
);
CREATE INDEX customer_requests_customer ON customer_requests (operator_id, customer, request_no);
CREATE INDEX customer_requests_operator ON customer_requests (operator_id, status, request_no);
CREATE INDEX customer_requests_device ON customer_requests (device_no);

-- Under which sites a charger stood before, until when: a consent for a site covers no time that a
-- charger spent elsewhere.
-- owner: portal
CREATE TABLE former_sites (
    device_no BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    site_id TEXT NOT NULL,
    PRIMARY KEY (device_no, to_ms)
){{clustered}};

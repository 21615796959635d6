-- Alerts, their notes, and the webhooks that are told of them.
SELECT 1;

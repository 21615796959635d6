-- Runs of runbooks.
SELECT 1;

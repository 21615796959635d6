-- Diagnostic reports and the files they bring.
SELECT 1;

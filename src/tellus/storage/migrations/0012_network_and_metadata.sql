-- When devices reconnected, and what is known of them beyond their operation.
SELECT 1;

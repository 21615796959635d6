-- Configuration profiles, who is assigned which, and what chargers say they run.
SELECT 1;

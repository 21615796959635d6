-- Component health: extremes by the minute and by the hour.
SELECT 1;

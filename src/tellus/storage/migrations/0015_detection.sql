-- What detectors have to look at, what they count, and what was found.
SELECT 1;

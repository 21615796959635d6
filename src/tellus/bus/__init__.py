"""Wake-ups and fan-out, never the truth: losing a message costs latency, not data."""

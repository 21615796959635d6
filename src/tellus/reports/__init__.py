"""Diagnostic reports: logs that a charger was asked for, uploads, and files kept for a while."""

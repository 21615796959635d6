"""Tellus: the cloud side of a fleet of EV chargers, speaking the Open Platform API v1.3."""

__version__ = "0.1.0"

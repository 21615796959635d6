"""Which capability belongs on which channel, as data."""

"""Load generators, peers and measurements; ``python -m bench`` runs a shortened programme."""

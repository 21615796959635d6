"""Transfers: what leaves the region of the installation, and by whose leave.

Clients, webhooks and peers are *destinations*. One that lies in another region gets no files,
deliveries or pushes unless a *grant* covers it.
"""

"""Firmware: which releases there are, upgrades of chargers, and rollouts over many of them.

A *release* is a version for some models, with where to get it and the hash of it. An *upgrade* is
one device's command ``firmware_upgrade`` together with what it ran before; the charger's word moves
the command on, and ``service`` looks for those that never come back. A *rollout* takes a *cohort*
of devices to a version in *waves*, each with the share that has to succeed before the next begins
and the share that may fail before everything halts.

Each turn of the ``engine`` reads a rollout from the store with what is known of its devices, lets
``rules`` say what follows, stores that, and sends what is to be sent. A device is marked as sent in
the transaction that stores its command, so that a crash anywhere sends nothing twice.
"""

"""Simulated chargers: black-box clients of the public device API.

A *twin* is the pure physics and behaviour of one charger: time is a parameter, chance is seeded,
what it would send comes out as messages. A *link* carries those messages over HTTP the way a real
charger does: registration, token, heartbeat, long-poll, offline buffer, retries. A *fleet* runs
thousands of both in one process. Nothing here knows how the platform works inside, so the same
chargers can test any server that speaks the published contract.

Reading order: ``defaults.toml`` (the figures), ``electrics``, ``battery``, ``metering``,
``thermal`` (physics), ``contactor``, ``cabinet``, ``fan``, ``inverter``, ``isolation`` (parts that
wear), ``scenario`` (who arrives when), ``connector`` and ``device`` (the twin), ``causes`` and
``injection`` (what goes wrong), ``link`` and ``fleet`` (the network), ``history`` (the past,
computed), ``rehearsal`` (a fleet in virtual time), ``stories`` (known truths to try detection on).
"""

"""Commands: what an operator wants of a charger, on its way there, and what came of it.

A command is *queued* until its charger reports. It leaves by heartbeat or by long-poll
(``device_api``), under one lease of 30 seconds, and is delivered again under the same id while no
answer comes: a *level* command (stop) until it expires, an *edge* command (start) three times. What
the charger reports is kept whole; the first terminal report stands. A failure that the platform
declared (expired, no response, superseded) is corrected once by a report that comes late.

A schedule (``schedules``) is kept beside the command that takes it to its charger, and both are
stored in one transaction.

All of it is in the store, decided by ``rules`` on the writer. Memory holds two things that can be
lost: which devices have something to fetch (``pending``) and whose polls are parked (``waiting``).
"""

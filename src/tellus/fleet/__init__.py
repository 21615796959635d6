"""What exists and how it is now: sites, devices, connectors, presence, health and device events.

A charger registers (``registration``) with the proof that its serial number was provisioned with
(``enrolment``), becomes a *pending* device on a site of an operator, and is *active* once its
secret was used. It is *online* while it speaks (``presence``). Its current state lives in memory
(``directory``), is changed only after a commit and is read back at start (``service``);
``queries`` answers from there. ``events`` takes in what chargers tell. ``sites`` and
``administration`` are what administrators do. History of samples belongs to ``telemetry``.
"""

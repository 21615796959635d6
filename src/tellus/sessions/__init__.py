"""Charging records: what a charger says of a session once it is over.

A record is uploaded (``device_api``), alone or in a batch, judged (``rules``) and stored through
the hot door (``uploads``). Nothing is refused for being implausible, because a refused record is
lost billing: what looks wrong is flagged. A record is identified by its charger and the charger's
own ``record_id``; an identical repeat changes nothing, and of two different ones the first stands
and the second is kept beside it. VINs are sealed under the key of their vehicle
(``identity.vault``).
"""

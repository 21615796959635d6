"""Flexibility: one call that limits the power of many chargers for a while, or pauses them.

A *control* names its *targets* (sites, the operator, all), a percentage and a duration. It becomes
one limit in kW for every connector, kept in the store before the caller is answered. What a
connector has to hold goes to its charger as a command that carries the whole set of limits in
force there (``commands``), so that a newer command may replace an older one and the charger holds
the lowest. Each limit names its own end: the charger lifts it then, whether anybody tells it to or
not.

``service`` issues, cancels and shows controls; ``upkeep`` tells the chargers, again where one was
away; ``census`` notices who comes and goes meanwhile; ``targeting`` finds the chargers and spreads
a control over time. All decisions are in ``rules``.
"""

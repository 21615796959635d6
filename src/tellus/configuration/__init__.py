"""Configuration profiles: what chargers ought to run, and what they say they run.

An operator keeps profiles and assigns them to devices. A charger names its profile, and a hash of
what it runs, with its heartbeats; where they differ from what was assigned, it has drifted, and the
profile can be applied again.
"""

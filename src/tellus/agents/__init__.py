"""The console's agents: three deterministic services that propose, with evidence, and never act.

The Anomaly Hunter looks for parts that behave unlike their own past and unlike their peers, the
Repeat-Fault Hunter for faults that come back, the Maintenance Dispatcher ranks what is to be done
at which site. A person judges each proposal; that, and what happened afterwards, is the track
record.
"""

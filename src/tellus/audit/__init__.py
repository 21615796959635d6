"""Who did what to which resource, and when: an append-only record.

An entry is appended inside the transaction of what it records, so that there is never one without
the other; the database itself refuses to change or delete one. A moment later it is sealed into a
chain (``sealing``), so that whoever gets around that leaves a trace. Details never hold secrets.
"""

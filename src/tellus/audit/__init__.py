"""Who did what to which resource, and when: an append-only record.

An entry is appended inside the transaction of what it records, so that there is never one without
the other; the database itself refuses to change or delete one. Details never hold secrets.
"""

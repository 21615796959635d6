"""Delivery: sending what others are owed over HTTP, until they have it or the schedule is over.

Whoever owes something keeps it in a table of its own, the shelf, written in the transaction of what
it tells of. The engine sends what is due: each receiver for itself, what is of one line in its
order, under leases that survive the end of a process. Receivers are not trusted: their addresses
are judged, and there is little time for them. Interop with other platforms and the webhooks of
alerts are sent this way.
"""

"""Legacy: interop with the platforms of other operators, in their older dialect, both ways.

A *peer* is such a platform. What is *shared* with it, sites or single devices, it may list, start
and stop; what it starts is an *order*. Changes of orders and statuses go out to it as *pushes* from
the *outbox*. What a peer pushes to us are *foreign* charge points and orders. Wire names are those
of the published contract, in PascalCase, and occur in ``wire.py`` alone.
"""

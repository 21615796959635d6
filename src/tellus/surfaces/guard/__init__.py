"""The server around the application: uvicorn with deadlines, bounds, caps and draining.

``server`` starts and stops, ``protocol`` speaks HTTP, ``streamsocket`` WebSocket; the rest are
their parts. The application meets it through ``connections``, ``draining`` and ``StreamPeer`` only.
"""

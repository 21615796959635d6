"""Samples: what chargers measure, kept as history and passed on as frames.

A sample arrives (``device_api``), is judged (``rules``), and goes through the hot door of the store
in batches (``ingest``). After the commit the fleet's current state moves forward and the stream is
told. The store keeps a recent log, time first, and packs what is older into one row per connector
and hour (``packing``); ``history`` reads both as one.
"""

"""Nodes: the processes that serve one installation over one database.

Each node enters itself and renews its entry. One of them at a time holds the duty: the work in the
background that is to be done once. What one node changes the others learn from the table of
changes, which the database keeps by itself; the bus only says that there is something to read.
"""

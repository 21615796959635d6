"""Where facts rest: the port, the SQLite back end and the migrations.

Features write stores: plain synchronous functions over a transaction (``Tx``), in the SQL that
SQLite and PostgreSQL share. Two doors lead in: ``submit`` for the hot kinds, which are applied many
at a time, and ``write`` for everything else. ``read`` serves queries from reader threads.
"""

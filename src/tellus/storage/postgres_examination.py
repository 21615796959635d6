"""Looking at a PostgreSQL database without a running platform."""

import psycopg

from tellus.storage.migrate import READ_LEDGER, find_pending, load_migrations
from tellus.storage.postgres_connection import Address, connect, require_durable
from tellus.storage.postgres_tx import PostgresTx
from tellus.storage.refusals import StorageRefused
from tellus.storage.sqlite_examination import DatabaseFacts


def examine_postgres(url: str) -> tuple[str, DatabaseFacts]:
    """Return where a database is, without its password, and what it says of itself.

    Nothing is changed; a platform may use it meanwhile.
    """
    address = Address(url, "tellus doctor")
    try:
        connection = connect(address)
        try:
            require_durable(connection)
            tx = PostgresTx(connection)
            there = tx.row("SELECT to_regclass('schema_migrations')::text")
            rows = tx.rows(READ_LEDGER) if there and there[0] else []
        finally:
            connection.close()
        applied = [(int(version), str(checksum)) for version, checksum in rows]
        pending = len(find_pending(applied, load_migrations(dialect="postgres")))
    except (StorageRefused, psycopg.Error) as error:
        return str(address), DatabaseFacts(0, 0, str(error).strip())
    newest = max((version for version, _ in applied), default=0)
    return str(address), DatabaseFacts(newest, pending, None)

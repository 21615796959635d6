"""Devices that were in use before their life was noted keep the day they came into use."""

import asyncio

from tellus.storage.database import Tx
from tellus.storage.migrate import load_migrations
from tests.storage.conftest import Backend, PostgresBackend, SQLiteBackend

_DEVICE = (
    "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model, manufacturer,"
    " firmware_version, active, created_ms, updated_ms, deleted_ms)"
    " VALUES ($1, $2, $2, 'op', 'site', 'TP-DC180', 'Maker', '3.1.0', $3, 100, 100, $4)"
)
_CREDENTIAL = (
    "INSERT INTO device_credentials"
    " (device_no, secret_id, verifier, created_ms, expires_ms, first_used_ms)"
    " VALUES ($1, $2, $3, 100, 999, $4)"
)


def _fill(tx: Tx) -> None:
    for device_no, active, deleted_ms in ((1, 1, None), (2, 1, None), (3, 0, None), (4, 1, 500)):
        tx.execute(_DEVICE, device_no, f"dvc_{device_no}", active, deleted_ms)
    tx.execute(_CREDENTIAL, 1, "s1", b"v", 250)
    tx.execute(_CREDENTIAL, 1, "s2", b"v", 150)
    tx.execute(_CREDENTIAL, 3, "s3", b"v", None)


def test_lifecycle__devices_of_before__have_their_first_day(backend: Backend) -> None:
    """It is the first use of a secret, else the registration; none for who is not in use."""
    assert isinstance(backend, PostgresBackend | SQLiteBackend)
    dialect = "postgres" if isinstance(backend, PostgresBackend) else "sqlite"
    before = tuple(one for one in load_migrations(dialect=dialect) if one.version < 12)

    async def migrate() -> list[tuple[int, int]]:
        async with backend.open(migrations=before) as database:
            await database.write(_fill)
        after = load_migrations(dialect=dialect)[:12]
        async with backend.open(migrations=after) as database:
            sql = "SELECT device_no, activated_ms FROM device_lifecycle ORDER BY device_no"
            return await database.read(lambda tx: tx.rows(sql))

    assert asyncio.run(migrate()) == [(1, 150), (2, 100)]

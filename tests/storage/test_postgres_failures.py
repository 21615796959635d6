"""Errors of PostgreSQL: told to whom they hit, and never taken for success."""

import asyncio
from typing import Any

import psycopg
import pytest

from tellus.kernel.errors import Unavailable
from tellus.storage.database import Tx
from tellus.storage.faults import Fault
from tellus.storage.postgres_faults import classify
from tests.storage.conftest import PostgresBackend
from tests.storage.facts import Facts, insert_fact, list_keys


def test_submit__hides_a_failed_statement__fails_alone(postgres: PostgresBackend) -> None:
    """Whoever swallows an error of the database is not told that anything was stored."""

    class Swallowing(Facts):
        def apply_many(self, tx: Tx, operations: Any) -> list[Any]:
            try:
                return super().apply_many(tx, operations)
            except psycopg.Error:
                return [True for _ in operations]

    async def scenario() -> None:
        kind = Swallowing()
        async with postgres.open() as database:
            calls = [database.submit(kind, (k, None if k == 3 else "x")) for k in range(6)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            failed = [k for k, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
            assert failed == [3]
            assert await database.read(list_keys) == [0, 1, 2, 4, 5]

    asyncio.run(scenario())


def test_write__hides_a_failed_statement__is_not_answered_as_done(
    postgres: PostgresBackend,
) -> None:
    """A cold write whose transaction the server has given up fails."""

    def swallow(tx: Tx) -> str:
        insert_fact(tx, 1)
        try:
            insert_fact(tx, 1)
        except psycopg.Error:
            return "done"
        return "not reached"

    async def scenario() -> None:
        async with postgres.open() as database:
            with pytest.raises(Exception, match="hidden"):
                await database.write(swallow)
            assert await database.read(list_keys) == []

    asyncio.run(scenario())


def test_disk_full__writes_are_unavailable_then_go_on(postgres: PostgresBackend) -> None:
    """Without space writes are answered 503, reads go on, and so do writes once there is some."""
    full = (
        "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;"
        "CREATE TRIGGER fill BEFORE INSERT ON facts FOR EACH ROW EXECUTE FUNCTION fill()"
    )

    async def scenario() -> None:
        async with postgres.open() as database:
            with psycopg.connect(postgres.url) as connection:
                connection.execute(full)
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await database.submit(Facts(), (1, "x"))
                with pytest.raises(Unavailable):
                    await database.write(insert_fact, 2)
                assert await database.read(list_keys) == []
            assert database.stats.ailment == Fault.FULL
            with psycopg.connect(postgres.url) as connection:
                connection.execute("DROP TRIGGER fill ON facts")
            assert await database.submit(Facts(), (1, "x")) == 10
            assert database.stats.ailment == ""
            assert not database.failed.is_set()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("40001", Fault.RETRY),
        ("40P01", Fault.RETRY),
        ("53100", Fault.FULL),
        ("53300", Fault.BUSY),
        ("57014", Fault.BUSY),
        ("57P01", Fault.LOST),
        ("08006", Fault.LOST),
        ("25006", Fault.LOST),
        ("58030", Fault.BUSY),
        ("23505", Fault.OPERATION),
        ("22021", Fault.OPERATION),
    ],
)
def test_classify__state_of_the_server__says_who_is_hit(state: str, fault: Fault) -> None:
    """Each kind of failure hits whom it should, also when other code wrapped it."""
    error = psycopg.errors.lookup(state)("x")
    assert classify(error) is fault
    wrapped = KeyError("x")
    wrapped.__cause__ = error
    assert classify(wrapped) is fault
    assert classify(psycopg.OperationalError("gone")) is Fault.LOST

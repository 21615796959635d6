"""Several processes on one PostgreSQL: decisions are made once, in an order that all follow."""

import asyncio
import threading

from tellus.storage.database import Tx
from tellus.storage.postgres import PostgresDatabase
from tests.storage.conftest import PostgresBackend
from tests.storage.facts import insert_fact

PATIENCE_S = 10.0


def test_write__two_processes_decide_at_once__one_of_them_wins(postgres: PostgresBackend) -> None:
    """A decision under a lock is made once, whichever process makes it."""

    def claim(tx: Tx, name: str) -> str:
        tx.lock("fact 1")
        row = tx.row("SELECT v FROM facts WHERE k = 1")
        if row is not None:
            return str(row[0])
        insert_fact(tx, 1, name)
        return name

    async def scenario() -> None:
        async with postgres.open() as one, postgres.open() as other:
            calls = [store.write(claim, f"w{n}") for n in range(30) for store in (one, other)]
            assert len(set(await asyncio.gather(*calls))) == 1

    asyncio.run(scenario())


def test_write__without_its_lock__both_win(postgres: PostgresBackend) -> None:
    """The test above is no decoration: without the lock two decide at once."""
    meeting = threading.Barrier(2)

    def claim(tx: Tx, name: str) -> str:
        if tx.row("SELECT v FROM facts WHERE v = 'taken'") is not None:
            return "late"
        meeting.wait(PATIENCE_S)
        tx.execute("INSERT INTO facts (k, v) VALUES ($1, 'taken')", int(name))
        return name

    async def scenario() -> None:
        async with postgres.open() as one, postgres.open() as other:
            assert await asyncio.gather(one.write(claim, "1"), other.write(claim, "2")) == [
                "1", "2",
            ]  # fmt: skip

    asyncio.run(scenario())


def test_write__in_a_ring_with_another__is_run_again(postgres: PostgresBackend) -> None:
    """Of two that wait for each other one is run again, and both succeed."""
    meeting = threading.Barrier(2)
    runs: list[int] = []

    def cross(tx: Tx, first: int, second: int) -> None:
        runs.append(first)
        tx.execute("UPDATE facts SET v = 'x' WHERE k = $1", first)
        if len(runs) <= 2:
            meeting.wait(PATIENCE_S)
        tx.execute("UPDATE facts SET v = 'x' WHERE k = $1", second)

    async def scenario() -> None:
        async with postgres.open() as database:
            await database.write(insert_fact, 1)
            await database.write(insert_fact, 2)
            await asyncio.gather(database.write(cross, 1, 2), database.write(cross, 2, 1))
            assert len(runs) == 3

    asyncio.run(scenario())


def test_write__under_one_lock__are_answered_in_the_order_of_their_commits(
    postgres: PostgresBackend,
) -> None:
    """Memory that follows answers never goes back to what an earlier transaction said."""

    def count(tx: Tx) -> int:
        tx.lock("fact 1")
        tx.execute("UPDATE facts SET v = (v::int + 1)::text WHERE k = 1")
        row = tx.row("SELECT v FROM facts WHERE k = 1")
        assert row is not None
        return int(row[0])

    async def scenario() -> None:
        answers: list[int] = []

        async def follow(store: PostgresDatabase) -> None:
            answers.append(await store.write(count))

        async with postgres.open() as database:
            await database.write(insert_fact, 1, "0")
            await asyncio.gather(*(follow(database) for _ in range(200)))
        assert answers == list(range(1, 201))

    asyncio.run(scenario())


def test_lock__several_in_any_order__never_in_a_ring(postgres: PostgresBackend) -> None:
    """Whoever asks for several locks at once gets them in one order."""
    runs: list[bool] = []

    def take(tx: Tx, *names: str) -> None:
        runs.append(True)
        tx.lock(*names)

    async def scenario() -> None:
        async with postgres.open() as database:
            forth, back = ("a", "b", "c"), ("c", "b", "a")
            calls = [database.write(take, *names) for _ in range(50) for names in (forth, back)]
            await asyncio.gather(*calls)
        assert len(runs) == 100

    asyncio.run(scenario())

"""The contract of a transaction: parameters, rows, inserts of many, snapshots."""

import asyncio
from typing import Any

import pytest

from tellus.kernel.errors import TooManyRequests
from tellus.storage.database import Tx
from tests.storage.conftest import Backend
from tests.storage.facts import INSERT, insert_fact, list_keys

SIZES = (1, 2, 3, 15, 16, 17, 31, 32, 33, 100, 511, 512, 513, 1_000, 2_049)


def in_writer(backend: Backend, work: Any) -> Any:
    """Run ``work`` on a fresh store and return what it returns."""

    async def scenario() -> Any:
        async with backend.open() as database:
            return await database.write(work)

    return asyncio.run(scenario())


def test_tx__parameter_used_twice__one_value_serves_both(backend: Backend) -> None:
    """``$1`` may come again in a statement, and numbers say which value is meant."""

    def work(tx: Tx) -> Any:
        insert_fact(tx, 7, "seven")
        return tx.row("SELECT k, v FROM facts WHERE k = $1 AND k >= $1 AND v = $2", 7, "seven")

    assert in_writer(backend, work) == (7, "seven")


def test_tx__dollar_in_a_literal__is_text(backend: Backend) -> None:
    """Quoted text is not searched for parameters."""

    def work(tx: Tx) -> Any:
        insert_fact(tx, 1, "costs $1")
        return tx.row("SELECT k FROM facts WHERE v = 'costs $1' AND k = $1", 1)

    assert in_writer(backend, work) == (1,)


def test_tx__more_than_nine_parameters__are_told_apart(backend: Backend) -> None:
    """``$10`` is the tenth parameter, not the first followed by a zero."""

    def work(tx: Tx) -> Any:
        marks = ", ".join(f"(${2 * n + 1}, ${2 * n + 2})" for n in range(8))
        values = [value for n in range(8) for value in (n, f"t{n}")]
        tx.execute(f"INSERT INTO facts (k, v) VALUES {marks}", *values)
        return tx.rows("SELECT k, v FROM facts ORDER BY k")

    assert in_writer(backend, work) == [(n, f"t{n}") for n in range(8)]


def test_tx__values_of_every_type__come_back_as_they_went(backend: Backend) -> None:
    """64-bit integers, doubles, text beyond ASCII, bytes and NULL survive."""
    text, real, data = "Zürich ⚡ 𝄞", 60_441.935575, bytes(range(256))

    def work(tx: Tx) -> Any:
        row = tx.row(
            "INSERT INTO numbers (text, real, bytes) VALUES ($1, $2, $3) RETURNING n",
            text,
            real,
            data,
        )
        assert row is not None
        tx.execute("INSERT INTO numbers (n, text) VALUES ($1, $2)", (1 << 63) - 1, None)
        first = tx.row("SELECT text, real, bytes FROM numbers WHERE n = $1", row[0])
        return first, tx.row("SELECT n, text FROM numbers WHERE n > $1", row[0])

    first, last = in_writer(backend, work)
    assert first == (text, real, data)
    assert last == ((1 << 63) - 1, None)


def test_tx__wrong_type__is_refused(backend: Backend) -> None:
    """A text where a number belongs fails here, not years later in a query."""

    async def scenario() -> None:
        async with backend.open() as database:
            with pytest.raises(Exception, match=r"(?i)int|mismatch"):
                await database.write(insert_fact, "seven")

    asyncio.run(scenario())


def test_tx__execute__returns_how_many_rows_changed(backend: Backend) -> None:
    """The count is of this statement, also when it is nought."""

    def work(tx: Tx) -> Any:
        tx.insert_many(INSERT, [(k, "x") for k in range(10)])
        return (
            tx.execute("UPDATE facts SET v = $1 WHERE k < $2", "y", 4),
            tx.execute("UPDATE facts SET v = $1 WHERE k > $2", "y", 400),
            tx.execute("DELETE FROM facts WHERE v = $1", "y"),
            tx.execute("INSERT INTO facts (k, v) VALUES (9, 'z') ON CONFLICT DO NOTHING"),
        )

    assert in_writer(backend, work) == (4, 0, 4, 0)


def test_tx__row_of_nothing__is_none(backend: Backend) -> None:
    """No row is None, no rows an empty list."""
    found = in_writer(
        backend, lambda tx: (tx.row("SELECT k FROM facts"), tx.rows("SELECT 1 FROM facts"))
    )
    assert found == (None, [])


@pytest.mark.parametrize("size", SIZES)
def test_insert_many__any_number_of_rows__all_are_stored_and_counted(
    backend: Backend, size: int
) -> None:
    """Whatever the number of rows, each is stored once; conflicts are not counted."""
    rows = [(k, f"t{k}") for k in range(size)]

    def work(tx: Tx) -> Any:
        first = tx.insert_many(INSERT, rows)
        again = tx.insert_many(INSERT, [*rows, (size, "new")], "ON CONFLICT DO NOTHING")
        return first, again, tx.rows("SELECT k, v FROM facts ORDER BY k")

    first, again, stored = in_writer(backend, work)
    assert (first, again) == (size, 1)
    assert stored == [*rows, (size, "new")]


@pytest.mark.parametrize("size", SIZES)
def test_insert_returning__some_rows_known__returns_the_new_ones(
    backend: Backend, size: int
) -> None:
    """RETURNING tells which rows were new."""

    def work(tx: Tx) -> Any:
        tx.insert_many(INSERT, [(k, "old") for k in range(0, size, 3)])
        rows = [(k, "new") for k in range(size)]
        tail = "ON CONFLICT (k) DO NOTHING RETURNING k"
        return sorted(tx.insert_returning(INSERT, rows, tail))

    assert in_writer(backend, work) == [(k,) for k in range(size) if k % 3]


def test_insert_many__upsert__the_newest_stays(backend: Backend) -> None:
    """A tail may update; rows of one key may come in several statements, not in one."""

    def work(tx: Tx) -> Any:
        tx.insert_many(INSERT, [(1, "a"), (2, "b")])
        tail = "ON CONFLICT (k) DO UPDATE SET v = excluded.v WHERE excluded.v > facts.v"
        changed = tx.insert_many(INSERT, [(1, "A"), (2, "c"), (3, "d")], tail)
        return changed, tx.rows("SELECT v FROM facts ORDER BY k")

    assert in_writer(backend, work) == (2, [("a",), ("c",), ("d",)])


def test_insert_many__no_rows__does_nothing(backend: Backend) -> None:
    """Nothing to insert is no statement."""
    assert in_writer(backend, lambda tx: tx.insert_many(INSERT, [])) == 0
    assert in_writer(backend, lambda tx: tx.insert_returning(INSERT, [], "RETURNING k")) == []


def test_insert_many__rows_of_different_width__is_refused(backend: Backend) -> None:
    """A row with a value too few is a bug that is told, never shifted data."""
    with pytest.raises(ValueError, match="same number"):
        in_writer(backend, lambda tx: tx.insert_many(INSERT, [(1, "a"), (2,), (3, "c")]))


def test_read__tries_to_write__is_refused(backend: Backend) -> None:
    """A reader cannot write, whatever it is asked to run."""

    async def scenario() -> None:
        async with backend.open() as database:
            with pytest.raises(Exception, match=r"(?i)read.?only"):
                await database.read(insert_fact, 1)
            assert await database.read(list_keys) == []

    asyncio.run(scenario())


def test_read__while_others_commit__sees_one_snapshot(backend: Backend) -> None:
    """All queries of one read see the same state."""

    async def scenario() -> None:
        async with backend.open() as database:
            await database.write(insert_fact, 1)
            loop = asyncio.get_running_loop()

            def look_twice(tx: Tx) -> tuple[list[int], list[int]]:
                before = list_keys(tx)
                asyncio.run_coroutine_threadsafe(database.write(insert_fact, 2), loop).result(10)
                return before, list_keys(tx)

            assert await database.read(look_twice) == ([1], [1])
            assert await database.read(list_keys) == [1, 2]

    asyncio.run(scenario())


def test_read__raises__the_reader_goes_on(backend: Backend) -> None:
    """A query that fails tells its caller alone."""

    async def scenario() -> None:
        async with backend.open() as database:
            for _ in range(5):
                with pytest.raises(KeyError):
                    await database.read(lambda tx: {}[tx.rows("SELECT 1")[0]])
                with pytest.raises(Exception, match="nowhere"):
                    await database.read(lambda tx: tx.rows("SELECT 1 FROM nowhere"))
            assert await database.read(list_keys) == []

    asyncio.run(scenario())


def test_read__what_was_just_written__is_seen(backend: Backend) -> None:
    """After a write is answered every read sees it."""

    async def scenario() -> None:
        async with backend.open() as database:
            for k in range(30):
                await database.write(insert_fact, k)
                assert len(await database.read(list_keys)) == k + 1

    asyncio.run(scenario())


def test_read__too_many_wait__are_turned_away(backend: Backend) -> None:
    """The queue of readers is bounded."""

    async def scenario() -> None:
        async with backend.open() as database:
            calls = (database.read(list_keys) for _ in range(3_000))
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            kinds = {type(outcome) for outcome in outcomes}
            assert kinds == {list, TooManyRequests}
            assert await database.read(list_keys) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("width", [1, 3, 40, 700])
def test_insert_many__wide_rows__stay_within_the_limits_of_a_statement(
    backend: Backend, width: int
) -> None:
    """However wide the rows, statements are cut so that the database takes them."""
    names = [f"c{n}" for n in range(width)]

    def work(tx: Tx) -> Any:
        tx.execute(f"CREATE TABLE wide ({', '.join(f'{name} BIGINT' for name in names)})")
        rows = [[width * k + n for n in range(width)] for k in range(777)]
        changed = tx.insert_many(f"INSERT INTO wide ({', '.join(names)})", rows)
        found = tx.row(f"SELECT count(*), sum({names[-1]}) FROM wide")
        return changed, found, sum(row[-1] for row in rows)

    changed, found, total = in_writer(backend, work)
    assert changed == 777
    assert found == (777, total)

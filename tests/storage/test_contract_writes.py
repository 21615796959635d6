"""The contract of the doors in: durable before answered, failing alone, bounded."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import Conflict, TooManyRequests, Unavailable
from tellus.storage.database import Tx
from tests.storage.conftest import Backend
from tests.storage.facts import COUNT, INSERT, Facts, insert_fact, list_keys


async def gather_behind(kind: Facts, *calls: Any) -> list[Any]:
    """Let ``calls`` queue up while the writer is held, then let them go; return their outcomes."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0.01)
    kind.gate.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def hold(database: Any, kind: Facts, k: int) -> "asyncio.Task[Any]":
    """Hold the writer inside a batch of its own with the fact ``k``."""
    kind.gate.clear()
    kind.entered.clear()
    task = asyncio.create_task(database.submit(kind, (k, "holds")))
    await asyncio.to_thread(kind.entered.wait, 10)
    return task


def test_submit__many_at_once__each_gets_its_own_outcome(backend: Backend) -> None:
    """Operations that were queued together go in few batches, and answers are not mixed up."""

    async def scenario() -> None:
        kind = Facts()
        async with backend.open() as database:
            calls = (database.submit(kind, (k, "x")) for k in range(1_500))
            assert await asyncio.gather(*calls) == [k * 10 for k in range(1_500)]
            assert len(kind.sizes) < 100
            assert max(kind.sizes) <= 512
        assert backend.peek(COUNT) == [(1_500,)]

    asyncio.run(scenario())


def test_submit__released__only_after_commit_and_after_memory_followed(backend: Backend) -> None:
    """When memory is told, others can read the facts; when the caller is told, memory knows."""

    async def scenario() -> None:
        kind = Facts()
        kind.look = lambda: backend.peek(COUNT)
        async with backend.open() as database:
            await database.submit(kind, (1, "x"))
            kind.diary.append("released")
        assert kind.diary == [("after_commit", [(1, "x")], [10], [(1,)]), "released"]

    asyncio.run(scenario())


def test_submit__before_the_commit__nobody_is_told(backend: Backend) -> None:
    """While the batch is being applied its facts are not visible and its callers wait."""

    async def scenario() -> None:
        kind = Facts()
        async with backend.open() as database:
            first = await hold(database, kind, 1)
            await asyncio.sleep(0.02)
            assert not first.done()
            assert kind.diary == []
            assert backend.peek(COUNT) == [(0,)]
            kind.gate.set()
            assert await first == 10

    asyncio.run(scenario())


@pytest.mark.parametrize("bad", [[0], [7], [19], [0, 1, 18, 19], list(range(20))])
def test_submit__bad_operations_in_a_batch__they_fail_alone(
    backend: Backend, bad: list[int]
) -> None:
    """A batch with bad operations is split: they fail, the others are stored and told."""

    async def scenario() -> None:
        kind = Facts()
        async with backend.open() as database:
            held = await hold(database, kind, 1_000)
            calls = (database.submit(kind, (k, None if k in bad else "x")) for k in range(20))
            outcomes = await gather_behind(kind, *calls)
            assert await held == 10_000
            failed = [k for k, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
            assert failed == bad
            good = [k for k in range(20) if k not in bad]
            assert [outcomes[k] for k in good] == [k * 10 for k in good]
            assert await database.read(list_keys) == [*good, 1_000]
            told = [k for _, facts, _, _ in kind.diary for k, _text in facts]
            assert told == [1_000, *good]

    asyncio.run(scenario())


def test_submit__outcome_is_an_exception__that_operation_alone_fails(backend: Backend) -> None:
    """A kind may refuse one operation by its outcome; the batch is not run again."""

    async def scenario() -> None:
        kind = Facts()
        kind.refused = {3}
        async with backend.open() as database:
            held = await hold(database, kind, 1_000)
            calls = (database.submit(kind, (k, "x")) for k in range(5))
            outcomes = await gather_behind(kind, *calls)
            await held
            assert isinstance(outcomes[3], ValueError)
            assert kind.sizes == [1, 5]
            assert kind.diary[1][1] == [(k, "x") for k in (0, 1, 2, 4)]

    asyncio.run(scenario())


def test_submit__two_kinds_one_bad__the_other_is_not_touched(backend: Backend) -> None:
    """Kinds that share a transaction do not share their failures."""

    async def scenario() -> None:
        one, other = Facts(), Facts()
        async with backend.open() as database:
            held = await hold(database, one, 1_000)
            outcomes = await gather_behind(
                one,
                *(database.submit(one, (k, "x")) for k in range(10)),
                *(database.submit(other, (100 + k, None)) for k in range(10)),
            )
            await held
            assert outcomes[:10] == [k * 10 for k in range(10)]
            assert all(isinstance(outcome, Exception) for outcome in outcomes[10:])
            assert await database.read(list_keys) == [*range(10), 1_000]

    asyncio.run(scenario())


def test_submit__heavy_operations__go_in_smaller_batches(backend: Backend) -> None:
    """Batches shrink to about 5 ms of work, so that nobody waits behind a giant one."""

    class Heavy(Facts):
        def apply_many(self, tx: Tx, operations: Sequence[Any]) -> list[Any]:
            end_s = time.thread_time() + 0.0003 * len(operations)
            while time.thread_time() < end_s:
                pass
            return super().apply_many(tx, operations)

    async def scenario() -> None:
        kind = Heavy()
        async with backend.open() as database:
            await asyncio.gather(*(database.submit(kind, (k, "x")) for k in range(400)))
            kind.sizes.clear()
            await asyncio.gather(*(database.submit(kind, (k, "x")) for k in range(400, 800)))
            assert max(kind.sizes) < 200
            assert len(kind.sizes) < 40

    asyncio.run(scenario())


def test_submit__memory_cannot_follow__the_caller_still_hears_of_the_commit(
    backend: Backend,
) -> None:
    """A bug in what follows a commit does not turn a stored fact into an error."""

    class Forgetful(Facts):
        def after_commit(self, operations: Sequence[Any], outcomes: Sequence[Any]) -> None:
            raise RuntimeError("memory")

    async def scenario() -> None:
        async with backend.open() as database:
            assert await database.submit(Forgetful(), (1, "x")) == 10

    asyncio.run(scenario())


def test_write__raises_midway__its_own_changes_alone_are_undone(backend: Backend) -> None:
    """A cold write that fails leaves no trace; those beside it are stored."""

    def insert_then_fail(tx: Tx, k: int) -> None:
        insert_fact(tx, k)
        raise Conflict("no")

    async def scenario() -> None:
        kind = Facts()
        async with backend.open() as database:
            held = await hold(database, kind, 1_000)
            outcomes = await gather_behind(
                kind,
                database.write(insert_fact, 1),
                database.write(insert_then_fail, 2),
                database.write(insert_fact, 3),
                database.submit(kind, (4, "x")),
                database.write(insert_fact, 1),
            )
            await held
            # Of the two that insert the same fact one fails; which, depends on the back end.
            twins = [outcomes[0], outcomes[4]]
            assert sorted(isinstance(twin, Exception) for twin in twins) == [False, True]
            assert 1 in twins
            assert isinstance(outcomes[1], Conflict)
            assert outcomes[2:4] == [3, 40]
            assert backend.peek("SELECT k FROM facts ORDER BY k") == [(1,), (3,), (4,), (1_000,)]

    asyncio.run(scenario())


def test_write__returns_an_exception__it_is_a_result(backend: Backend) -> None:
    """Only raising fails a cold write; whatever it returns is returned."""

    async def scenario() -> None:
        async with backend.open() as database:
            result = await database.write(lambda tx: (insert_fact(tx, 1), KeyError("v"))[1])
            assert isinstance(result, KeyError)
            assert await database.read(list_keys) == [1]

    asyncio.run(scenario())


def test_write__arguments__reach_the_work(backend: Backend) -> None:
    """Positional and keyword arguments are passed on."""

    async def scenario() -> None:
        async with backend.open() as database:
            assert await database.write(insert_fact, 5, text="five") == 5
            rows = await database.read(
                lambda tx, k: tx.rows("SELECT v FROM facts WHERE k=$1", k), 5
            )
            assert rows == [("five",)]

    asyncio.run(scenario())


def test_write__loads_decides_saves__sees_what_was_committed_before(backend: Backend) -> None:
    """A cold write decides on the truth: two that race do not both win."""

    def claim(tx: Tx, name: str) -> str:
        tx.lock("fact 1")
        row = tx.row("SELECT v FROM facts WHERE k = 1")
        if row is not None:
            return str(row[0])
        insert_fact(tx, 1, name)
        return name

    async def scenario() -> None:
        async with backend.open() as database:
            winners = await asyncio.gather(*(database.write(claim, f"w{n}") for n in range(20)))
            assert len(set(winners)) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("door", ["submit", "write"])
def test_queue__client_goes_away__its_write_is_stored_all_the_same(
    backend: Backend, door: str
) -> None:
    """Cancelling who waits never cancels what was queued."""

    async def scenario() -> None:
        kind = Facts()
        async with backend.open() as database:
            held = await hold(database, kind, 1_000)
            call = (
                database.submit(kind, (1, "x"))
                if door == "submit"
                else database.write(insert_fact, 1)
            )
            task = asyncio.ensure_future(call)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            kind.gate.set()
            await held
            await database.write(insert_fact, 2)
            async with asyncio.timeout(10):
                while await database.read(list_keys) != [1, 2, 1_000]:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_queue__full__further_writes_are_turned_away_for_a_while(backend: Backend) -> None:
    """A full queue answers at once with 429 and a random pause; what is queued is stored."""

    async def scenario() -> None:
        kind = Facts()
        async with backend.open(queue_operations=50) as database:
            held = await hold(database, kind, 1_000)
            tasks = [asyncio.ensure_future(database.submit(kind, (k, "x"))) for k in range(50)]
            await asyncio.sleep(0.01)
            pauses = set()
            for _ in range(30):
                with pytest.raises(TooManyRequests) as refused:
                    await database.submit(kind, (99, "x"))
                pauses.add(refused.value.retry_after_s)
                with pytest.raises(TooManyRequests):
                    await database.write(insert_fact, 99)
            assert min(pauses) >= 5
            assert max(pauses) <= 60
            assert len(pauses) > 3
            kind.gate.set()
            await asyncio.gather(held, *tasks)
            assert await database.submit(kind, (99, "x")) == 990
            assert len(await database.read(list_keys)) == 52

    asyncio.run(scenario())


def test_queue__slow_disk__writes_that_would_wait_too_long_are_turned_away(
    backend: Backend,
) -> None:
    """When a batch has taken over 500 ms, those behind it are turned away until it ends."""

    async def scenario() -> None:
        clock = ManualClock()
        kind = Facts()
        async with backend.open(clock=clock) as database:
            held = await hold(database, kind, 1_000)
            waiting = asyncio.ensure_future(database.submit(kind, (1, "x")))
            await asyncio.sleep(0.01)
            clock.advance(0.6)
            with pytest.raises(TooManyRequests):
                await database.submit(kind, (2, "x"))
            kind.gate.set()
            await asyncio.gather(held, waiting)
            assert await database.submit(kind, (3, "x")) == 30

    asyncio.run(scenario())


def test_stop__with_work_queued__all_of_it_is_stored(backend: Backend) -> None:
    """An orderly stop commits what was taken and then takes nothing more."""

    async def scenario() -> None:
        kind = Facts()
        async with backend.open() as database:
            held = await hold(database, kind, 1_000)
            tasks = [asyncio.ensure_future(database.submit(kind, (k, "x"))) for k in range(700)]
            await asyncio.sleep(0.01)
            asyncio.get_running_loop().call_later(0.05, kind.gate.set)
        assert await asyncio.gather(held, *tasks) == [10_000, *(k * 10 for k in range(700))]
        assert backend.peek(COUNT) == [(701,)]
        with pytest.raises(Unavailable):
            await database.submit(kind, (2_000, "x"))
        with pytest.raises(Unavailable):
            await database.write(insert_fact, 2_000)
        with pytest.raises(Unavailable):
            await database.read(list_keys)

    asyncio.run(scenario())


def test_open__again__everything_is_still_there(backend: Backend) -> None:
    """What was stored outlives the store; migrations run once."""

    async def scenario() -> None:
        for k in range(3):
            async with backend.open() as database:
                await database.write(lambda tx, k=k: tx.insert_many(INSERT, [(k, "x")]))
        assert backend.peek("SELECT k FROM facts ORDER BY k") == [(0,), (1,), (2,)]
        assert backend.peek("SELECT version FROM schema_migrations") == [(1,)]

    asyncio.run(scenario())

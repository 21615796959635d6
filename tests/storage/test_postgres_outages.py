"""A PostgreSQL server that comes and goes: nothing acknowledged is lost, and the store goes on."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tellus.kernel.errors import Unavailable
from tellus.storage.faults import Fault
from tellus.storage.postgres import PostgresDatabase
from tests.databases import PostgresServer
from tests.storage.conftest import PostgresBackend
from tests.storage.facts import COUNT, FACTS, Facts, insert_fact, list_keys

PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that tests may stop and start."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


async def eventually(claim: Any) -> None:
    """Wait until a coroutine function says yes."""
    async with asyncio.timeout(PATIENCE_S):
        while not await claim():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


class Load:
    """Writes facts through both doors until told to stop; knows what was acknowledged."""

    def __init__(self, store: PostgresDatabase) -> None:
        self.store = store
        self.acknowledged: set[int] = set()
        self.refused = 0
        self._stopping = False
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(8)]

    async def _write(self, number: int) -> None:
        kind = Facts()
        for k in range(number, 10**9, 8):
            if self._stopping:
                return
            try:
                if number % 2:
                    await self.store.submit(kind, (k, "x"))
                else:
                    await self.store.write(insert_fact, k)
            except Unavailable:
                self.refused += 1
                await asyncio.sleep(0.01)
            else:
                self.acknowledged.add(k)

    async def end(self) -> None:
        """Finish what is under way."""
        self._stopping = True
        await asyncio.gather(*self._tasks)


@pytest.mark.parametrize("at_once", [False, True])
def test_server__restarted__nothing_acknowledged_is_lost_and_writes_go_on(
    own_server: PostgresServer, *, at_once: bool
) -> None:
    """While the server is away writes are answered 503; then they go on, with all there was."""
    url = own_server.make_database(f"restarted_{at_once}".lower())

    async def scenario() -> None:
        async with PostgresDatabase.open(url, migrations=(FACTS,)) as store:
            load = Load(store)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(own_server.stop, at_once=at_once)
            await asyncio.sleep(0.3)
            assert load.refused
            with pytest.raises(Unavailable):
                await store.submit(Facts(), (-1, "x"))
            with pytest.raises(Unavailable):
                await store.read(list_keys)
            before = len(load.acknowledged)
            await asyncio.to_thread(own_server.start)

            async def goes_on() -> bool:
                return len(load.acknowledged) > before + 20 and not store.stats.ailment

            await eventually(goes_on)
            await load.end()
            assert load.acknowledged <= set(await store.read(list_keys))
            assert not store.failed.is_set()

    asyncio.run(scenario())


def test_server__restarted_while_idle__the_next_calls_notice_nothing(
    own_server: PostgresServer,
) -> None:
    """Connections that have gone stale are made anew before anything is said on them."""
    url = own_server.make_database("idle")

    async def scenario() -> None:
        async with PostgresDatabase.open(url, migrations=(FACTS,)) as store:
            await store.submit(Facts(), (1, "x"))
            await asyncio.to_thread(own_server.stop)
            await asyncio.to_thread(own_server.start)

            async def is_well() -> bool:
                return not store.stats.ailment

            await eventually(is_well)
            assert await store.submit(Facts(), (2, "x")) == 20
            assert await store.write(insert_fact, 3) == 3
            assert await store.read(list_keys) == [1, 2, 3]

    asyncio.run(scenario())


def test_server__away_and_nobody_writes__is_noticed_all_the_same(
    own_server: PostgresServer,
) -> None:
    """Readiness does not depend on traffic: an idle node notices that the server is gone."""
    url = own_server.make_database("noticed")

    async def scenario() -> None:
        async with PostgresDatabase.open(url, migrations=(FACTS,)) as store:
            await asyncio.to_thread(own_server.stop)

            async def is_lost() -> bool:
                return store.stats.ailment == Fault.LOST

            await eventually(is_lost)
            await asyncio.to_thread(own_server.start)

            async def is_well() -> bool:
                return not store.stats.ailment

            await eventually(is_well)

    asyncio.run(scenario())


def test_connections__ended_by_an_administrator__are_made_anew(postgres: PostgresBackend) -> None:
    """Ending the store's connections costs at most what was under way."""

    async def scenario() -> None:
        async with postgres.open() as database:
            for k in range(5):
                with psycopg.connect(postgres.url) as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )

                async def is_stored(k: int = k) -> bool:
                    try:
                        await database.submit(Facts(), (k, "x"))
                    except Unavailable:
                        return False
                    return True

                await eventually(is_stored)
                assert len(await database.read(list_keys)) == k + 1
        assert postgres.peek(COUNT) == [(5,)]

    asyncio.run(scenario())

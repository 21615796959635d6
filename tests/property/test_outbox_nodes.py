"""Several engines over one store at once, as when two nodes believe to be on duty."""

import asyncio
from collections import Counter
from pathlib import Path

from tellus.delivery.model import LEASE_MS, Outcome, Verdict
from tellus.kernel.clock import SystemClock
from tellus.legacy import store_outbox
from tellus.legacy.model_outbox import OwedPush
from tellus.legacy.outbox import PeerOutbox
from tests.databases import POSTGRES, open_database
from tests.unit.legacy.outbox_bench import ACCEPT, DOWN, Everywhere, OutboxBench

PUSHES = 60


def test_outbox__three_engines_at_once__no_push_goes_twice(
    database_kind: str, tmp_path: Path
) -> None:
    """Whoever looks, each push goes once, and no more than four at a time to a peer."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            databases = [bench.database]
            if database_kind == POSTGRES:
                # A pool of its own for each, as nodes have.
                databases += [open_database(tmp_path / "tellus.db", SystemClock()) for _ in "12"]
                for database in databases[1:]:
                    await database.start()
            engines = [
                PeerOutbox(databases[n % len(databases)], Everywhere(), bench.courier, bench.clock)
                for n in range(3)
            ]
            await bench.add_peers("cl_1", "cl_2")
            for number in range(PUSHES):
                await bench.push(key=f"order_{number}", peer_id=f"cl_{1 + number % 2}")
            while await bench.database.read(store_outbox.count_waiting):
                await asyncio.gather(*(engine.look() for engine in engines))
            await asyncio.gather(*(engine.settled() for engine in engines))
            for database in databases[1:]:
                await database.stop()
            assert Counter(sent.key for sent in bench.courier.sent) == Counter(
                f"order_{number}" for number in range(PUSHES)
            )
            assert max(bench.courier.most_at_once.values()) <= 4
            assert sum(engine.outcomes[Outcome.ACCEPTED.value] > 0 for engine in engines) > 1

    asyncio.run(scenario())


def test_outbox__one_engine_dies_while_it_sends__another_takes_over(
    database_kind: str, tmp_path: Path
) -> None:
    """What a dead node was sending goes again when its lease is over, newest state first."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            await bench.add_peers("cl_1")
            bench.courier.held["cl_1"] = asyncio.Event()
            dying = bench.build()
            await bench.push("1")
            await bench.push("2", key="order_2")
            assert await dying.look() == 2
            await asyncio.sleep(0)
            for _, task in list(dying._sending.values()):
                task.cancel()
            bench.courier.held.pop("cl_1")
            await bench.push("3")
            await bench.run()
            assert bench.bodies == ["1", "2"], "sent while the lease lasts"
            bench.clock.advance(LEASE_MS / 1_000)
            await bench.run()
            assert sorted(bench.bodies) == ["1", "2", "2", "3"]
            assert await bench.states() == ["superseded", "accepted", "accepted"]

    asyncio.run(scenario())


def test_outbox__peers_take_turns_in_failing__none_is_left_behind(
    database_kind: str, tmp_path: Path
) -> None:
    """Of ten peers that fail in turn each has all that it is owed within its schedule."""

    async def scenario() -> None:
        async with OutboxBench(tmp_path) as bench:
            peers = [f"cl_{number}" for number in range(10)]
            await bench.add_peers(*peers)
            failures = Counter({peer: number % 4 for number, peer in enumerate(peers)})

            def answer(push: OwedPush) -> Verdict:
                failures[push.peer_id] -= 1
                return DOWN if failures[push.peer_id] >= 0 else ACCEPT

            for peer in peers:
                bench.courier.scripts[peer] = answer
                await bench.push(key="order", peer_id=peer)
            await bench.run_until(bench.began_ms + 10**9)
            assert set(await bench.states()) == {"accepted"}
            counted = Counter(sent.peer_id for sent in bench.courier.sent)
            assert counted == {peer: 1 + number % 4 for number, peer in enumerate(peers)}
            last_ms = {sent.peer_id: sent.at_ms - bench.began_ms for sent in bench.courier.sent}
            expected_min = (0, 1, 6, 66)
            for number, peer in enumerate(peers):
                assert last_ms[peer] == expected_min[number % 4] * 60_000

    asyncio.run(scenario())

"""The bus over PostgreSQL: what is published arrives, and silence is noticed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.bus import postgres as bus_module
from tellus.bus.postgres import CHANNEL, PostgresBus, pack
from tellus.kernel.clock import SystemClock
from tests.databases import postgres_server
from tests.reliability.swallowing_proxy import swallowing_proxy, through

PATIENCE_S = 20.0
NOTIFY_BYTES = 8_000
TOPIC = "topic"


async def eventually(claim: Callable[[], bool]) -> None:
    """Wait until a claim holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not claim():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def run(url: str, story: Callable[[PostgresBus, PostgresBus], Awaitable[None]]) -> None:
    """Play a story with two nodes on the bus."""

    async def play() -> None:
        buses = [PostgresBus(url, f"node_{number}", SystemClock()) for number in (1, 2)]
        tasks = [asyncio.create_task(bus.run()) for bus in buses]
        try:
            await eventually(lambda: not any(bus.is_silent for bus in buses))
            await story(*buses)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())


@given(keys=st.lists(st.integers(0, 2**62), unique=True, max_size=3_000))
@settings(max_examples=60, deadline=None)
def test_pack__any_keys__fit_and_come_out_as_they_went_in(keys: list[int]) -> None:
    """Every payload is small enough for one NOTIFY, and together they carry the keys in order."""
    payloads = list(pack("node_1", TOPIC, keys))
    assert all(len(payload.encode()) < NOTIFY_BYTES for payload in payloads)
    messages = [msgspec.json.decode(payload, type=bus_module.Message) for payload in payloads]
    assert [key for message in messages for key in message.keys] == keys
    assert {(message.node_id, message.topic) for message in messages} <= {("node_1", TOPIC)}


def test_publish__more_keys_than_one_message_holds__all_arrive_on_the_other_node() -> None:
    """What does not fit into one NOTIFY goes in several; this node's listeners have it at once."""

    async def story(one: PostgresBus, other: PostgresBus) -> None:
        here: list[int] = []
        there: list[int] = []
        one.subscribe(TOPIC, here.extend)
        other.subscribe(TOPIC, there.extend)
        keys = range(10**9, 10**9 + 5_000)
        one.publish(TOPIC, keys)
        assert here == list(keys)
        await eventually(lambda: len(there) >= len(keys))
        assert sorted(there) == list(keys)
        assert here == list(keys)
        assert one.sent > 5

    run(postgres_server().make_database(), story)


def test_publish__many_calls_at_once__go_in_few_messages() -> None:
    """Keys of one topic are gathered, each once."""

    async def story(one: PostgresBus, other: PostgresBus) -> None:
        there: list[int] = []
        other.subscribe(TOPIC, there.extend)
        before = other.received
        for number in range(500):
            one.publish(TOPIC, [number % 100])
        await eventually(lambda: len(there) == 100)
        assert sorted(there) == list(range(100))
        assert other.received - before <= 3

    run(postgres_server().make_database(), story)


def test_follow__topic__is_taken_from_its_listeners_for_other_nodes_messages_alone() -> None:
    """Memory follows first: listeners hear what other nodes say only when told."""

    async def story(one: PostgresBus, other: PostgresBus) -> None:
        heard: list[int] = []
        followed: list[int] = []
        other.subscribe(TOPIC, heard.extend)
        other.follow(TOPIC, followed.extend)
        one.publish(TOPIC, [1])
        await eventually(lambda: followed == [1])
        assert heard == []
        other.tell(TOPIC, [2])
        other.publish(TOPIC, [3])
        assert (heard, followed) == ([2, 3], [1])

    run(postgres_server().make_database(), story)


def test_take__message_that_is_none__is_passed_over() -> None:
    """What anybody else notifies on the channel does no harm."""
    url = postgres_server().make_database()

    async def story(one: PostgresBus, other: PostgresBus) -> None:
        there: list[int] = []
        other.subscribe(TOPIC, there.extend)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for payload in ("", "nonsense", '{"a": 1}', '["n", "topic", ["x"]]'):
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
        one.publish(TOPIC, [7])
        await eventually(lambda: there == [7])

    run(url, story)


def test_take__listener_with_a_bug__ends_nothing() -> None:
    """After a failure listening begins anew, and what comes then is heard."""

    async def story(one: PostgresBus, other: PostgresBus) -> None:
        there: list[int] = []

        def listen(keys: Sequence[int]) -> None:
            there.extend(keys)
            if 1 in keys:
                raise ValueError(keys)

        other.subscribe(TOPIC, listen)
        one.publish(TOPIC, [1])
        await eventually(lambda: there == [1])
        begun = []
        other.on_gap(lambda: begun.append(None))
        await eventually(lambda: bool(begun))
        one.publish(TOPIC, [2])
        await eventually(lambda: there == [1, 2])

    run(postgres_server().make_database(), story)


def test_listen__connection_ended__begins_anew_and_tells_of_the_gap() -> None:
    """Whoever may have missed something hears so each time that listening begins."""
    url = postgres_server().make_database()

    async def story(one: PostgresBus, other: PostgresBus) -> None:
        gaps: list[None] = []
        there: list[int] = []
        other.on_gap(lambda: gaps.append(None))
        other.subscribe(TOPIC, there.extend)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE '% bus'"
            )
        await eventually(lambda: bool(gaps) and not one.is_silent and not other.is_silent)

        def came() -> bool:
            one.publish(TOPIC, [1])  # the first may meet the sender's ended connection
            return 1 in there

        await eventually(came)

    run(url, story)


def test_listen__way_goes_silent__is_noticed_and_made_anew() -> None:
    """Messages that are swallowed without an end are missed, known to be, and then come again."""
    server = postgres_server()
    name = server.make_database().rpartition("/")[2]
    with swallowing_proxy(server.port) as proxy:

        async def story(one: PostgresBus, other: PostgresBus) -> None:
            gaps: list[None] = []
            there: list[int] = []
            other.on_gap(lambda: gaps.append(None))
            other.subscribe(TOPIC, there.extend)
            assert proxy.swallow(" bus") == 4
            one.publish(TOPIC, [1])
            await eventually(lambda: one.is_silent and other.is_silent)
            assert there == []
            await eventually(lambda: bool(gaps) and not one.is_silent and not other.is_silent)
            one.publish(TOPIC, [2])
            await eventually(lambda: 2 in there)

        run(through(proxy, name), story)

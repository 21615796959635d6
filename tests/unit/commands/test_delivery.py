"""Every command reaches its charger under one lease, in order, as often as its class allows."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.commands.desk import TransactionReused
from tellus.kernel.errors import InvalidParameter, NotFound, TooManyRequests
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


def test_issue__start__is_queued_with_its_expiry(run_bench: Run) -> None:
    """The answer names the command, its end, and whether the charger is there to hear it."""

    async def check(bench: CommandBench) -> None:
        issued = await bench.start(charge_power=7.0, target_soc=80)
        assert (issued.status, issued.device_online) == ("queued", False)
        assert issued.expires_at == "2025-03-15T09:32:00Z"
        shown = await bench.read(issued.command_id)
        assert shown["params"] == {"connector_id": 1, "charge_power": 7.0, "target_soc": 80}
        assert not {"result", "delivered_at", "contradicted"} & set(shown)
        await bench.heartbeat()
        assert (await bench.stop()).device_online

    run_bench(check)


@pytest.mark.parametrize(
    "body",
    [
        {"charge_power": -1.0},
        {"duration": -1},
        {"target_soc": 101},
        {"transaction_id": ""},
        {"charge_power": None},
    ],
)
def test_issue__value_out_of_bounds__is_refused(run_bench: Run, body: dict[str, object]) -> None:
    """Negative power or duration and the like are 1001."""

    async def check(bench: CommandBench) -> None:
        with pytest.raises(InvalidParameter):
            await bench.start(**body)

    run_bench(check)


def test_issue__foreign_absent_or_unknown_connector__look_alike(run_bench: Run) -> None:
    """Nobody learns of other operators' devices by commanding them."""

    async def check(bench: CommandBench) -> None:
        bench.add_device(2, "op_2")
        failures = []
        for device_id, connector_id in (("dvc_2", 1), ("dvc_9", 1), ("dvc_1", 3)):
            with pytest.raises(NotFound) as caught:
                await bench.start(connector_id, device_id)
            failures.append((caught.value.message, caught.value.details))
        assert failures == failures[:1] * 3
        assert await bench.rows("SELECT * FROM commands") == []

    run_bench(check)


def test_issue__same_transaction__is_one_command_for_a_day(run_bench: Run) -> None:
    """A repeat returns the first answer, another body is 4001, other clients have their own."""

    async def check(bench: CommandBench) -> None:
        first = await bench.start(transaction_id="t", charge_power=7)
        bench.clock.advance(86_399)
        assert await bench.start(transaction_id="t", charge_power=7.0) == first
        for other in ({"charge_power": 8}, {}, {"charge_power": 7, "connector_id": 2}):
            with pytest.raises(TransactionReused):
                await bench.start(transaction_id="t", **other)
        foreign = await bench.start(transaction_id="t", client=("cl_2", "op_1"))
        bench.clock.advance(2)
        later = await bench.start(transaction_id="t")
        assert len({first.command_id, foreign.command_id, later.command_id}) == 3

    run_bench(check)


def test_issue__fifty_pending__refuse_more_but_not_a_stop_that_makes_room(run_bench: Run) -> None:
    """The queue of a device is bounded; ending what is queued makes room, and so does time."""

    async def check(bench: CommandBench) -> None:
        for _ in range(50):
            await bench.start()
        with pytest.raises(TooManyRequests):
            await bench.start()
        with pytest.raises(TooManyRequests):
            await bench.stop(2)
        await bench.stop(1)
        for _ in range(49):
            await bench.start(2)
        with pytest.raises(TooManyRequests):
            await bench.start(2)
        bench.clock.advance(120)
        await bench.start(2)

    run_bench(check)


def test_heartbeat__pending_commands__come_once_in_order(run_bench: Run) -> None:
    """All that is pending is handed out oldest first, under a lease that keeps it from the poll."""

    async def check(bench: CommandBench) -> None:
        ids = [(await bench.start(connector)).command_id for connector in (2, 1, 2)]
        handed = await bench.heartbeat()
        assert [command["command_id"] for command in handed] == ids
        assert handed[0]["expiry"] == "2025-03-15T09:32:00Z"
        assert handed[0]["params"] == {"connector_id": 2}
        assert await bench.heartbeat() == []
        poll = await bench.park(1)
        assert not poll.done()
        poll.cancel()

    run_bench(check)


def test_heartbeat__charger_that_shuts_down__is_handed_nothing(run_bench: Run) -> None:
    """Who says goodbye gets no command that would then count as delivered."""

    async def check(bench: CommandBench) -> None:
        await bench.start()
        assert await bench.heartbeat(status="offline") == []
        assert len(await bench.heartbeat(fault_code="F-0421")) == 1

    run_bench(check)


def test_delivery__no_answer__repeats_an_edge_command_three_times(run_bench: Run) -> None:
    """A start comes again when its lease has run out; after the third it fails with no_response."""

    async def check(bench: CommandBench) -> None:
        command_id = (await bench.start()).command_id
        for k in range(3):
            assert [item["command_id"] for item in await bench.heartbeat()] == [command_id]
            bench.clock.advance(29.9)
            assert await bench.heartbeat() == []
            shown = await bench.read(command_id)
            assert (shown["status"], shown["deliveries"]) == ("queued", k + 1)
            bench.clock.advance(0.1)
        assert await bench.heartbeat() == []
        shown = await bench.read(command_id)
        assert (shown["status"], shown["result"]) == ("failed", {"reason": "no_response"})
        assert shown["delivered_at"] == "2025-03-15T09:30:00Z"
        assert shown["updated_at"] == "2025-03-15T09:31:30Z"

    run_bench(check)


def test_delivery__level_command__repeats_until_it_expires(run_bench: Run) -> None:
    """A stop comes again for an hour."""

    async def check(bench: CommandBench) -> None:
        command_id = (await bench.stop()).command_id
        count = 0
        for _ in range(130):
            count += len(await bench.heartbeat())
            bench.clock.advance(30)
        assert count == 120
        assert (await bench.read(command_id))["result"] == {"reason": "expired"}

    run_bench(check)


def test_delivery__accepted_command__never_comes_again(run_bench: Run) -> None:
    """After acceptance there is nothing to hand out, whatever time passes."""

    async def check(bench: CommandBench) -> None:
        command_id = (await bench.stop()).command_id
        await bench.heartbeat()
        await bench.say(command_id, "accepted")
        for _ in range(10):
            bench.clock.advance(31)
            assert await bench.heartbeat() == []
        bench.clock.advance(7_200)
        assert (await bench.read(command_id))["status"] == "accepted"

    run_bench(check)


def test_delivery__stop_after_a_start_on_its_way__is_not_followed_by_the_start(
    run_bench: Run,
) -> None:
    """The stop does not wait for the start's answer, and the start never comes after it."""

    async def check(bench: CommandBench) -> None:
        start_id = (await bench.start()).command_id
        await bench.heartbeat()
        stop_id = (await bench.stop()).command_id
        assert [item["command_id"] for item in await bench.heartbeat()] == [stop_id]
        await bench.say(stop_id, "completed")
        for _ in range(5):
            bench.clock.advance(30)
            assert await bench.heartbeat() == []
        assert (await bench.read(start_id))["result"] == {"reason": "superseded"}

    run_bench(check)


def test_delivery__stop_before_the_start_left__supersedes_it_at_once(run_bench: Run) -> None:
    """What was never delivered is given up, on that connector alone."""

    async def check(bench: CommandBench) -> None:
        gone = (await bench.start(1)).command_id
        stays = (await bench.start(2)).command_id
        stop_id = (await bench.stop(1)).command_id
        assert (await bench.read(gone))["result"] == {"reason": "superseded"}
        handed = [item["command_id"] for item in await bench.heartbeat()]
        assert handed == [stays, stop_id]

    run_bench(check)


def test_expiry__without_any_sweep__is_true_at_once(run_bench: Run) -> None:
    """A reader sees the end at its moment; the sweep writes the same down later."""

    async def check(bench: CommandBench) -> None:
        command_id = (await bench.start()).command_id
        bench.clock.advance(119.9)
        assert (await bench.read(command_id))["status"] == "queued"
        bench.clock.advance(0.1)
        shown = await bench.read(command_id)
        assert (shown["status"], shown["result"]) == ("failed", {"reason": "expired"})
        assert await bench.rows("SELECT phase FROM commands") == [("queued",)]
        await bench.service.sweep()
        assert await bench.rows("SELECT phase FROM commands") == [("lapsed",)]
        assert await bench.read(command_id) == shown
        assert await bench.heartbeat() == []

    run_bench(check)


def test_restart__leases_and_queues__go_on_where_they_were(run_bench: Run) -> None:
    """A new process neither repeats what is on its way nor forgets what is queued."""

    async def check(bench: CommandBench) -> None:
        first = (await bench.start(1)).command_id
        await bench.heartbeat()
        second = (await bench.stop(2)).command_id
        await bench.restart()
        assert [item["command_id"] for item in await bench.heartbeat()] == [second]
        bench.clock.advance(30)
        await bench.restart()
        handed = [item["command_id"] for item in await bench.heartbeat()]
        assert handed == [first, second]

    run_bench(check)


def test_heartbeat__nothing_pending__does_not_touch_the_store(run_bench: Run) -> None:
    """An idle fleet's heartbeats cost no transaction."""

    async def check(bench: CommandBench) -> None:
        await bench.heartbeat()
        before = bench.database.stats.operations
        for _ in range(20):
            bench.clock.advance(30)
            await bench.heartbeat()
        assert bench.database.stats.operations == before

    run_bench(check)

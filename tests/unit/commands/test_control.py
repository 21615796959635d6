"""Which commands may be given when: V2G hardware, sessions in the way, lists, cancelling."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.commands.desk import NotQueued, SessionInTheWay
from tellus.commands.model import NotBidirectional
from tellus.kernel.errors import InvalidParameter, NotFound
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


def make_v2g(bench: CommandBench) -> None:
    """Let the device of the bench be bidirectional."""
    device = bench.directory.by_no(1)
    assert device is not None
    device.model = "TP-DC180-V2G"


def test_discharge__by_hardware__is_queued_or_refused(run_bench: Run) -> None:
    """What cannot discharge is 4001 with the reason; what is set for a device goes first."""

    async def check(bench: CommandBench) -> None:
        device = bench.directory.by_no(1)
        assert device is not None
        device.model = "TP-DC180"
        with pytest.raises(NotBidirectional) as caught:
            await bench.discharge()
        assert caught.value.details == {"reason": "not_v2g_capable", "model": "TP-DC180"}
        device.v2g = True
        issued = await bench.discharge(discharge_power=7.5, min_soc=40)
        (item,) = await bench.heartbeat()
        assert (item["command_id"], item["command"]) == (issued.command_id, "discharge")
        assert item["params"] == {"connector_id": 1, "discharge_power": 7.5, "min_soc": 40}

    run_bench(check)


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({"discharge_power": -0.1}, InvalidParameter),
        ({"discharge_power": "7"}, InvalidParameter),
        ({"min_soc": 101}, InvalidParameter),
        ({"duration": -1}, InvalidParameter),
    ],
)
def test_discharge__value_out_of_bounds__is_refused(
    run_bench: Run, body: dict[str, Any], failure: type[Exception]
) -> None:
    """Shape is judged first: also where the hardware could not."""

    async def check(bench: CommandBench) -> None:
        with pytest.raises(failure):
            await bench.discharge(**body)

    run_bench(check)


@pytest.mark.parametrize(
    ("way", "state", "answer"),
    [
        ("start", "idle", "queued"),
        ("start", "fault", "queued"),
        ("start", "charging", "queued"),
        ("start", "discharging", "refused"),
        ("discharge", "charging", "queued"),
        ("discharge", "discharging", "refused"),
        ("stop", "charging", "queued"),
    ],
)
def test_issue__connector_in_session__is_judged_by_its_state(
    run_bench: Run, way: str, state: str, answer: str
) -> None:
    """Nothing may begin against a discharge; a stop may, and a charge is the charger's matter."""

    async def check(bench: CommandBench) -> None:
        make_v2g(bench)
        bench.set_state(state, connector_id=1)
        issue = getattr(bench, way)
        await issue(2)
        if answer == "queued":
            assert (await issue(1)).status == "queued"
            return
        with pytest.raises(SessionInTheWay) as caught:
            await issue(1)
        assert caught.value.details == {"reason": "conflicting_session", "connector_id": 1}

    run_bench(check)


def test_start__another_one_accepted__waits_for_a_stop_or_its_time(run_bench: Run) -> None:
    """Between acceptance and the first sample nothing else may begin, but not for ever."""

    async def check(bench: CommandBench) -> None:
        make_v2g(bench)
        first = await bench.start()
        await bench.start()
        await bench.heartbeat()
        await bench.say(first.command_id, "accepted")
        with pytest.raises(SessionInTheWay):
            await bench.start()
        await bench.discharge()
        await bench.start(2)
        await bench.stop()
        second = await bench.start()
        await bench.heartbeat()
        await bench.say(second.command_id, "accepted")
        with pytest.raises(SessionInTheWay):
            await bench.start()
        bench.clock.advance(120)
        await bench.start()

    run_bench(check)


def test_start__repeated_in_a_session__is_still_the_first_answer(run_bench: Run) -> None:
    """A client that lost the answer learns that its start was taken, not that one is under way."""

    async def check(bench: CommandBench) -> None:
        first = await bench.start(transaction_id="t", key="k")
        bench.set_state("discharging")
        assert await bench.start(transaction_id="t", key="k") == first
        assert await bench.start(transaction_id="t") == first

    run_bench(check)


def test_list__filters_and_pages__show_the_operators_own(run_bench: Run) -> None:
    """Newest first, each filter alone and together; another operator's do not exist."""

    async def check(bench: CommandBench) -> None:
        bench.add_device(2)
        bench.add_device(3, "op_2")
        ids = []
        for device_id, connector_id in (("dvc_1", 1), ("dvc_1", 2), ("dvc_2", 1)):
            ids.append((await bench.start(connector_id, device_id)).command_id)
            bench.clock.advance(10)
        ids.append((await bench.stop(2, "dvc_1")).command_id)
        await bench.start(1, "dvc_3", client=("cl_2", "op_2"))

        async def find(**query: Any) -> list[int]:
            page = await bench.list_page(**query)
            assert page["total"] == len(page["items"])
            return [ids.index(item["command_id"]) for item in page["items"]]

        assert await find() == [3, 2, 1, 0]
        assert await find(device_id="dvc_1") == [3, 1, 0]
        assert await find(device_id="dvc_1", connector_id=2) == [3, 1]
        assert await find(command="start_charging") == [2, 1, 0]
        assert await find(status="failed") == [1]
        assert await find(start_time="2025-03-15T09:30:10Z", end_time="2025-03-15T09:30:30Z") == [
            2,
            1,
        ]
        page = await bench.list_page(size=1, page=2)
        assert (page["total"], page["items"][0]["command_id"]) == (4, ids[2])
        assert "reports" not in page["items"][0]
        with pytest.raises(NotFound):
            await bench.list_page(device_id="dvc_3")
        with pytest.raises(InvalidParameter):
            await bench.list_page(
                start_time="2025-03-16T00:00:00Z", end_time="2025-03-15T00:00:00Z"
            )

    run_bench(check)


def test_list__by_status__heeds_what_has_expired_since(run_bench: Run) -> None:
    """The filter says what reading each command would say, at every moment."""

    async def check(bench: CommandBench) -> None:
        issued = await bench.start()
        assert (await bench.list_page(status="queued"))["total"] == 1
        bench.clock.advance(120)
        assert (await bench.list_page(status="queued"))["items"] == []
        (item,) = (await bench.list_page(status="failed"))["items"]
        assert (item["command_id"], item["result"]) == (issued.command_id, {"reason": "expired"})

    run_bench(check)


def test_list__device_that_moved__shows_its_past_to_whom_it_belongs(run_bench: Run) -> None:
    """Commands stay with the operator that issued them; the new one sees none of them."""

    async def check(bench: CommandBench) -> None:
        await bench.start()
        bench.directory.move(bench.directory.by_id("dvc_1"), "op_2", "site_2")
        assert (await bench.list_page(device_id="dvc_1"))["total"] == 1
        assert (await bench.list_page("op_2", device_id="dvc_1"))["total"] == 0

    run_bench(check)


def test_cancel__queued__fails_and_is_not_delivered_again(run_bench: Run) -> None:
    """A cancelled command stays where it is; what its charger says all the same corrects it."""

    async def check(bench: CommandBench) -> None:
        waiting, leased = await bench.start(1), await bench.start(2)
        cancelled = await bench.cancel(waiting.command_id)
        assert (cancelled["status"], cancelled["result"]) == ("failed", {"reason": "cancelled"})
        assert [item["command_id"] for item in await bench.heartbeat()] == [leased.command_id]
        await bench.cancel(leased.command_id)
        bench.clock.advance(31)
        assert await bench.heartbeat() == []
        await bench.say(leased.command_id, "completed")
        shown = await bench.read(leased.command_id)
        assert (shown["status"], shown["result"]) == ("completed", {"late": True})

    run_bench(check)


@pytest.mark.parametrize("end", ["accepted", "completed", "expired", "cancelled"])
def test_cancel__accepted_or_ended__is_refused(run_bench: Run, end: str) -> None:
    """What the charger took on or what is over cannot be cancelled, and stays as it is."""

    async def check(bench: CommandBench) -> None:
        issued = await bench.start()
        if end == "expired":
            bench.clock.advance(120)
        elif end == "cancelled":
            await bench.cancel(issued.command_id)
        else:
            await bench.say(issued.command_id, end)
        before = await bench.read(issued.command_id)
        with pytest.raises(NotQueued):
            await bench.cancel(issued.command_id)
        assert await bench.read(issued.command_id) == before

    run_bench(check)


def test_cancel__foreign_or_absent__look_alike(run_bench: Run) -> None:
    """Another operator's command is not there, and is not touched."""

    async def check(bench: CommandBench) -> None:
        issued = await bench.start()
        for command_id, operator_id in ((issued.command_id, "op_2"), ("cmd_x", "op_1")):
            with pytest.raises(NotFound):
                await bench.cancel(command_id, operator_id)
        assert (await bench.read(issued.command_id))["status"] == "queued"

    run_bench(check)

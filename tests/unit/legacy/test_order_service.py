"""Orders over real commands: the start window, what is stored together, and what is left alone."""

import asyncio
from pathlib import Path

import pytest

from tellus.fleet.events import make_event
from tellus.fleet.model import EventsStored, EventType
from tellus.legacy import store, store_outbox
from tellus.legacy.model import Order, OrderKind, OrderState
from tellus.legacy.orders import OrderIdReused
from tests.unit.legacy.bench import PEER, LegacyBench, run_bench


def test_start__window__ends_at_sixty_seconds_and_the_charger_is_told(tmp_path: Path) -> None:
    """An accepted start that does not begin has failed after 60 s; its charger gets a stop."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin()
        [command] = await bench.heartbeat()
        await bench.say(command["command_id"], "accepted")
        bench.clock.advance(59.999)
        await bench.follower.sweep()
        assert (await bench.order()).state is OrderState.STARTING
        bench.clock.advance(0.001)
        await bench.follower.sweep()
        await bench.follower.sweep()
        assert (await bench.order()).state is OrderState.START_FAILED
        assert await bench.statuses() == ["START_FAILED"]
        assert [one["command"] for one in await bench.heartbeat()] == ["stop_charging"]

    run_bench(tmp_path, scene)


def test_start__never_fetched__fails_and_is_not_delivered_any_more(tmp_path: Path) -> None:
    """A charger that was away for a minute does not begin when it comes back."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin()
        bench.clock.advance(60)
        await bench.service.sweep()
        await bench.follower.sweep()
        assert (await bench.order()).state is OrderState.START_FAILED
        assert [one["command"] for one in await bench.heartbeat()] != ["start_charging"]

    run_bench(tmp_path, scene)


@pytest.mark.parametrize("status", ["rejected", "failed"])
def test_start__refused_by_the_charger__has_failed_at_the_next_look(
    tmp_path: Path, status: str
) -> None:
    """The charger's word ends the order before the window is over."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin()
        [command] = await bench.heartbeat()
        await bench.say(command["command_id"], status)
        await bench.follower.sweep()
        assert await bench.statuses() == ["START_FAILED"]

    run_bench(tmp_path, scene)


def test_begin__by_samples_alone__is_told_with_them(tmp_path: Path) -> None:
    """A charger without start events is believed by its samples."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin()
        [command] = await bench.heartbeat()
        await bench.say(command["command_id"], "accepted")
        bench.clock.advance(5)
        bench.show("charging", energy_kwh=0.25)
        await bench.follower.sweep()
        [push] = await bench.owed("notify_work_status")
        assert (push["Status"], push["Meter"]["Energy"]) == ("CHARGING", 0.25)

    run_bench(tmp_path, scene)


def test_start__taken_connector__stores_neither_command_nor_push_but_the_failure(
    tmp_path: Path,
) -> None:
    """A start that loses leaves one failed order behind, and no command."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin("first")
        loser = await bench.begin("second")
        assert (loser.state, loser.reason) == (OrderState.START_FAILED, "order_running")
        assert len(await bench.rows("SELECT * FROM commands")) == 1
        assert (await bench.order("first")).state is OrderState.STARTING

    run_bench(tmp_path, scene)


def test_change__push_that_cannot_be_stored__changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order never moves on without the push that tells of it: both or neither."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin()

        def refuse(*_: object) -> None:
            raise RuntimeError

        kept = store_outbox.append_push
        monkeypatch.setattr(store_outbox, "append_push", refuse)
        with pytest.raises(RuntimeError):
            await bench.tell(EventType.START)
        assert (await bench.order()).state is OrderState.STARTING
        monkeypatch.setattr(store_outbox, "append_push", kept)
        await bench.tell(EventType.START)
        assert (await bench.order()).state is OrderState.FLOWING
        assert await bench.statuses() == ["CHARGING"]

    run_bench(tmp_path, scene)


def test_order__of_a_peer_that_is_gone__runs_to_its_end_untold(tmp_path: Path) -> None:
    """Nobody is owed anything, and the order still ends."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin()
        await bench.tell(EventType.START)
        await bench.database.write(store.delete_peer, PEER)
        await bench.tell(EventType.STOP)
        await bench.tell(EventType.PLUG_OUT)
        bench.clock.advance(120)
        await bench.follower.sweep()
        assert (await bench.order()).state is OrderState.COMPLETED
        assert await bench.statuses() == ["CHARGING"]

    run_bench(tmp_path, scene)


def test_events__older_than_the_order__do_not_move_it(tmp_path: Path) -> None:
    """What a charger uploads late of its last visitor is not this order's."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin()
        bench.clock.advance(1)
        await bench.tell(EventType.START, transaction_id="another")
        await bench.tell(EventType.STOP)
        await bench.tell(EventType.PLUG_OUT)
        assert (await bench.order()).state is OrderState.STARTING
        assert await bench.statuses() == []

    run_bench(tmp_path, scene)


def test_discharge__device_that_has_gone__is_left_to_its_limits(tmp_path: Path) -> None:
    """A stop that cannot be sent is tried again, and ends nothing by itself."""

    async def scene(bench: LegacyBench) -> None:
        device = bench.hear()
        device.v2g = True
        await bench.begin(kind=OrderKind.DISCHARGE, max_energy_kwh=2)
        [command] = await bench.heartbeat()
        await bench.say(command["command_id"], "accepted")
        await bench.tell(EventType.START)
        bench.show("discharging", energy_kwh=2.5)
        bench.directory.remove(device)
        bench.directory.add(device)
        device.operator_id = "op_2"
        await bench.follower.sweep()
        assert (await bench.order()).state is OrderState.FLOWING
        device.operator_id = "op_1"
        await bench.follower.sweep()
        order = await bench.order()
        assert (order.state, order.stop_command_id is None) == (OrderState.STOPPING, False)

    run_bench(tmp_path, scene)


def test_order__end_never_told__makes_room_for_the_next(tmp_path: Path) -> None:
    """A charger whose stop got lost can be started again two minutes after it rests."""

    async def scene(bench: LegacyBench) -> None:
        await bench.begin("lost")
        [command] = await bench.heartbeat()
        await bench.say(command["command_id"], "completed")
        await bench.tell(EventType.START)
        bench.clock.advance(1)
        for _ in range(122):
            bench.show("idle")
            await bench.follower.sweep()
            bench.clock.advance(1)
        assert (await bench.order("lost")).state is OrderState.STOPPED
        assert (await bench.begin("next")).state is OrderState.STARTING
        assert (await bench.order("lost")).state is OrderState.COMPLETED

    run_bench(tmp_path, scene)


def test_events__of_a_clock_far_ahead__count_where_they_name_the_order(tmp_path: Path) -> None:
    """A wrong clock says nothing of which order is meant; a transaction does."""

    async def scene(bench: LegacyBench) -> None:
        order = await bench.begin()
        ahead_ms = bench.clock.now_ms() + 3_600_000
        for transaction_id, expected in (
            (None, OrderState.STARTING),
            (order.vendor_order_id, OrderState.FLOWING),
        ):
            data = {} if transaction_id is None else {"transaction_id": transaction_id}
            event = make_event((1, 1), EventType.START, ahead_ms, data, bench.clock.now_ms())
            assert event.clock_suspect
            await bench.database.write(bench.follower.note_events, EventsStored((event,)))
            assert (await bench.order()).state is expected

    run_bench(tmp_path, scene)


def test_start__twice_at_once__is_one_order_and_one_command(tmp_path: Path) -> None:
    """Repeats that overlap get one answer and start one thing."""

    async def scene(bench: LegacyBench) -> None:
        twins = await asyncio.gather(*(bench.begin("twin") for _ in range(4)))
        assert len({order.vendor_order_id for order in twins}) == 1
        assert {order.first_state for order in twins} == {OrderState.STARTING}
        assert len(await bench.rows("SELECT * FROM commands")) == 1

    run_bench(tmp_path, scene)


def test_start__same_order_id_at_two_connectors_at_once__starts_one(tmp_path: Path) -> None:
    """One of them is the order of that name; the other is refused and starts nothing."""

    async def scene(bench: LegacyBench) -> None:
        outcomes = await asyncio.gather(
            bench.begin("torn", 1), bench.begin("torn", 2), return_exceptions=True
        )
        [order] = [one for one in outcomes if not isinstance(one, OrderIdReused)]
        assert isinstance(order, Order)
        rows = await bench.rows("SELECT connector_id FROM commands")
        assert rows == [(order.connector_id,)]

    run_bench(tmp_path, scene)

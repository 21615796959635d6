"""Controls over restarts: what was promised is done, and what was not answered for never was."""

from collections.abc import Awaitable, Callable

from tellus.flexibility import store, store_targets
from tellus.flexibility.model import Control, Phase, Target
from tellus.kernel.units import to_text
from tests.unit.commands.conftest import CLIENT, OPERATOR
from tests.unit.flexibility.conftest import SITE, ControlBench, limits_kw

Run = Callable[[Callable[[ControlBench], Awaitable[None]]], None]


def test_restart__before_any_charger_was_told__tells_them(run_bench: Run) -> None:
    """The control is durable when its caller is answered; the commands follow after the start."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 600)
        assert await bench.rows("SELECT 1 FROM commands") == []
        await bench.restart()
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch()) == {1: [11.0]}
        await bench.restart()
        await bench.flexibility.sweep()
        assert await bench.fetch() == {}
        assert (await bench.show_targets(control_id))["dvc_1"]["status"] == "completed"

    run_bench(test)


def test_restart__after_the_end__closes_the_control(run_bench: Run) -> None:
    """It ended in its time, though nobody was there to see it, and no charger is told anything."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        await bench.fetch()
        until = (await bench.show(control_id))["ends_at"]
        bench.clock.advance(4_000)
        await bench.restart()
        await bench.pass_time(0)
        whole = await bench.read(control_id)
        assert (whole["status"], whole["updated_at"]) == ("completed", until)
        assert await bench.rows("SELECT phase FROM controls") == [("ended",)]
        assert await bench.fetch() == {}
        assert bench.twins[1].lowest_kw(1, to_text(bench.clock.now_ms())) is None
        assert bench.flexibility.active == 0

    run_bench(test)


def test_restart__with_a_charger_away__still_awaits_it(run_bench: Run) -> None:
    """That a charger is to be told on its return is known after a restart too."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        await bench.control(50, 7_200)
        await bench.pass_time(0)
        await bench.pass_time(901)
        await bench.restart()
        await bench.pass_time(2_000)
        assert await bench.fetch() == {}
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch()) == {1: [11.0]}

    run_bench(test)


def test_restart__between_cancellation_and_telling__lifts(run_bench: Run) -> None:
    """A control that was cancelled is taken back whatever happens to the platform."""

    async def test(bench: ControlBench) -> None:
        for number in (1, 2):
            bench.add_charger(number, "TP-AC22", connectors=1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        for number in (1, 2):
            await bench.fetch(number)
        now_ms = bench.clock.now_ms()
        await bench.database.write(store.set_cancelled, 1, now_ms)
        await bench.restart()
        await bench.flexibility.sweep()
        assert [await bench.fetch(number) for number in (1, 2)] == [{1: []}, {1: []}]
        assert (await bench.show(control_id))["cancelled_at"] == to_text(now_ms)

    run_bench(test)


def test_restart__half_way_through_a_stagger__goes_on(run_bench: Run) -> None:
    """The chargers that had not begun begin in their time."""

    async def test(bench: ControlBench) -> None:
        for number in (1, 2):
            bench.add_charger(number, "TP-AC22", connectors=1)
        await bench.control(50, 600, params={"stagger_seconds": 40})
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch(1)) == {1: [11.0]}
        await bench.restart()
        await bench.pass_time(19)
        assert await bench.fetch(2) == {}
        await bench.pass_time(1)
        assert limits_kw(await bench.fetch(2)) == {1: [11.0]}

    run_bench(test)


def test_restart__charger_deleted_meanwhile__is_noticed(run_bench: Run) -> None:
    """The census compares with the store's count, not with memory's."""

    async def test(bench: ControlBench) -> None:
        device = bench.add_charger(1)
        control_id = await bench.control(50, 600)
        await bench.flexibility.sweep()
        bench.directory.remove(device)
        bench.add_charger(2)
        await bench.restart()
        await bench.flexibility.sweep()
        targets = await bench.show_targets(control_id)
        assert targets["dvc_1"]["left"] == "deleted"
        assert targets["dvc_2"]["joined"] is True

    run_bench(test)


async def prepare(bench: ControlBench, chargers: int) -> None:
    """Store the parts of a control of which the last one never came."""
    now_ms = bench.clock.now_ms()
    until_ms = now_ms + 600_000
    control = Control(
        control_no=0,
        control_id="ctl_half",
        operator_id=OPERATOR,
        client_id=CLIENT,
        target_type="site",
        target_ids=(SITE,),
        command="set_power_limit",
        limit_pct=10,
        reason=None,
        duration_ms=600_000,
        stagger_ms=0,
        chargers=chargers,
        phase=Phase.PREPARING,
        created_ms=now_ms,
        until_ms=until_ms,
    )
    targets = [
        Target(
            control_no=0,
            device_no=number,
            connector_id=1,
            device_id=f"dvc_{number}",
            offset_ms=0,
            begin_ms=now_ms,
            until_ms=until_ms,
            limit_kw=2.2,
            due_ms=now_ms,
        )
        for number in range(1, chargers + 1)
    ]
    control_no = await bench.database.write(store.append_control, control)
    await bench.database.write(store_targets.append_targets, control_no, targets)


def test_restart__control_whose_caller_was_never_answered__never_was(run_bench: Run) -> None:
    """A large control is stored in parts; without the last one it has no effect, and goes."""

    async def test(bench: ControlBench) -> None:
        bench.add_charger(1, "TP-AC22", connectors=1)
        await prepare(bench, 400)
        await bench.control(50, 600)
        await bench.flexibility.sweep()
        assert limits_kw(await bench.fetch()) == {1: [11.0]}
        assert len(await bench.list_of()) == 1
        await bench.restart()
        await bench.flexibility.sweep()
        assert await bench.fetch() == {}
        assert await bench.rows("SELECT count(*) FROM controls") == [(1,)]
        assert await bench.rows("SELECT count(*) FROM control_targets") == [(1,)]

    run_bench(test)

"""What chargers report is kept whole; the first terminal report stands."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.kernel.errors import NotFound
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


async def issue_and_deliver(bench: CommandBench) -> str:
    """Return a start that its charger has fetched."""
    command_id = (await bench.start()).command_id
    assert len(await bench.heartbeat()) == 1
    return command_id


def test_report__accepted_then_completed__tells_the_whole_way(run_bench: Run) -> None:
    """Status, result and history follow the charger; times are its own and ours."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_and_deliver(bench)
        await bench.say(command_id, "accepted", at_s=-1)
        bench.clock.advance(3_600)
        await bench.say(command_id, "completed", message="Full", details={"energy_delivered": 7.0})
        shown = await bench.read(command_id)
        assert shown["status"] == "completed"
        assert shown["result"] == {"energy_delivered": 7.0, "message": "Full"}
        assert shown["updated_at"] == "2025-03-15T10:30:00Z"
        assert [(item["status"], item["effect"]) for item in shown["reports"]] == [
            ("accepted", "applied"),
            ("completed", "applied"),
        ]
        assert shown["reports"][0]["timestamp"] == "2025-03-15T09:29:59Z"

    run_bench(check)


def test_report__repeats__change_nothing(run_bench: Run) -> None:
    """The same report again is no second row; the same words at another time move nothing."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_and_deliver(bench)
        await bench.say(command_id, "completed", details={"energy": 1})
        first = await bench.read(command_id)
        await bench.say(command_id, "completed", details={"energy": 1})
        assert await bench.read(command_id) == first
        await bench.say(command_id, "completed", at_s=5, details={"energy": 2})
        shown = await bench.read(command_id)
        assert [item["effect"] for item in shown["reports"]] == ["applied", "repeat"]
        assert shown["result"] == {"energy": 1}

    run_bench(check)


def test_report__contradiction__is_recorded_and_flagged(run_bench: Run) -> None:
    """The first terminal report stands; the command says that it was contradicted."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_and_deliver(bench)
        await bench.say(command_id, "failed", message="no car")
        await bench.say(command_id, "completed", at_s=1)
        shown = await bench.read(command_id)
        assert (shown["status"], shown["contradicted"]) == ("failed", True)
        assert shown["result"] == {"message": "no car"}
        assert [item["effect"] for item in shown["reports"]] == ["applied", "contradiction"]

    run_bench(check)


@pytest.mark.parametrize("swept", [True, False])
def test_report__after_the_platform_gave_up__corrects_once(run_bench: Run, swept: bool) -> None:  # noqa: FBT001
    """A late report overrides expiry, with ``late``; a second one changes nothing more."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_and_deliver(bench)
        bench.clock.advance(500)
        if swept:
            await bench.service.sweep()
        assert (await bench.read(command_id))["result"] == {"reason": "expired"}
        await bench.say(command_id, "completed", at_s=-450, details={"energy": 3})
        shown = await bench.read(command_id)
        assert (shown["status"], shown["result"]) == ("completed", {"energy": 3, "late": True})
        await bench.say(command_id, "failed")
        shown = await bench.read(command_id)
        assert (shown["status"], shown["contradicted"]) == ("completed", True)
        assert [item["effect"] for item in shown["reports"]] == ["late", "contradiction"]

    run_bench(check)


def test_report__rejected__is_failed_with_the_reason(run_bench: Run) -> None:
    """Operators see a refusal as failed, with why."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_and_deliver(bench)
        await bench.say(command_id, "rejected", message="occupied")
        shown = await bench.read(command_id)
        assert shown["status"] == "failed"
        assert shown["result"] == {"reason": "rejected", "message": "occupied"}

    run_bench(check)


def test_report__unknown_or_foreign_command__is_not_found(run_bench: Run) -> None:
    """A device reports on its own commands alone, an operator reads its own alone."""

    async def check(bench: CommandBench) -> None:
        bench.add_device(2)
        command_id = await issue_and_deliver(bench)
        for named, device_no in ((command_id, 2), ("cmd_absent", 1)):
            with pytest.raises(NotFound):
                await bench.say(named, "completed", device_no=device_no)
        for named, operator_id in ((command_id, "op_2"), ("cmd_absent", "op_1")):
            with pytest.raises(NotFound):
                await bench.read(named, operator_id)
        assert (await bench.read(command_id))["reports"] == []

    run_bench(check)


def test_report__endless_reports__are_bounded(run_bench: Run) -> None:
    """A charger that repeats itself for ever fills no disk."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_and_deliver(bench)
        for k in range(120):
            await bench.say(command_id, "accepted", at_s=k)
        assert len((await bench.read(command_id))["reports"]) == 100
        await bench.say(command_id, "completed")
        assert (await bench.read(command_id))["status"] == "completed"

    run_bench(check)


def test_report__vin_in_the_details__is_masked_before_it_is_stored(run_bench: Run) -> None:
    """Personal data has its place in records; here it is not needed."""

    async def check(bench: CommandBench) -> None:
        command_id = await issue_and_deliver(bench)
        vin = "LVXFA394XJ1234567"
        await bench.say(command_id, "completed", message=f"car {vin}", details={"vin": vin})
        assert vin not in str(await bench.read(command_id))
        assert vin not in str(await bench.rows("SELECT * FROM command_reports"))

    run_bench(check)


def test_report_firmware__progress__is_kept_without_repeats(run_bench: Run) -> None:
    """Each step of an upgrade is one row, however often it is said."""

    async def check(bench: CommandBench) -> None:
        steps: list[dict[str, Any]] = [
            {"status": "downloading", "progress": 45},
            {"status": "downloading", "progress": 45},
            {"status": "downloading", "progress": 90},
            {"status": "success"},
        ]
        for step in steps:
            await bench.say_firmware(firmware_version="3.1.0", **step)
        rows = await bench.rows("SELECT status, progress_pct FROM firmware_reports")
        assert rows == [("downloading", 45), ("downloading", 90), ("success", None)]

    run_bench(check)


def test_report_firmware__success__is_the_version_the_device_runs(run_bench: Run) -> None:
    """Only a finished upgrade changes which firmware operators are shown."""

    async def check(bench: CommandBench) -> None:
        device = bench.directory.by_no(1)
        assert device is not None
        device.firmware_version = "3.0.0"
        await bench.say_firmware(firmware_version="3.1.0", status="downloading")
        assert device.firmware_version == "3.0.0"
        await bench.say_firmware(firmware_version="3.1.0", status="success")
        assert device.firmware_version == "3.1.0"

    run_bench(check)

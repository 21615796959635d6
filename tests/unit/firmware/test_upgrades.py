"""One device's upgrade: what may be sent, and how its charger's word moves it on."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.commands.desk import SessionInTheWay
from tellus.firmware.service import CannotUpgrade, key_of
from tellus.fleet.model import ConnectorState
from tellus.kernel.errors import NotFound
from tests.unit.firmware.conftest import OPERATOR, FirmwareBench

Run = Callable[[Callable[[FirmwareBench], Awaitable[None]]], None]


async def begin(bench: FirmwareBench) -> str:
    """Return an upgrade to 3.2.0 that its charger has fetched."""
    await bench.release()
    command_id = await bench.upgrade()
    assert len(await bench.fetch()) == 1
    return command_id


def test_upgrade__to_a_release__goes_out_with_all_that_the_charger_needs(run_bench: Run) -> None:
    """The command names version, address, digest and size, for the device as a whole."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release()
        command_id = await bench.upgrade()
        assert await bench.fetch() == [
            {
                "id": command_id,
                "connector_id": 0,
                "firmware_version": "3.2.0",
                "url": "https://firmware.example/3.2.0.bin",
                "sha256": "ab" * 32,
                "size": 1_000_000,
            }
        ]
        [(action, details)] = await bench.rows(
            "SELECT action, details FROM audit_log WHERE resource_type = 'device'"
        )
        assert action == "device.command_issued"
        assert command_id in details

    run_bench(check)


@pytest.mark.parametrize(
    ("running", "version", "reason"),
    [
        ("3.1.0", "3.9.0", "no_release"),
        ("3.1.0", "3.3.0", "release_withdrawn"),
        ("3.2.0", "3.2.0", "already_current"),
        ("260420.0107", "3.2.0", "already_current"),
        ("3.2.1", "3.2.0", "newer"),
        ("260501.0100", "3.2.0", "newer"),
        ("imported", "3.2.0", "not_comparable"),
        ("3.1.0", "4.0.0", "no_release"),
    ],
)
def test_upgrade__that_does_not_fit__is_refused_and_says_why(
    run_bench: Run, running: str, version: str, reason: str
) -> None:
    """The release must be for the model and newer than what runs; nothing is queued."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release(platform_build="260420.0107")
        await bench.release("4.0.0", models=("TP-DC360",))
        await bench.withdraw(await bench.release("3.3.0"))
        bench.device(1).firmware_version = running
        with pytest.raises(CannotUpgrade) as refused:
            await bench.upgrade(version)
        assert refused.value.details["reason"] == reason
        assert await bench.fetch() == []
        assert await bench.rows("SELECT command_id FROM firmware_upgrades") == []

    run_bench(check)


@pytest.mark.parametrize("running", ["3.2.1", "imported", "260501.0100"])
def test_upgrade__older_or_unknown_by_wish__is_sent(run_bench: Run, running: str) -> None:
    """A downgrade, or what cannot be compared, goes out when it is asked for."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release(platform_build="260420.0107")
        bench.device(1).firmware_version = running
        await bench.upgrade(allow_downgrade=True)
        assert len(await bench.fetch()) == 1

    run_bench(check)


def test_upgrade__named_by_its_build__is_sent_as_the_release(run_bench: Run) -> None:
    """A release can be named by either of its versions; the charger is told the first."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release(platform_build="260420.0107")
        await bench.upgrade("260420.0107")
        [order] = await bench.fetch()
        assert order["firmware_version"] == "3.2.0"

    run_bench(check)


def test_upgrade__of_anothers_device__does_not_exist(run_bench: Run) -> None:
    """A foreign device and an absent one are the same, to write and to read."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release()
        bench.add_device(2, operator_id="op_2")
        for device_no in (2, 99):
            with pytest.raises(NotFound):
                await bench.upgrade(device_no=device_no)
            with pytest.raises(NotFound):
                await bench.firmware.read_device(f"dvc_{device_no}", OPERATOR)

    run_bench(check)


def test_upgrade__during_a_session__waits_only_if_the_charger_is_left_to(run_bench: Run) -> None:
    """A charging vehicle refuses the upgrade, unless the charger may wait for its end."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release()
        bench.set_state(1, ConnectorState.CHARGING)
        with pytest.raises(SessionInTheWay):
            await bench.upgrade()
        await bench.upgrade(wait_for_idle=True)
        assert len(await bench.fetch()) == 1

    run_bench(check)


def test_upgrade__while_the_charger_works_on_one__is_refused(run_bench: Run) -> None:
    """One that waits is replaced by a newer one; one that was accepted is not disturbed."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release()
        await bench.release("3.3.0")
        first = await bench.upgrade()
        second = await bench.upgrade("3.3.0")
        [order] = await bench.fetch()
        assert order["id"] == second
        await bench.say("downloading", version="3.3.0")
        with pytest.raises(CannotUpgrade) as refused:
            await bench.upgrade()
        assert refused.value.details == {"reason": "upgrade_under_way", "command_id": second}
        view = await bench.firmware.read_device("dvc_1", OPERATOR)
        told = [(one.command.command_id, one.status.value) for one in view.history]
        assert told == [(second, "downloading"), (first, "failed")]

    run_bench(check)


def test_upgrade__the_same_request_again__is_the_same_upgrade(run_bench: Run) -> None:
    """Under one key nothing is queued twice, also after the upgrade has succeeded."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release()
        key = key_of("cl_1", "k", "firmware")
        first = await bench.upgrade(key=key)
        await bench.fetch()
        await bench.say("success")
        assert await bench.upgrade(key=key) == first

    run_bench(check)


def test_status_reports__of_the_version__move_its_command(run_bench: Run) -> None:
    """Downloading accepts, progress is shown; success completes it and changes the version."""

    async def check(bench: FirmwareBench) -> None:
        command_id = await begin(bench)
        assert await bench.status() == "queued"
        await bench.say("downloading", progress_pct=25)
        assert await bench.status() == "downloading"
        await bench.say("upgrading", progress_pct=0)
        view = await bench.firmware.read_device("dvc_1", OPERATOR)
        assert view.history[0].status.value == "upgrading"
        assert view.device.firmware_version == "3.1.0"
        await bench.say("success", progress_pct=100)
        view = await bench.firmware.read_device("dvc_1", OPERATOR)
        assert view.history[0].status.value == "completed"
        assert view.history[0].upgrade.from_version == "3.1.0"
        assert view.device.firmware_version == "3.2.0"
        _, reports = await bench.commands.read_command(command_id, OPERATOR, bench.clock.now_ms())
        assert [(one.status.value, one.effect.value) for one in reports] == [
            ("accepted", "applied"),
            ("completed", "applied"),
        ]

    run_bench(check)


def test_status_reports__failed__fail_the_command_with_its_words(run_bench: Run) -> None:
    """What the charger says of a failure is the result; the version stays."""

    async def check(bench: FirmwareBench) -> None:
        command_id = await begin(bench)
        await bench.say("failed", message="bad image")
        command, _ = await bench.commands.read_command(command_id, OPERATOR, bench.clock.now_ms())
        assert command.status == "failed"
        assert (command.result or {})["message"] == "bad image"
        assert bench.device(1).firmware_version == "3.1.0"

    run_bench(check)


@pytest.mark.parametrize(
    ("device_no", "version"), [(2, "3.2.0"), (1, "3.3.0")], ids=["device", "version"]
)
def test_status_reports__of_another_device_or_version__move_nothing(
    run_bench: Run, device_no: int, version: str
) -> None:
    """A status is matched by device and version, not by whatever is under way."""

    async def check(bench: FirmwareBench) -> None:
        bench.add_device(2)
        await begin(bench)
        await bench.say("failed", device_no=device_no, version=version)
        assert await bench.status() == "queued"

    run_bench(check)


def test_status_reports__before_the_command_left__are_not_its(run_bench: Run) -> None:
    """A charger that installs by itself says nothing of a command that it never saw."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release()
        await bench.upgrade()
        await bench.say("failed")
        assert await bench.status() == "queued"
        assert len(await bench.fetch()) == 1

    run_bench(check)


def test_status_reports__against_what_was_said__are_flagged(run_bench: Run) -> None:
    """The first end stands, whichever way it was told."""

    async def check(bench: FirmwareBench) -> None:
        command_id = await begin(bench)
        await bench.report(command_id, "completed")
        await bench.say("failed")
        command, reports = await bench.commands.read_command(
            command_id, OPERATOR, bench.clock.now_ms()
        )
        assert (command.status, command.contradicted) == ("completed", True)
        assert [one.effect.value for one in reports] == ["applied", "contradiction"]

    run_bench(check)


def test_upgrade__version_known_by_other_means__is_completed(run_bench: Run) -> None:
    """A charger that comes back with the version, or its build, has been upgraded."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release(platform_build="260420.0107")
        await bench.upgrade()
        await bench.fetch()
        await bench.say("upgrading")
        bench.device(1).firmware_version = "260420.0107"
        await bench.turn()
        assert await bench.status() == "completed"

    run_bench(check)


@pytest.mark.parametrize(("status", "patience_s"), [("downloading", 86_400), ("upgrading", 1_800)])
def test_upgrade__charger_that_never_comes_back__has_failed(
    run_bench: Run, status: str, patience_s: int
) -> None:
    """Silence ends it: after long while it prepares, soon once it installs; words begin anew."""

    async def check(bench: FirmwareBench) -> None:
        await begin(bench)
        await bench.say(status, progress_pct=10)
        await bench.turn(patience_s - 10)
        await bench.say(status, progress_pct=20)
        await bench.turn(patience_s - 1)
        assert await bench.status() == status
        await bench.turn(2)
        view = await bench.firmware.read_device("dvc_1", OPERATOR)
        assert view.history[0].status.value == "failed"
        assert view.history[0].command.result == {"reason": "no_response"}

    run_bench(check)


def test_upgrade__given_up_and_then_finished__is_corrected_once(run_bench: Run) -> None:
    """The charger's late word counts, and what came late is not given up again."""

    async def check(bench: FirmwareBench) -> None:
        command_id = await begin(bench)
        await bench.say("upgrading")
        await bench.turn(2_000)
        assert await bench.status() == "failed"
        await bench.restart()
        await bench.say("downloading", progress_pct=1)
        await bench.turn(200_000)
        await bench.say("success")
        command, _ = await bench.commands.read_command(command_id, OPERATOR, bench.clock.now_ms())
        assert command.status == "completed"
        assert (command.result or {})["late"] is True

    run_bench(check)


def test_sweep__ended_upgrades__are_watched_no_more(run_bench: Run) -> None:
    """What is over costs nothing more."""

    async def check(bench: FirmwareBench) -> None:
        await begin(bench)
        open_ones: Any = "SELECT count(*) FROM firmware_upgrades WHERE ended_ms IS NULL"
        assert await bench.rows(open_ones) == [(1,)]
        await bench.say("success")
        await bench.turn()
        assert await bench.rows(open_ones) == [(0,)]

    run_bench(check)

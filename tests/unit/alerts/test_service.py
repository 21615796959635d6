"""One alert per matter, whoever finds it and however often, and who is told of it."""

import asyncio
from pathlib import Path

import pytest

from tellus.alerts.model import AlertSeverity, AlertStatus, ChangeKind, Condition, NoteField
from tellus.alerts.service import WrongTransition
from tellus.fleet.administration import DeviceMoved
from tellus.kernel.errors import NotFound
from tests.unit.alerts.alert_bench import (
    BEGAN_MS,
    OPERATOR,
    OTHER,
    AlertBench,
    clearing,
    finding,
    run_alerts,
)


def test_report__same_matter_again__counts_for_the_live_alert(tmp_path: Path) -> None:
    """A matter that is found three times is one alert, found three times, and told of once."""

    async def scenario(bench: AlertBench) -> None:
        for step in range(3):
            await bench.service.report([finding(at_ms=BEGAN_MS - 10 + step)])
        alert = await bench.only()
        assert (alert.found, alert.first_ms, alert.last_ms) == (3, BEGAN_MS - 10, BEGAN_MS - 8)
        assert (alert.status, alert.condition) == (AlertStatus.OPEN, Condition.PRESENT)
        assert alert.device_id == "dvc_1"
        assert [change.kind for change in bench.changes] == [ChangeKind.OPENED]

    run_alerts(tmp_path / "a.db", scenario)


def test_report__many_at_once__one_alert(tmp_path: Path) -> None:
    """Those who find the same at the same moment do not open two alerts."""

    async def scenario(bench: AlertBench) -> None:
        await asyncio.gather(*(bench.service.report([finding()]) for _ in range(12)))
        assert (await bench.only()).found == 12

    run_alerts(tmp_path / "a.db", scenario)


def test_report__cleared_and_found_again__condition_apart_from_status(tmp_path: Path) -> None:
    """What is the case comes and goes; what somebody did about it stays."""

    async def scenario(bench: AlertBench) -> None:
        await bench.service.report([finding()])
        await bench.change(await bench.only(), "acknowledged", "On my way")
        bench.clock.advance(60.0)
        await bench.service.report([], [clearing(bench.clock.now_ms())])
        alert = await bench.only()
        assert (alert.status, alert.condition) == (AlertStatus.ACKNOWLEDGED, Condition.CLEARED)
        bench.clock.advance(60.0)
        await bench.service.report([finding(at_ms=bench.clock.now_ms())])
        alert = await bench.only()
        assert (alert.status, alert.condition) == (AlertStatus.ACKNOWLEDGED, Condition.PRESENT)
        view = await bench.service.get_alert(OPERATOR, alert.alert_id)
        assert [(note.field, note.after) for note in view.notes] == [
            (NoteField.STATUS, "open"),
            (NoteField.STATUS, "acknowledged"),
            (NoteField.CONDITION, "cleared"),
            (NoteField.CONDITION, "present"),
        ]

    run_alerts(tmp_path / "a.db", scenario)


def test_report__after_the_end__opens_a_new_alert(tmp_path: Path) -> None:
    """What was resolved stays resolved: the next finding is another alert."""

    async def scenario(bench: AlertBench) -> None:
        await bench.service.report([finding()])
        first = await bench.only()
        await bench.change(first, "resolved")
        await bench.service.report([finding()])
        newest, oldest = await bench.find_all()
        assert oldest.alert_id == first.alert_id
        assert (oldest.status, newest.status) == (AlertStatus.RESOLVED, AlertStatus.OPEN)
        assert oldest.found == 1

    run_alerts(tmp_path / "a.db", scenario)


def test_report__worse_than_before__severity_rises_and_never_falls(tmp_path: Path) -> None:
    """A worse finding raises the severity; a milder one leaves it."""

    async def scenario(bench: AlertBench) -> None:
        for severity in (AlertSeverity.MEDIUM, AlertSeverity.CRITICAL, AlertSeverity.LOW):
            await bench.service.report([finding(severity=severity)])
        assert (await bench.only()).severity is AlertSeverity.CRITICAL
        assert [change.kind for change in bench.changes] == [ChangeKind.OPENED, ChangeKind.CHANGED]

    run_alerts(tmp_path / "a.db", scenario)


def test_change__from_an_end__says_from_and_to(tmp_path: Path) -> None:
    """An end is an end; the refusal says from what to what."""

    async def scenario(bench: AlertBench) -> None:
        await bench.service.report([finding()])
        alert = await bench.only()
        await bench.change(alert, "dismissed")
        with pytest.raises(WrongTransition) as refused:
            await bench.change(alert, "acknowledged")
        assert refused.value.details == {"from": "dismissed", "to": "acknowledged"}
        with pytest.raises(NotFound):
            await bench.service.get_alert(OTHER, alert.alert_id)

    run_alerts(tmp_path / "a.db", scenario)


def test_device__goes_to_another_operator__its_alerts_stay_behind_closed(tmp_path: Path) -> None:
    """Alerts of a device that changes hands are closed, and what comes late about it is dropped."""

    async def scenario(bench: AlertBench) -> None:
        await bench.service.report([finding()])
        moved = DeviceMoved(1, "dvc_1", OTHER, BEGAN_MS)
        await bench.database.write(bench.service.leave_behind, moved)
        await bench.database.write(
            lambda tx: tx.execute("UPDATE devices SET operator_id = $1 WHERE device_no = 1", OTHER)
        )
        await bench.service.report([finding()])
        assert (await bench.only()).status is AlertStatus.DISMISSED
        assert not await bench.find_all(OTHER)

    run_alerts(tmp_path / "a.db", scenario)


def test_tidy__device_deleted__its_alert_is_closed(tmp_path: Path) -> None:
    """Nobody can do anything about a device that is gone."""

    async def scenario(bench: AlertBench) -> None:
        await bench.service.report([finding()])
        await bench.database.write(
            lambda tx: tx.execute("UPDATE devices SET deleted_ms = 1 WHERE device_no = 1")
        )
        await bench.service.tidy()
        assert (await bench.only()).status is AlertStatus.DISMISSED

    run_alerts(tmp_path / "a.db", scenario)


def test_link_run__twice__shown_once(tmp_path: Path) -> None:
    """A run that somebody began for an alert is shown with it."""

    async def scenario(bench: AlertBench) -> None:
        await bench.service.report([finding()])
        alert = await bench.only()
        for _ in range(2):
            await bench.database.write(bench.service.link_run, alert.alert_id, "run_1", "no-start")
        view = await bench.service.get_alert(OPERATOR, alert.alert_id)
        assert [(run.run_id, run.runbook) for run in view.runs] == [("run_1", "no-start")]
        with pytest.raises(NotFound):
            await bench.database.write(bench.service.link_run, "alr_none", "run_1", "x")

    run_alerts(tmp_path / "a.db", scenario)

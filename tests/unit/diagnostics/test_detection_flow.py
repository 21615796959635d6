"""Detection over a real store with a clock that is moved: from facts to alerts and to their end."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tellus.alerts import store as store_alerts
from tellus.alerts.model import Condition
from tellus.diagnostics import detectors
from tellus.fleet.model import EventType
from tellus.fleet.model_health import ComponentHealth
from tests.reliability.detection_world import DetectionWorld

Story = Callable[[DetectionWorld], Awaitable[None]]


def play(tmp_path: Path, story: Story) -> None:
    """Let a story happen on a platform of its own."""

    async def run() -> None:
        world = DetectionWorld(tmp_path / "data")
        await world.start()
        try:
            await story(world)
        finally:
            await world.stop()

    asyncio.run(run())


@pytest.mark.usefixtures("database_kind")
def test_inbox__restart_before_anybody_looked__loses_and_doubles_nothing(tmp_path: Path) -> None:
    """What was taken in before a restart is told after it, once."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        await world.fault(device, 421)
        await world.record(device, "ev_disconnected", 2)
        assert await world.platform.diagnosing.detection.count_waiting() == 2
        await world.begin_again()
        await world.pass_time(10, device)
        await world.begin_again()
        await world.pass_time(10, device)
        assert await world.codes(device) == ["F-0421", "F-0805"]
        assert {alert.found for alert in await world.alerts()} == {1}

    play(tmp_path, story)


def test_fault__connector_works_again__is_cleared(tmp_path: Path) -> None:
    """A fault of a charger is over once its connector shows none for a while, and not before."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        await world.fault(device, "F-0421")
        await world.frame(device, state="fault")
        await world.pass_time(20, device)
        await world.frame(device, state="idle")
        await world.pass_time(10, device)
        [alert] = await world.alerts()
        assert alert.condition is Condition.PRESENT
        await world.pass_time(60, device)
        await world.frame(device, state="idle")
        await world.pass_time(5, device)
        [alert] = await world.alerts()
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


@pytest.mark.usefixtures("database_kind")
def test_heartbeat_code__no_event__is_an_alert_that_ends_with_it(tmp_path: Path) -> None:
    """A code that only heartbeats name is told after a while, and over when they no longer do."""

    async def story(world: DetectionWorld) -> None:
        site_id = await world.add_site()
        silent, told = await world.add_device(site_id), await world.add_device(site_id)
        await world.heartbeat(silent, 411)
        await world.heartbeat(told, 411)
        await world.fault(told, "F-0411", 2)
        await world.pass_time(30, silent, told)
        assert await world.codes(silent) == ["F-0411"]
        assert await world.codes(told) == ["F-0411"]
        await world.heartbeat(silent, 0)
        await world.pass_time(30, silent, told)
        found = {alert.device_no: alert.condition for alert in await world.alerts()}
        assert found == {
            silent.device_no: Condition.CLEARED,
            told.device_no: Condition.PRESENT,
        }

    play(tmp_path, story)


def test_weld__three_frames_after_the_stop__is_found_without_the_charger(tmp_path: Path) -> None:
    """Voltage that stays after a stop is a weld; voltage that falls late is none."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        for connector_id in (1, 2):
            await world.frame(device, connector_id, state="charging", voltage=390.0, current=100.0)
        await world.pass_time(5, device)
        for connector_id in (1, 2):
            await world.event(device, EventType.STOP, connector_id)
        for k in range(4):
            await world.pass_time(5, device)
            await world.frame(device, 1, state="fault", voltage=388.0, current=0.1)
            late = 300.0 if k < 2 else 0.0
            await world.frame(device, 2, state="idle", voltage=late, current=0.1)
        await world.pass_time(40, device)
        [alert] = await world.alerts()
        assert (alert.code, alert.connector_id) == ("F-0101", 1)
        await world.frame(device, 1)
        await world.pass_time(5, device)
        [alert] = await world.alerts()
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


def test_fan__slow_for_ten_minutes__is_found_and_over_with_a_new_one(tmp_path: Path) -> None:
    """A fan that stays slow is an alert after ten minutes, and none once it is replaced."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        for minute in range(16):
            rpm = 1_300.0 if minute != 0 else 1_700.0
            await world.frame(device, health=ComponentHealth(cooling_fan_rpm=rpm))
            await world.pass_time(60, device, step_s=20)
            if minute == 8:
                assert not await world.alerts()
        assert await world.codes(device) == ["F-0601"]
        for _ in range(5):
            await world.frame(device, health=ComponentHealth(cooling_fan_rpm=1_780.0))
            await world.pass_time(60, device, step_s=20)
        [alert] = await world.alerts()
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


def test_configuration__drift__is_told_once_a_mismatch(tmp_path: Path) -> None:
    """A device that runs something else is an alert, however often it says so, until it agrees."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        right = await world.assign_profile(device)
        await world.heartbeat(device, running=right)
        await world.pass_time(600, device, step_s=60)
        wrong = right._replace(running_config_hash="0" * 64)
        for _ in range(3):
            await world.heartbeat(device, running=wrong)
            await world.pass_time(60, device)
        [alert] = await world.alerts()
        assert (alert.code, alert.found) == ("F-0512", 1)
        await world.heartbeat(device, running=right)
        await world.pass_time(10, device)
        [alert] = await world.alerts()
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


def test_outage__whole_site__is_one_alert_until_it_is_over(tmp_path: Path) -> None:
    """A site that goes silent is one alert that lists its chargers; it ends when they are back."""

    async def story(world: DetectionWorld) -> None:
        site_id, other_id = await world.add_site(), await world.add_site()
        lost = [await world.add_device(site_id) for _ in range(4)]
        other = await world.add_device(other_id)
        await world.pass_time(150, *lost, other)
        await world.pass_time(240, other)
        [alert] = await world.alerts()
        assert (alert.code, alert.severity.value, alert.site_id) == (
            "site_network",
            "high",
            site_id,
        )
        assert {one["device_id"] for one in alert.evidence["devices"]} == {
            device.device_id for device in lost
        }
        await world.pass_time(180, *lost[:3], other)
        assert await world.codes(lost[3]) == ["F-0301"]
        [outage] = [one for one in await world.alerts() if one.code == "site_network"]
        assert outage.condition is Condition.CLEARED

    play(tmp_path, story)


def test_silence__one_device__is_its_own_alert_until_it_is_back(tmp_path: Path) -> None:
    """One silent charger among others is F-0301, over when it is heard of."""

    async def story(world: DetectionWorld) -> None:
        site_id = await world.add_site()
        lost, *others = [await world.add_device(site_id) for _ in range(3)]
        await world.pass_time(150, lost, *others)
        await world.pass_time(200, *others)
        assert await world.codes() == ["F-0301"]
        await world.pass_time(30, lost, *others)
        [alert] = await world.alerts()
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


def test_grid__v2g_units_of_an_area__are_one_alert(tmp_path: Path) -> None:
    """Units within 25 km that lose sync together are the grid; one far away is its own matter."""

    async def story(world: DetectionWorld) -> None:
        sites = [
            await world.add_site(52.52, 13.40),
            await world.add_site(52.60, 13.30),
            await world.add_site(48.14, 11.58),
        ]
        units = [await world.add_device(site_id, "TP-DC180-V2G") for site_id in sites]
        for unit in units:
            await world.fault(unit, "F-0701")
            await world.pass_time(10, *units)
        await world.pass_time(60, *units)
        assert await world.codes() == ["F-0701", "grid"]
        assert await world.codes(units[2]) == ["F-0701"]

    play(tmp_path, story)


def test_session_end__by_a_fault__is_that_fault_alone(tmp_path: Path) -> None:
    """A session that a fault stopped is one matter, though its record comes first."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        await world.record(device, "fault", 1)
        await world.fault(device, "F-0411", 1)
        await world.pass_time(20, device)
        assert await world.codes() == ["F-0411"]

    play(tmp_path, story)


def test_device__goes_to_another_operator__leaves_nothing_behind(tmp_path: Path) -> None:
    """What was found at a device is over for the operator that it leaves, and not told the next."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        await world.fault(device, 421)
        await world.fault(device, "F-0701", 2)
        await world.look()
        await world.move_away(device)
        await world.pass_time(120, device)
        assert {alert.operator_id for alert in await world.alerts()} <= {world.operator_id}
        assert await world.conditions() == 0

    play(tmp_path, story)


def test_inbox__device_goes_before_anybody_looked__says_nothing_to_the_next_operator(
    tmp_path: Path,
) -> None:
    """Heat and heartbeats of the time before are not the next operator's alerts."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        await world.frame(device, temperature=95.0)
        await world.platform.diagnosing.detection.lookout.flush()
        await world.heartbeat(device, 411)
        world.clock.advance(1)
        await world.move_away(device)
        for _ in range(4):
            world.clock.advance(10)
            await world.heartbeat(device, 0)
            await world.look()
        found = await world.platform.database.read(store_alerts.list_by_no, range(1, 10))
        assert [(alert.operator_id, alert.code) for alert in found] == []
        assert await world.platform.diagnosing.detection.count_waiting() == 0

    play(tmp_path, story)


def test_fault__ever_new_codes__are_few_alerts(tmp_path: Path) -> None:
    """A charger that counts up its codes is some alerts and then one; known codes are told on."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        for number in range(3):
            for part in range(20):
                await world.fault(device, f"E{number}-{part}")
            await world.heartbeat(device, f"H{number}")
            await world.pass_time(30, device)
        await world.fault(device, 421)
        await world.pass_time(10, device)
        codes = await world.codes()
        assert "F-0421" in codes
        assert codes.count("fault") == 1
        assert len(codes) <= detectors.UNKNOWN_MOST + 2

    play(tmp_path, story)


@pytest.mark.parametrize("code", ["site_network", "grid", "firmware"])
def test_fault__named_as_what_lies_upstream__is_one_charger_s_and_ends(
    tmp_path: Path, code: str
) -> None:
    """A charger that calls its fault as the platform calls larger matters holds up nobody."""

    async def story(world: DetectionWorld) -> None:
        odd = await world.add_device(await world.add_site())
        device = await world.add_device(await world.add_site())
        await world.fault(odd, code)
        await world.fault(device, 421)
        for _ in range(10):
            await world.frame(odd)
            await world.frame(device)
            await world.pass_time(10, odd, device)
        detection = world.platform.diagnosing.detection
        await detection.firmware.judge_all(detection.desk, world.now_ms)
        found = {alert.code: alert.condition for alert in await world.alerts()}
        assert found == {code: Condition.CLEARED, "F-0421": Condition.CLEARED}

    play(tmp_path, story)


def test_inbox__an_item_that_cannot_be_judged__holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a detector fails on is left for a while and then tried again; the rest goes on."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        with monkeypatch.context() as patched:
            patched.setattr(detectors, "f_0805", broken)
            await world.record(device, "ev_disconnected", 1)
            await world.fault(device, 421, 2)
            await world.pass_time(20, device)
            assert await world.codes() == ["F-0421"]
            assert await world.platform.diagnosing.detection.count_waiting() == 1
        await world.pass_time(620, device, step_s=60)
        assert await world.codes() == ["F-0421", "F-0805"]

    play(tmp_path, story)


@pytest.mark.usefixtures("database_kind")
def test_session_end__told_by_event_and_record__is_one_finding(tmp_path: Path) -> None:
    """A charger that tells of an unexpected end itself is not contradicted or doubled."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        await world.fault(device, "F-0805", 1)
        await world.record(device, "ev_disconnected", 1)
        await world.record(device, "lock_failure", 2)
        await world.pass_time(10, device)
        await world.fault(device, "F-0805", 2)
        await world.pass_time(10, device)
        found = {alert.connector_id: (alert.code, alert.found) for alert in await world.alerts()}
        assert found == {1: ("F-0805", 1), 2: ("F-0805", 1)}

    play(tmp_path, story)

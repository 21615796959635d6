"""Firmware health from events to the alert, over a real store."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from tellus.alerts.model import Condition
from tellus.diagnostics.firmware_health import FirmwareHealth
from tellus.diagnostics.model_firmware import FirmwareVerdict
from tellus.firmware.model import Channel, Release
from tellus.fleet.directory import Device
from tellus.fleet.events import make_event
from tellus.fleet.model import EventType, StoredEvent
from tests.reliability.detection_world import TESTER, DetectionWorld

Story = Callable[[DetectionWorld], Awaitable[None]]
DAY_MS = 86_400_000


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


def happenings(
    world: DetectionWorld, device: Device, starts: int, faults: int
) -> list[StoredEvent]:
    """Starts of a device over some days, and starts that failed."""
    events = []
    for k in range(starts + faults):
        time_ms = world.now_ms - 3 * DAY_MS + k * 600_000
        kind = EventType.START if k < starts else EventType.FAULT
        data = {} if k < starts else {"fault_code": 421}
        place = (device.device_no, 1 + k % 2)
        events.append(make_event(place, kind, time_ms, data, world.now_ms))
    return events


async def add_release(world: DetectionWorld, version: str) -> None:
    """A stable release for the model."""
    release = Release(
        release_id=f"rel_{version}",
        models=("TP-DC180",),
        firmware_version=version,
        platform_build=None,
        url="https://example.com/image",
        sha256="0" * 64,
        size_bytes=1,
        channel=Channel.STABLE,
        notes=None,
        created_ms=world.now_ms,
        updated_ms=world.now_ms,
    )
    await world.platform.releases.add_release(release, TESTER)


async def add_fleet(
    world: DetectionWorld, *, bad: int, good: int, build: str = "3.0.1"
) -> list[Device]:
    """Devices on six sites; those with the bad build fail one start in twelve."""
    sites = [await world.add_site() for _ in range(6)]
    devices, events = [], []
    for k in range(bad + good):
        version = build if k < bad else "3.1.0"
        device = await world.add_device(sites[k % 6], firmware=version)
        devices.append(device)
        events += happenings(world, device, 55, 5 if k < bad else int(k % 9 == 0))
    for first in range(0, len(events), 500):
        await world.platform.events.report(events[first : first + 500])
    return devices


async def judge(world: DetectionWorld) -> None:
    """Let the platform compare versions, as it does every ten minutes."""
    detection = world.platform.diagnosing.detection
    await detection.detectors.take(world.now_ms)
    await detection.firmware.judge_all(detection.desk, world.now_ms)


def health(world: DetectionWorld) -> FirmwareHealth:
    """Firmware health as the platform has it."""
    found: FirmwareHealth = world.platform.diagnosing.detection.firmware
    return found


@pytest.mark.usefixtures("database_kind")
def test_bad_build__some_devices_at_some_sites__is_one_alert_that_says_what_to_do(
    tmp_path: Path,
) -> None:
    """The alert names version, devices, sites, rates and what to install; it ends with that."""

    async def story(world: DetectionWorld) -> None:
        await add_release(world, "3.1.0")
        devices = await add_fleet(world, bad=8, good=40)
        for _ in range(2):
            await judge(world)
        [alert] = [one for one in await world.alerts() if one.code == "firmware"]
        assert alert.key == "firmware:3.0.1:TP-DC180:F-0421"
        assert (alert.found, alert.severity.value, alert.device_no) == (1, "high", None)
        assert alert.text.startswith("Firmware 3.0.1 on TP-DC180, 8 devices on 6 sites: F-0421")
        assert "Upgrade to 3.1.0; do not replace contactors" in alert.text
        assert alert.evidence["starts"] == 8 * 60
        assert alert.evidence["faults"] == 40
        for device in devices[:8]:
            world.of(device).firmware_version = "3.1.0"
        await judge(world)
        [alert] = [one for one in await world.alerts() if one.code == "firmware"]
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


def test_bad_build__colon_in_its_name__is_one_alert_that_lasts(tmp_path: Path) -> None:
    """What chargers call their firmware may hold any mark: the alert lasts as long as it is so."""

    async def story(world: DetectionWorld) -> None:
        await add_fleet(world, bad=8, good=40, build="main:3.0.1")
        for _ in range(3):
            await judge(world)
        [alert] = [one for one in await world.alerts() if one.code == "firmware"]
        assert (alert.condition, alert.found) == (Condition.PRESENT, 1)

    play(tmp_path, story)


def test_bad_device__with_the_build_alone__is_its_own_alert_only(tmp_path: Path) -> None:
    """One device that fails half its starts is not the firmware that it runs."""

    async def story(world: DetectionWorld) -> None:
        sites = [await world.add_site() for _ in range(3)]
        for k in range(24):
            device = await world.add_device(sites[k % 3], firmware="3.0.1" if k < 6 else "3.1.0")
            faults = 40 if k == 0 else Random(k).choice((0, 0, 1))
            await world.platform.events.report(happenings(world, device, 60, faults))
        await judge(world)
        assert "firmware" not in await world.codes()
        rates = await health(world).list_rates(world.operator_id)
        [rate] = [one for one in rates if one.firmware_version == "3.0.1"]
        assert rate.verdict is FirmwareVerdict.NOT_CONCENTRATED

    play(tmp_path, story)


@pytest.mark.usefixtures("database_kind")
def test_counts__late_events__go_to_the_firmware_that_ran_then(tmp_path: Path) -> None:
    """What happened before an upgrade and is told after it counts for the version before."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site(), firmware="3.0.1")
        number = device.device_no
        start = make_event((number, 1), EventType.START, world.now_ms, {}, world.now_ms)
        await world.platform.events.report((start,))
        world.clock.advance(7_200)
        world.of(device).firmware_version = "3.1.0"
        again = make_event((number, 1), EventType.START, world.now_ms, {}, world.now_ms)
        before_ms = world.now_ms - 3_600_000
        late = make_event(
            (number, 1), EventType.FAULT, before_ms, {"fault_code": 421}, world.now_ms
        )
        await world.platform.events.report((again, late))
        rates = await health(world).list_rates(world.operator_id)
        found = {one.firmware_version: (one.starts, one.faults) for one in rates}
        assert found == {"3.0.1": (2, 1), "3.1.0": (1, 0)}

    play(tmp_path, story)


def test_counts__records_without_start_events__are_starts(tmp_path: Path) -> None:
    """A charger that sends records but no events has started as often as it has records."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site(), firmware="3.0.1")
        for _ in range(3):
            await world.record(device, "ev_full")
            world.clock.advance(60)
        await world.fault(device, 421)
        [rate] = await health(world).list_rates(world.operator_id)
        assert (rate.starts, rate.faults) == (4, 1)

    play(tmp_path, story)

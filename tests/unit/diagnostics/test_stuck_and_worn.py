"""What the platform finds beside the dictionary, and what it makes of facts that come late."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tellus.alerts.model import AlertSeverity, Condition
from tellus.diagnostics.rules_stuck import Standing, Turn, list_attempts, stuck_preparing
from tellus.diagnostics.rules_wear import contactor_wear, worn_ratio
from tellus.fleet.model import EventType
from tellus.fleet.model_health import ComponentHealth
from tellus.health.model import Extremes
from tellus.health.model_view import Forecast, Rate, RatedBy, RatedLife, Wear
from tests.reliability.detection_world import DetectionWorld

NOW_MS = 1_790_000_000_000
MINUTE_MS, DAY_MS = 60_000, 86_400_000
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


# ------------------------------------------------------------------ stuck in preparing

SHORT = {"in": "plug_in", "out": "plug_out", "auth": "auth_ok", "go": "start", "bad": "fault"}


def turns(text: str) -> list[Turn]:
    """Turns as ``in-20 auth-19 out-10``: an event and the minutes before now."""
    found = []
    for word in text.split():
        kind, minutes = word.split("-")
        found.append(Turn(SHORT[kind], NOW_MS - round(float(minutes) * MINUTE_MS)))
    return found


HUNG = "in-90 auth-89.9 out-80"


@pytest.mark.parametrize(
    ("text", "vehicles"),
    [
        (f"{HUNG} in-6 auth-5.9", 2),
        (f"{HUNG} in-70 auth-69 out-60 in-6 auth-5.5", 3),
        ("in-6 auth-5.9", 0),
        (f"{HUNG} in-6 auth-4.9", 0),
        (f"{HUNG} in-6", 0),
        (f"{HUNG} in-70 auth-69.9 go-69 out-60 in-6 auth-5.9", 0),
        (f"{HUNG} in-70 out-60 in-6 auth-5.9", 2),
        ("in-90 auth-89 out-88.5 in-6 auth-5.9", 0),
        ("in-90 auth-89 bad-88.9 out-80 in-6 auth-5.9", 0),
        (f"{HUNG} in-6 auth-5.9 go-5.8", 0),
        (f"{HUNG} in-6 auth-5.9 out-1", 0),
        (f"{HUNG} auth-8 in-6", 2),
        (f"{HUNG} auth-30 in-6", 0),
        ("", 0),
    ],
)
def test_stuck_preparing__turns__tell(text: str, vehicles: int) -> None:
    """Two vehicles in a row that were authenticated do not charge, the last for five minutes."""
    verdict = stuck_preparing(Standing(turns(text), "preparing", NOW_MS))
    assert verdict.present is (True if vehicles else None)
    if vehicles:
        assert verdict.evidence["vehicles"] == vehicles


def test_stuck_preparing__connector_that_does_something_else__is_not_stuck() -> None:
    """Only a connector that is in preparing now can be stuck in it."""
    history = turns(f"{HUNG} in-6 auth-5.9")
    for state in (None, "paused", "finishing"):
        assert stuck_preparing(Standing(history, state, NOW_MS)).present is None


def test_list_attempts__lost_plug_out__is_another_vehicle() -> None:
    """Where an unplugging was not told of, the next plug-in begins another stay."""
    attempts = list_attempts(turns("in-90 auth-89 in-6 auth-5"))
    assert [attempt.authenticated_ms is not None for attempt in attempts] == [True, True]


def test_connector__two_vehicles_hang__is_one_alert_until_somebody_charges(tmp_path: Path) -> None:
    """The first vehicle that hangs is nobody's alarm; with the second the connector is told of."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site(), model="TP-AC22")

        async def hang() -> None:
            await world.event(device, EventType.PLUG_IN)
            await world.event(device, EventType.AUTH_OK)
            for _ in range(6):
                await world.frame(device, detail="preparing")
                await world.pass_time(60, device, step_s=20)

        await hang()
        assert not await world.alerts()
        await world.event(device, EventType.PLUG_OUT)
        await world.frame(device)
        await world.pass_time(600, device, step_s=60)
        await hang()
        [alert] = await world.alerts()
        assert (alert.code, alert.connector_id) == ("stuck_preparing", 1)
        assert alert.runbook == "connector-stuck-in-preparing"
        assert alert.severity is AlertSeverity.MEDIUM
        await world.pass_time(900, device, step_s=60)
        assert [one.found for one in await world.alerts()] == [1]
        await world.event(device, EventType.START)
        await world.frame(device, state="charging", voltage=230.0, current=16.0)
        await world.pass_time(10, device)
        [alert] = await world.alerts()
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


def test_connector__vehicle_without_authentication__may_wait(tmp_path: Path) -> None:
    """Cars that stand in a depot for hours until somebody starts them are no matter."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        for _ in range(2):
            await world.event(device, EventType.PLUG_IN)
            for _ in range(70):
                await world.frame(device, detail="preparing")
                await world.pass_time(60, device, step_s=60)
            await world.event(device, EventType.PLUG_OUT)
            await world.frame(device)
        assert not await world.alerts()
        assert await world.platform.diagnosing.detection.count_waiting() == 0

    play(tmp_path, story)


# ------------------------------------------------------------------ worn contactors


def worn(cycles: int, per_day: float = 10.0, earliest_days: float | None = None) -> Wear:
    """A contactor of 100,000 cycles."""
    forecast = None
    if earliest_days is not None:
        earliest_ms = NOW_MS + round(earliest_days * DAY_MS)
        forecast = Forecast(earliest_ms + 5 * DAY_MS, earliest_ms, None)
    rate = Rate(per_day, per_day / 2, 2 * per_day, 20)
    return Wear(cycles, NOW_MS, RatedLife(100_000, RatedBy.MODEL), rate, forecast, None, [])


@pytest.mark.parametrize(
    ("wear", "mark"),
    [
        (worn(97_000, earliest_days=89), "later, forecast"),
        (worn(97_000, earliest_days=91), None),
        (worn(97_000, earliest_days=29), "soon, forecast"),
        (worn(98_000, earliest_days=400), "later, forecast"),
        (worn(98_000), "later"),
        (worn(97_999), None),
        (worn(100_000), "soon"),
        (worn(79_999, earliest_days=3), None),
        (worn(59_700, earliest_days=2_000), None),
    ],
)
def test_contactor_wear__forecast_and_share__tell(wear: Wear, mark: str | None) -> None:
    """Within 90 days by the earliest day of the forecast, or the last 2% of the rated life."""
    verdict = contactor_wear({"contactor": wear}, NOW_MS)
    assert (verdict.evidence.get("mark") if verdict.present else None) == mark


def test_contactor_wear__unknown__says_nothing() -> None:
    """Without a counter or a rated life there is nothing to say."""
    unrated = worn(99_000)._replace(rated=None)
    assert contactor_wear({}, NOW_MS).present is None
    assert contactor_wear({"contactor": unrated}, NOW_MS).present is None


def test_worn_ratio__rating__is_the_chargers_own_first() -> None:
    """The rated life that the charger reports counts before that of units of its kind."""
    cycles = {"contactor_cycles": Extremes(10, 20, 30_000)}
    assert worn_ratio(cycles, 60_000) == 0.5
    own = cycles | {"contactor_max_cycles": Extremes(40_000, 40_000, 40_000)}
    assert worn_ratio(own, 60_000) == 0.75
    assert worn_ratio({}, 60_000) is None


def test_contactor__near_its_end__is_one_alert_until_it_counts_anew(tmp_path: Path) -> None:
    """The AC unit is told of, the DC unit with as many cycles is not; a new contactor ends it."""

    async def story(world: DetectionWorld) -> None:
        site_id = await world.add_site()
        worn_unit = await world.add_device(site_id, model="TP-AC22")
        decoy = await world.add_device(site_id, model="TP-DC180")

        async def live(minutes: int, cycles: int) -> None:
            for _ in range(minutes):
                await world.frame(worn_unit, health=ComponentHealth(contactor_cycles=cycles))
                await world.frame(decoy, health=ComponentHealth(contactor_cycles=59_740))
                await world.pass_time(60, worn_unit, decoy, step_s=30)

        await live(80, 59_740)
        [alert] = await world.alerts()
        assert (alert.code, alert.device_no) == ("contactor_wear", worn_unit.device_no)
        assert (alert.severity, alert.found) == (AlertSeverity.LOW, 1)
        assert "59740 of 60000" in alert.text
        await live(40, 3)
        [alert] = await world.alerts()
        assert alert.condition is Condition.CLEARED

    play(tmp_path, story)


# ------------------------------------------------------------------ what comes late


def test_fault__told_late__is_one_matter_of_the_device(tmp_path: Path) -> None:
    """What a charger tells after hours is one alert, however many connectors had it how often."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        for hours in range(2, 26, 4):
            for connector_id in (1, 2):
                await world.fault(device, 421, connector_id, ago_ms=hours * 3_600_000)
        await world.pass_time(5, device)
        [alert] = await world.alerts()
        assert (alert.code, alert.connector_id, alert.found) == ("F-0421", 0, 12)
        assert "told late" in alert.text

    play(tmp_path, story)


def test_fault__of_long_ago__is_history(tmp_path: Path) -> None:
    """What is older than a week opens no alert; it counts for its firmware, and heartbeats tell."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        await world.fault(device, 421, ago_ms=8 * DAY_MS)
        await world.pass_time(5, device)
        assert not await world.alerts()
        [rate] = await world.platform.diagnosing.detection.firmware.list_rates(world.operator_id)
        assert (rate.code, rate.faults) == ("F-0421", 1)
        await world.heartbeat(device, 421)
        await world.pass_time(30, device)
        assert await world.codes(device) == ["F-0421"]

    play(tmp_path, story)


def test_fault__clock_that_is_behind__is_not_late(tmp_path: Path) -> None:
    """A charger whose clock is days behind tells of what is happening now."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        world.of(device).clock_offset_ms = -9 * DAY_MS
        await world.fault(device, 421, ago_ms=9 * DAY_MS)
        await world.pass_time(5, device)
        [alert] = await world.alerts()
        assert (alert.code, alert.connector_id) == ("F-0421", 1)

    play(tmp_path, story)


def test_fault__as_the_charger_comes_up__has_the_runbook_of_that(tmp_path: Path) -> None:
    """F-0421 at a start of a session is a stuck connector, before any plug-in a power-up."""

    async def story(world: DetectionWorld) -> None:
        site_id = await world.add_site()
        coming, used = await world.add_device(site_id), await world.add_device(site_id)
        await world.pass_time(10, coming, used)
        await world.event(used, EventType.PLUG_IN)
        for device in (coming, used):
            assert world.of(device).online_since_ms is not None
            await world.fault(device, 421)
        await world.pass_time(5, coming, used)
        found = {alert.device_no: alert.runbook for alert in await world.alerts()}
        assert found == {
            coming.device_no: "charger-faulting-on-power-up",
            used.device_no: "connector-stuck-in-preparing",
        }

    play(tmp_path, story)


def test_cabinet__told_by_each_connector__is_one_matter(tmp_path: Path) -> None:
    """Both connectors of a hot cabinet tell of it; it is one alert."""

    async def story(world: DetectionWorld) -> None:
        device = await world.add_device(await world.add_site())
        for connector_id in (1, 2):
            await world.fault(device, 204, connector_id)
        await world.pass_time(5, device)
        [alert] = await world.alerts()
        assert (alert.code, alert.connector_id, alert.found) == ("F-0204", 0, 2)

    play(tmp_path, story)

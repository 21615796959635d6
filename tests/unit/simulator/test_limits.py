from __future__ import annotations

import math

import pytest

from tellus.simulator.device import ChargerTwin
from tellus.simulator.limits import PowerLimit, lowest_kw, next_end_ms
from tellus.simulator.messages import Kind, utc_text
from tellus.simulator.stages import Stage
from tests.unit.simulator.builders import START_MS, bodies, build_twin, command


def charging(model: str = "TP-DC180", seed: int = 1) -> ChargerTwin:
    """Return a charger in the middle of a charge that a remote start began."""
    twin = build_twin(model, "quiet", seed)
    twin.execute(command("start_charging", "cmd_s", connector_id=1), 1, START_MS)
    twin.advance(START_MS + 120_000)
    assert twin.connectors[0].stage is Stage.CHARGING
    twin.take()
    return twin


def limit(twin: ChargerTwin, *limits: tuple[float, float], command_id: str = "cmd_l") -> None:
    """Set limits of so many kW for so many seconds."""
    items = [
        {
            "control_id": f"ctl_{number}",
            "power_limit_kw": limit_kw,
            "until": utc_text(twin.time_ms + round(1000 * for_s)),
        }
        for number, (limit_kw, for_s) in enumerate(limits)
    ]
    order = command("set_power_limit", command_id, connector_id=1, limits=items)
    twin.execute(order, 1, twin.time_ms)


def power_after(twin: ChargerTwin, wait_s: float) -> float:
    """Let time pass and return the power of connector 1."""
    twin.advance(twin.time_ms + round(1000 * wait_s))
    return twin.connectors[0].power.flow.power_kw


def test_limits__several_at_once__the_lowest_that_runs_holds() -> None:
    """Ended limits do not count; none means infinity."""
    limits = (PowerLimit("a", 10.0, 100), PowerLimit("b", 5.0, 50))
    assert [lowest_kw(limits, at) for at in (0, 49, 50, 100)] == [5.0, 5.0, 10.0, math.inf]
    assert [next_end_ms(limits, at) for at in (0, 50)] == [50, 100]


def test_limit__while_charging__holds_and_is_lifted_by_itself() -> None:
    """The lowest limit holds until its end, then the next, then none: without another command."""
    twin = charging()
    limit(twin, (15.0, 600.0), (8.0, 300.0))
    assert power_after(twin, 10) == pytest.approx(8.0, rel=0.01)
    assert power_after(twin, 280) == pytest.approx(8.0, rel=0.01)
    assert power_after(twin, 30) == pytest.approx(15.0, rel=0.01)
    assert power_after(twin, 300) > 15.5
    reports = bodies(twin.outbox, Kind.COMMAND_STATUS)
    assert [one["status"] for one in reports] == ["accepted", "completed"]
    assert reports[1]["details"] == {"active_limits": 2, "power_limit_kw": 8.0}


def test_limit__of_zero__pauses_without_ending_the_session() -> None:
    """Zero pauses: the state stays charging, the detail is paused, and it goes on afterwards."""
    for model in ("TP-DC180", "TP-AC22"):
        twin = charging(model)
        limit(twin, (0.0, 60.0))
        assert power_after(twin, 20) == 0.0
        frame = [one for one in bodies(twin.outbox, Kind.TELEMETRY) if one["connector_id"] == 1][-1]
        assert (frame["state"], frame["detail_state"]) == ("charging", "paused")
        assert power_after(twin, 60) > 1.0
        assert bodies(twin.outbox, Kind.RECORD) == []


def test_limit__newer_command__replaces_the_whole_set() -> None:
    """A newer set supersedes the older; an empty one lifts every limit."""
    twin = charging()
    limit(twin, (5.0, 900.0))
    assert power_after(twin, 10) == pytest.approx(5.0, rel=0.01)
    limit(twin, (20.0, 900.0), command_id="cmd_2")
    assert power_after(twin, 10) == pytest.approx(20.0, rel=0.01)
    limit(twin, command_id="cmd_3")
    assert power_after(twin, 20) > 20.5


def test_limit__before_a_session__holds_from_its_first_second() -> None:
    """A limit binds a connector, not a session."""
    twin = build_twin("TP-DC180", "quiet")
    limit(twin, (15.0, 3600.0))
    twin.execute(command("start_charging", "cmd_s", connector_id=1), 1, START_MS)
    twin.advance(START_MS + 600_000)
    frames = [one for one in bodies(twin.outbox, Kind.TELEMETRY) if one["connector_id"] == 1]
    assert max(one["power"] for one in frames) == pytest.approx(15.0, rel=0.01)


def test_limit__charger_offline_at_its_end__is_lifted_all_the_same() -> None:
    """Each limit ends when it said it would, with nobody there to say so."""
    twin = charging()
    limit(twin, (8.0, 120.0), (15.0, 300.0))
    assert power_after(twin, 10) == pytest.approx(8.0, rel=0.01)
    twin.power_state.drop_link(twin.time_ms, None)
    assert power_after(twin, 100) == pytest.approx(8.0, rel=0.01)
    assert power_after(twin, 40) == pytest.approx(15.0, rel=0.01)
    assert power_after(twin, 200) > 15.5
    assert twin.power_state.is_dark


@pytest.mark.parametrize("way", ["reboot", "power_cut"])
def test_limit__charger_restarted_meanwhile__holds_what_still_runs(way: str) -> None:
    """Over a restart of 90 s the lower limit ends; what is left of the higher holds after it."""
    twin = charging()
    limit(twin, (8.0, 60.0), (15.0, 400.0), (12.0, 0.0))
    assert power_after(twin, 5) == pytest.approx(8.0, rel=0.01)
    if way == "reboot":
        twin.execute(command("reboot", "cmd_r"), 1, twin.time_ms)
    else:
        twin.power_state.cut_power(twin.time_ms)
        twin.settle()
    assert power_after(twin, 60) == 0.0
    assert power_after(twin, 60) == 0.0
    twin.execute(command("start_charging", "cmd_2", connector_id=1), 1, twin.time_ms)
    assert power_after(twin, 60) == pytest.approx(15.0, rel=0.01)
    assert power_after(twin, 220) > 15.5


def test_limit__power_cut_before_it_was_confirmed__is_confirmed_after_the_boot() -> None:
    """A limit that was accepted is kept over a power cut, and so it completes."""
    twin = charging()
    limit(twin, (8.0, 900.0))
    twin.power_state.cut_power(twin.time_ms)
    twin.settle()
    power_after(twin, 100)
    said = [one for one in bodies(twin.outbox, Kind.COMMAND_STATUS) if one["command_id"] == "cmd_l"]
    assert [one["status"] for one in said] == ["accepted", "completed"]
    assert twin.connectors[0].limit_kw == 8.0


@pytest.mark.parametrize(
    "limits",
    [
        None,
        ["x"],
        [{"power_limit_kw": -1, "until": "2030-01-01T00:00:00Z"}],
        [{"power_limit_kw": 5, "until": "soon"}],
        [{"until": "2030-01-01T00:00:00Z"}],
    ],
)
def test_limit__that_is_not_understood__is_rejected(limits: object) -> None:
    """A malformed set has no effect."""
    twin = charging()
    twin.execute(command("set_power_limit", connector_id=1, limits=limits), 1, START_MS)
    assert [one["status"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)] == ["rejected"]
    assert twin.connectors[0].bounds.limits == ()

"""Faults of sessions, links and configuration: they show in order, and end as they should."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tellus.simulator.injection import cure, inject
from tellus.simulator.messages import Kind
from tellus.simulator.profile import values_hash
from tellus.simulator.stages import Stage
from tests.unit.simulator.builders import bodies, build_twin
from tests.unit.simulator.scenes import (
    charging,
    codes,
    come,
    discharging,
    faults,
    frames,
    health,
    last_status,
    order_discharge,
    story,
    tell,
    wait,
)


def test_reset_connector__vehicle_that_nobody_authorised__goes_on_waiting() -> None:
    """Where the operator alone starts charges, a reset starts none."""
    twin = build_twin("TP-AC22", "depot")
    come(twin)
    wait(twin, 60)
    tell(twin, "reset_connector", connector_id=1)
    wait(twin, 60)
    assert last_status(twin)["status"] == "completed"
    assert twin.connectors[0].stage is Stage.PLUGGED


def power_of(twin_frames: list[dict]) -> list[float]:
    """Return the powers of frames."""
    return [one["power"] for one in twin_frames]


@pytest.mark.parametrize("variant", ["grid", "pll", "weld-delay", "iso15118"])
def test_f_0701__while_discharging__goes_straight_to_fault_and_resyncs(variant: str) -> None:
    """Discharging then fault, power to 0 within one frame, health 30 points down, lost; 60 s."""
    twin = discharging()
    sound_pct = health(twin)[-1]["inverter_health_pct"]
    twin.take()
    inject(twin, twin.connectors[0], "F-0701", variant)
    wait(twin, 30)
    assert codes(twin) == ["F-0701"]
    assert power_of(frames(twin))[0] == 0.0
    assert {one["state"] for one in frames(twin)} == {"fault"}
    first = health(twin)[0]
    assert first["inverter_sync_status"] == "lost"
    assert first["inverter_health_pct"] <= sound_pct - 30.0 + 0.1
    assert faults(twin)[0]["details"]["cause"] == variant
    wait(twin, 40)
    assert twin.fault_code == 0
    assert health(twin)[-1]["inverter_sync_status"] == "unsynced"


def test_f_0701__grid__passes_and_the_rest_stays() -> None:
    """After an excursion of the grid the next discharge works; a drifting PLL fails it again."""
    for variant, again in (("grid", False), ("pll", True)):
        twin = discharging()
        inject(twin, twin.connectors[0], "F-0701", variant)
        wait(twin, 120)
        twin.take()
        tell(twin, "discharge", "cmd_2", connector_id=1, discharge_power=20.0)
        wait(twin, 120)
        assert (codes(twin) == ["F-0701"]) is again


@pytest.mark.parametrize(("version", "vehicle", "fails"), [
    ("4.0.0", "drossone-van", True),
    ("4.1.0", "drossone-van", False),
    ("4.0.0", "saloon-400", False),
])  # fmt: skip
def test_f_0701__old_build_and_certain_vans__fails_until_the_upgrade(
    version: str, vehicle: str, *, fails: bool
) -> None:
    """Build 4.0.0 loses the grid with these vans alone; 4.1.0 does not."""
    twin = build_twin("TP-DC180-V2G", "quiet", firmware_version=version)
    order_discharge(twin, vehicle)
    wait(twin, 120)
    assert (codes(twin) == ["F-0701"]) is fails


@pytest.mark.parametrize("variant", ["soc", "maintenance", "not-certified", "time-of-day"])
def test_f_0702__vehicle_refuses__no_negative_power_ever(variant: str) -> None:
    """Accepted, never discharging, an event with the refusal code, then the command failed."""
    twin = build_twin("TP-DC180-V2G", "quiet")
    inject(twin, twin.connectors[0], "F-0702", variant)
    order_discharge(twin)
    wait(twin, 120)
    statuses = [one["status"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)]
    assert statuses == ["accepted", "failed"]
    assert codes(twin) == ["F-0702"]
    assert faults(twin)[0]["refusal_code"] in {
        "soc_too_low", "maintenance_mode", "not_certified", "time_of_day",
    }  # fmt: skip
    assert min(power_of(frames(twin))) == 0.0
    assert "discharging" not in {one["state"] for one in frames(twin)}
    assert twin.fault_code == 0


@pytest.mark.parametrize(("variant", "reason"), [
    ("unplug", "ev_disconnected"),
    ("network", "communication_lost"),
    ("bms", "ev_fault"),
    ("lock", "lock_failure"),
])  # fmt: skip
def test_f_0805__unexpected_end__the_record_says_why_and_still_adds_up(
    variant: str, reason: str
) -> None:
    """Fault, stop, record with reason and details; a vehicle torn away is gone before the stop."""
    twin = charging()
    twin.take()
    inject(twin, twin.connectors[0], "F-0805", variant)
    wait(twin, 1)
    expected = ["plug_out"] * (variant == "unplug") + ["fault", "stop", "record"]
    assert story(twin)[: len(expected)] == expected
    assert story(twin).count("plug_out") <= 1
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert record["stop_reason"] == reason
    assert record["details"]["cause"] == variant
    assert record["energy"] == pytest.approx(record["meter_end"] - record["meter_start"], abs=1e-6)
    assert record["energy"] > 0.5
    wait(twin, 60)
    assert twin.fault_code == 0


def test_f_0301__partition__keeps_silent_and_comes_back_with_everything() -> None:
    """Nothing is heard while sessions go on; what was said meanwhile has its own time."""
    twin = charging()
    inject(twin, twin.connectors[0], "F-0301", strength=300.0)
    wait(twin, 60)
    assert twin.power_state.is_dark
    assert twin.connectors[0].power.flow.power_kw > 0
    wait(twin, 300)
    assert not twin.power_state.is_dark
    assert twin.power_state.needs_heartbeat
    times = [one["timestamp"] for one in frames(twin)]
    assert times == sorted(times)


@pytest.mark.parametrize("reconnects", [5, 6, 30])
def test_f_0302__storm__reconnects_every_twenty_seconds_as_often_as_asked(reconnects: int) -> None:
    """The link is lost and built up again exactly so often, every 20 s, and then is stable."""
    twin = build_twin("TP-AC22", "quiet")
    inject(twin, twin.connectors[0], "F-0302", strength=float(reconnects))
    dark = []
    for _ in range(60 * 12):
        wait(twin, 1)
        dark.append(twin.power_state.is_dark)
    returns = [index for index, (a, b) in enumerate(pairwise(dark)) if a and not b]
    assert len(returns) == reconnects
    assert {b - a for a, b in pairwise(returns)} == {20}


def test_f_0302__cured__ends_at_once() -> None:
    """The storm can be ended."""
    twin = build_twin("TP-AC22", "quiet")
    inject(twin, twin.connectors[0], "F-0302")
    wait(twin, 45)
    cure(twin, twin.connectors[0], "F-0302")
    wait(twin, 10)
    seen = set()
    for _ in range(120):
        wait(twin, 1)
        seen.add(twin.power_state.is_dark)
    assert seen == {False}


def test_f_0512__local_override__halves_the_power_until_the_profile_is_applied_again() -> None:
    """The hash differs and power is below expected; with the profile both are as they were."""
    twin = charging("TP-DC60", vehicle="city-two-phase")
    profile = {"config_profile_id": "cfg_1", "running_config_hash": "abc", "values": {"led": "on"}}
    tell(twin, "apply_config_profile", "cmd_1", **profile)
    before_kw = twin.connectors[0].power.flow.power_kw
    assert (twin.profile.profile_id, twin.profile.config_hash) == ("cfg_1", "abc")
    inject(twin, twin.connectors[0], "F-0512")
    wait(twin, 30)
    assert twin.profile.profile_id == "cfg_1"
    assert twin.profile.config_hash != "abc"
    assert twin.connectors[0].power.flow.power_kw <= 30.0 < before_kw
    tell(twin, "apply_config_profile", "cmd_2", **profile)
    wait(twin, 30)
    assert twin.profile.config_hash == "abc"
    assert twin.connectors[0].power.flow.power_kw == pytest.approx(before_kw, rel=0.1)


def test_f_0512__interrupted_push__shows_another_profile() -> None:
    """A push that broke off leaves an id and a hash that nobody has assigned."""
    twin = build_twin()
    known = (twin.profile.profile_id, twin.profile.config_hash)
    inject(twin, twin.connectors[0], "F-0512", "interrupted")
    assert twin.profile.profile_id != known[0]
    assert twin.profile.config_hash != known[1]
    assert twin.power_state.needs_heartbeat
    cure(twin, twin.connectors[0], "F-0512")
    assert (twin.profile.profile_id, twin.profile.config_hash) == known


def test_profile__values_in_any_order__have_one_hash() -> None:
    """The digest is of the values, not of their order."""
    assert values_hash({"a": 1, "b": [2]}) == values_hash({"b": [2], "a": 1})


@pytest.mark.parametrize("variant", ["connector", "contactor", "vehicle", "auth"])
def test_stall__every_variant__stays_in_preparing_until_its_own_remedy(variant: str) -> None:
    """A reset helps the connector, stop and start the contactor, another car the vehicle."""
    twin = build_twin("TP-AC22", "quiet")
    inject(twin, twin.connectors[0], "stall", variant)
    come(twin)
    wait(twin, 600)
    late = frames(twin)[5:]
    assert {one.get("detail_state") for one in late} == {"preparing"}
    assert ("auth_ok" in story(twin)) is (variant != "auth")
    if variant == "connector":
        tell(twin, "reset_connector", connector_id=1)
    elif variant == "contactor":
        for turn in range(6):
            tell(twin, "stop_charging", f"stop_{turn}", connector_id=1)
            tell(twin, "start_charging", f"start_{turn}", connector_id=1)
            wait(twin, 30)
            if twin.connectors[0].session is not None:
                break
    elif variant == "vehicle":
        twin.connectors[0].send_away(twin.time_ms)
        twin.settle()
        come(twin)
    else:
        cure(twin, twin.connectors[0], "stall")
    wait(twin, 60)
    assert twin.connectors[0].stage is Stage.CHARGING

"""The parts that wear: heat, fans, contactors, insulation, inverters; and what they report."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.simulator.cabinet import Cabinet
from tellus.simulator.climate import Climate
from tellus.simulator.contactor import Contactor
from tellus.simulator.defects import defect_ratio, version_key
from tellus.simulator.fan import Fan, fan_status
from tellus.simulator.figures import default_figures
from tellus.simulator.inverter import harmonic_distortion_pct
from tellus.simulator.isolation import Isolation
from tellus.simulator.messages import Kind
from tellus.simulator.thermal import derating_ratio
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin
from tests.unit.simulator.scenes import charging, tell, wait

WARM_MS = 15 * HOUR_MS


class StillAir(Climate):
    """Air that is as warm by night as by day."""

    def air_c(self, now_ms: int) -> float:
        """Return the mean."""
        return self._mean_c


def cabinet(air_c: float, model: str = "TP-DC180", fan_ratio: float = 1.0) -> Cabinet:
    """Return a cabinet at a constant air temperature, with a new fan that turns so fast."""
    kind = default_figures().model(model)
    built = Cabinet(kind, StillAir(air_c, 0), Random(1), WARM_MS)
    if built.fan is not None:
        built.fan.replace(WARM_MS)
        if fan_ratio < 1.0:
            built.fan.decline(WARM_MS - 2, 1, fan_ratio)
    return built


def run(built: Cabinet, power_kw: float, span_s: int, step_s: int = 5) -> list[float]:
    """Return the temperatures under a constant power."""
    shown = []
    for _ in range(span_s // step_s):
        built.advance(built.time_ms + 1000 * step_s, power_kw)
        shown.append(built.temperature_c)
    return shown


def test_cabinet__full_load_at_35_degrees__ends_as_documented() -> None:
    """60 °C with a sound fan; 78.5 °C with one at half speed, which is past the critical 75 °C."""
    assert run(cabinet(35.0), 180.0, 5 * 3600)[-1] == pytest.approx(60.0, abs=0.1)
    assert run(cabinet(35.0, fan_ratio=0.5), 180.0, 8 * 3600)[-1] == pytest.approx(78.5, abs=0.3)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-10.0, 40.0),
    st.lists(st.tuples(st.floats(0.0, 180.0), st.integers(5, 3_600)), min_size=1, max_size=8),
    st.floats(0.1, 1.0),
)
def test_cabinet__any_load__stays_within_its_steady_states(
    air_c: float, loads: list[tuple[float, int]], fan_ratio: float
) -> None:
    """Never cooler than the air, never hotter than the steady state of the heaviest load."""
    built = cabinet(air_c, fan_ratio=fan_ratio)
    heaviest = max(power_kw for power_kw, _ in loads)
    rise_k = 25.0 * built.resistance_factor(built.time_ms) * built.loss_ratio(heaviest)
    for power_kw, span_s in loads:
        for shown_c in run(built, power_kw, span_s):
            assert air_c - 1e-6 <= shown_c <= air_c + rise_k + 0.2


def test_cabinet__hottest_case__takes_two_minutes_from_sixty_to_critical() -> None:
    """Whatever fails, its heat capacity keeps F-0204 two minutes away from 60 °C."""
    built = cabinet(40.0, fan_ratio=0.1)
    built.vents_factor = 3.0
    built.temperature_c = 60.0
    shown = run(built, 180.0, 1_200, 5)
    assert 5 * next(index for index, one in enumerate(shown) if one > 75.0) >= 120


def test_derating__over_twenty_kelvin__is_continuous_and_falls() -> None:
    """Whole up to the warning, one half 10 K above, nothing 20 K above, without a jump."""
    assert [derating_ratio(one) for one in (0.0, 10.0, 20.0, 30.0)] == [1.0, 0.5, 0.0, 0.0]
    ratios = [derating_ratio(step / 100.0) for step in range(2_500)]
    assert all(0.0 <= a - b <= 0.00051 for a, b in pairwise(ratios))


def test_fan__new_worn_and_declining__shows_its_speed_within_two_percent() -> None:
    """0.3 % in 1,000 hours; the words follow 85 % and 50 % of 1800."""
    fan = Fan(Random(1), 0)
    assert all(1764 <= fan.reading_rpm(0) <= 1836 for _ in range(200))
    assert fan.health(10_000 * HOUR_MS) == pytest.approx(0.97)
    fan.decline(0, 100 * HOUR_MS, 0.4)
    healths = [fan.health(hour * HOUR_MS) for hour in range(150)]
    assert all(a >= b for a, b in pairwise(healths))
    assert healths[-1] == pytest.approx(0.4)
    assert [fan_status(one) for one in (1800, 1530, 1529, 900, 899)] == [
        "ok", "ok", "warning", "warning", "fault",
    ]  # fmt: skip


def test_contactor__hazard_of_a_weld__grows_with_wear_and_current() -> None:
    """1e-7 at 80 % of its life and rated current, 5 times that at the end, a quarter at half."""
    model = default_figures().model("TP-DC180")
    contactor = Contactor(model, Random(1), 80_000)
    assert contactor.weld_hazard(400.0) == pytest.approx(1e-7)
    assert contactor.weld_hazard(200.0) == pytest.approx(0.25e-7)
    contactor.cycles = 100_000
    assert contactor.weld_hazard(400.0) == pytest.approx(4.95e-7, rel=0.01)


def test_isolation__many_tests__are_log_normal_and_lower_on_humid_days() -> None:
    """The median of dry days is near 10 MOhm, of humid ones 30 % lower; age takes 0.5 % a month."""
    isolation = Isolation("site", Random(1), 0)
    days = {True: [], False: []}
    for day in range(600):
        at_ms = day * 86_400_000
        days[isolation.is_humid(at_ms)].append(isolation.measure(at_ms) / (0.995 ** (day / 30)))
    assert 0.2 < len(days[True]) / 600 < 0.4
    assert median(days[True]) / median(days[False]) == pytest.approx(0.7, abs=0.06)
    assert 6_500 < median(days[False]) < 11_000
    assert isolation.passes


def test_harmonics__at_part_load__grow_to_their_cap() -> None:
    """2 % at rated power, above 5 % below a quarter of it, never above 12 %; none at rest."""
    assert harmonic_distortion_pct(-180.0, 180.0) == pytest.approx(2.0)
    assert harmonic_distortion_pct(-45.0, 180.0) > 5.0
    assert harmonic_distortion_pct(-1.0, 180.0) == 12.0
    assert harmonic_distortion_pct(0.0, 180.0) is None


def test_defects__by_version__are_of_those_builds_alone() -> None:
    """3.0.0 to 3.0.2 have it; 3.0.3, 3.1.x, 2.x and dated versions do not."""
    struck = [one for one in ("2.9.9", "3.0.0", "3.0.2", "3.0.3", "3.1.0", "260420.0107")
              if defect_ratio("F-0421", one) > 0.0]  # fmt: skip
    assert struck == ["3.0.0", "3.0.2"]
    assert version_key("260420.0107") > version_key("4.1.0")


@pytest.mark.parametrize("model", ["TP-AC22", "TP-DC180-V2G"])
def test_cycles__over_sessions__grow_by_one_each_and_never_fall(model: str) -> None:
    """What telemetry says of the contactor moves with the sessions, and only a reset lowers it."""
    twin = build_twin(model, "busy", 5)
    twin.advance(START_MS + 2 * HOUR_MS)
    messages = twin.take()
    frames = [one for one in bodies(messages, Kind.TELEMETRY) if one["connector_id"] == 1]
    told = [one["component_health"] for one in frames if "component_health" in one]
    cycles = [one["contactor_cycles"] for one in told]
    assert {b - a for a, b in pairwise(cycles)} == {0, 1}
    starts = [one for one in bodies(messages, Kind.EVENT)
              if one["event_type"] == "start" and one["connector_id"] == 1]  # fmt: skip
    assert cycles[-1] - cycles[0] == len(starts) > 2
    tell(twin, "reset_contactor_counter", connector_id=1)
    wait(twin, 1)
    assert twin.connectors[0].contactor.cycles == 0


@pytest.mark.parametrize(("model", "absent"), [
    ("TP-AC22", {"cooling_fan_rpm", "modules", "isolation_test_kohms", "inverter_sync_status"}),
    ("TP-DC180", {"inverter_sync_status", "bidirectional_inverter_cycles"}),
    ("TP-DC180-V2G", set()),
])  # fmt: skip
def test_health__of_each_model__tells_of_its_parts(model: str, absent: set[str]) -> None:
    """AC units tell of contactor, relay and board; DC also of fan, modules, insulation; V2G all."""
    twin = charging(model) if model != "TP-AC22" else charging(model, vehicle="hatch-quick-ac")
    told = [one["component_health"] for one in bodies(twin.outbox, Kind.TELEMETRY)
            if "component_health" in one and one["connector_id"] == 1]  # fmt: skip
    last = told[-1]
    assert not absent & set(last)
    places = {"control_board", "ac_inlet"}
    if model != "TP-AC22":
        places |= {"power_module", "dc_outlet"}
        assert last["cooling_fan_status"] == "ok"
        assert len(last["modules"]) == 6
        assert last["isolation_test_kohms"] > 1_000
        assert last["last_isolation_test"].endswith("Z")
    assert set(last["internal_temps"]) == places
    assert last["relay_state"] == "closed"
    assert last["contactor_cycles"] < last["contactor_max_cycles"]

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.simulator.device import ChargerTwin
from tellus.simulator.messages import Kind
from tellus.simulator.power import PowerPath
from tests.invariants import Order, check_all
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin, command, facts_of

MODELS = ("TP-AC22", "TP-DC60", "TP-DC180", "TP-DC360", "TP-DC180-V2G", "TP-DC360-V2G")
runs = st.tuples(
    st.sampled_from(MODELS), st.sampled_from(("busy", "sandbox", "load")), st.integers(0, 10_000)
)


def _violations_of(twin: ChargerTwin, orders: dict[str, Order] | None = None) -> list[object]:
    messages = twin.take()
    return list(
        check_all(
            {"SN-1": facts_of(twin.model.name)},
            bodies(messages, Kind.TELEMETRY),
            bodies(messages, Kind.EVENT),
            bodies(messages, Kind.RECORD),
            orders,
        )
    )


class MeterTrace:
    """Keeps every step of a power path: its energy from the flow, and the readings after it."""

    def __init__(self, power: PowerPath) -> None:
        self.steps_kwh: list[float] = []
        self.readings = [power.meter.registers]
        inner = power.run

        def traced(end_ms: int, dt_s: float) -> None:
            inner(end_ms, dt_s)
            self.steps_kwh.append(power.flow.power_kw * dt_s / 3600.0)
            self.readings.append(power.meter.registers)

        power.run = traced  # type: ignore[method-assign]


@settings(max_examples=30, deadline=None)
@given(runs)
def test_twin__any_seed_model_and_scenario__keeps_all_invariants(run: tuple[str, str, int]) -> None:
    """An hour of any charger, closed down at its end, breaks no invariant of the checker."""
    model, scenario, seed = run
    twin = build_twin(model, scenario, seed)
    twin.advance(START_MS + HOUR_MS)
    twin.shut_down()
    assert _violations_of(twin) == []


@settings(max_examples=20, deadline=None)
@given(runs, st.integers(1, 59 * 60_000))
def test_twin__stopped_anywhere__keeps_all_invariants(
    run: tuple[str, str, int], stop_after_ms: int
) -> None:
    """Whenever the run ends, every started session has its record and its order."""
    model, scenario, seed = run
    twin = build_twin(model, scenario, seed)
    twin.advance(START_MS + stop_after_ms)
    twin.shut_down()
    assert _violations_of(twin) == []


@settings(max_examples=15, deadline=None)
@given(runs)
def test_meter__every_step_traced__is_the_integral_of_the_power(run: tuple[str, str, int]) -> None:
    """The registers move by the exact integral of the power, to 1e-9 kWh, and never fall."""
    model, scenario, seed = run
    twin = build_twin(model, scenario, seed)
    traces = [MeterTrace(connector.power) for connector in twin.connectors]
    twin.advance(START_MS + HOUR_MS // 2)
    for trace in traces:
        first, last = trace.readings[0], trace.readings[-1]
        moved_kwh = last.import_kwh - first.import_kwh - (last.export_kwh - first.export_kwh)
        assert moved_kwh == pytest.approx(math.fsum(trace.steps_kwh), abs=1e-9)
        for before, after in pairwise(trace.readings):
            assert after.import_kwh >= before.import_kwh
            assert after.export_kwh >= before.export_kwh


@settings(max_examples=15, deadline=None)
@given(runs)
def test_battery__every_step_traced__stores_the_metered_energy(run: tuple[str, str, int]) -> None:
    """What reaches the cells is the metered energy times the efficiency in force."""
    model, scenario, seed = run
    twin = build_twin(model, scenario, seed)
    checked = 0
    while twin.time_ms < START_MS + HOUR_MS // 4:
        before = [
            (one.power.battery.soc_pct, one.power.meter.net_kwh) if one.is_energised else None
            for one in twin.connectors
        ]
        twin.advance(min(twin.due_ms, twin.time_ms + 1000))
        for connector, was in zip(twin.connectors, before, strict=True):
            if was is None or not connector.is_energised:
                continue
            battery = connector.power.battery
            stored_kwh = (battery.soc_pct - was[0]) * battery.capacity_kwh / 100.0
            metered_kwh = connector.power.meter.net_kwh - was[1]
            assert 0.84 * metered_kwh - 1e-9 <= stored_kwh <= 0.95 * metered_kwh + 1e-9
            checked += 1
    if scenario == "load":
        assert checked > 100


@settings(max_examples=15, deadline=None)
@given(runs, st.lists(st.integers(1, 20_000), min_size=1, max_size=40))
def test_twin__woken_late_or_early__says_the_same(
    run: tuple[str, str, int], delays_ms: list[int]
) -> None:
    """How late a scheduler wakes a charger changes nothing of what it reports."""
    model, scenario, seed = run
    prompt, late = build_twin(model, scenario, seed), build_twin(model, scenario, seed)
    end_ms = START_MS + 20 * 60_000
    while prompt.due_ms <= end_ms:
        prompt.advance(prompt.due_ms)
    now_ms, turn = START_MS, 0
    while late.due_ms <= end_ms:
        now_ms = min(end_ms, now_ms + delays_ms[turn % len(delays_ms)])
        turn += 1
        while late.due_ms <= now_ms:
            late.advance(late.due_ms)
    assert late.take() == prompt.take()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.integers(0, 10_000),
    st.one_of(st.none(), st.integers(5, 1200)),
    st.one_of(st.none(), st.integers(10, 100)),
    st.one_of(st.none(), st.floats(1.0, 80.0)),
)
def test_remote_start__any_limits__ends_as_ordered(
    model: str, seed: int, duration_s: int | None, target_soc: int | None, power_kw: float | None
) -> None:
    """Power limit, duration and target charge of a remote start are all kept."""
    twin = build_twin(model, "quiet", seed)
    params = {
        "duration": duration_s,
        "target_soc": target_soc,
        "charge_power": power_kw,
        "transaction_id": "tx-1",
    }
    given_params = {name: value for name, value in params.items() if value is not None}
    twin.execute(command("start_charging", connector_id=1, **given_params), 1, START_MS)
    twin.advance(START_MS + HOUR_MS)
    twin.shut_down()
    orders = {"tx-1": Order(duration_s, target_soc, power_kw)}
    assert _violations_of(twin, orders) == []

"""The pages that reckon with capacity print what follows from their inputs."""

import random
from pathlib import Path

import pytest

from tellus.fleet.model import Reading
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import pack
from tellus.telemetry.rules import make_sample
from tests.docs.arithmetic import evaluate, read_inputs, work_out
from tests.docs.markdown import REPOSITORY

CAPACITY = REPOSITORY / "docs" / "explanation" / "capacity.md"
MILLION = REPOSITORY / "docs" / "explanation" / "one-million-chargers.md"
HOUR_MS = 3_600_000


@pytest.mark.parametrize("page", [CAPACITY, MILLION], ids=lambda page: page.stem)
def test_page__its_figures__follow_from_its_inputs(page: Path) -> None:
    """Every figure beside a formula is what the formula gives, rounded as it is printed."""
    figures = work_out(page)
    wrong = [figure for figure in figures if not figure.is_right]
    assert wrong == []
    assert len(figures) > 25


def test_million__inputs_from_capacity__are_those_of_capacity() -> None:
    """What the plan takes from the other page is what that page says or comes to."""
    inputs = read_inputs(CAPACITY.read_text())
    results = [figure for figure in work_out(CAPACITY) if figure.column == "value"]
    said = inputs | {figure.name: float(figure.printed.replace(",", "")) for figure in results}
    taken = read_inputs(MILLION.read_text())
    shared = set(taken) & set(said)
    assert len(shared) > 8
    for name in shared:
        assert taken[name] == pytest.approx(said[name], rel=0.005), name


def test_figures__wrong_ones__are_found_out(tmp_path: Path) -> None:
    """A figure that is off in its last digit is found; a right one is not."""
    page = tmp_path / "page.md"
    head = "| what | name | value |\n|---|---|---|\n| x | `x` | 3 |\n\n"
    rows = "| a | `y` | `x / 7` | 0.429 | 1/s |\n| b | `z` | `ceil(y) + x` | 5 | |\n"
    page.write_text(
        head + "| what | name | formula | value | unit |\n|---|---|---|---|---|\n" + rows
    )
    assert [figure.is_right for figure in work_out(page)] == [True, False]
    with pytest.raises(ValueError, match="Attribute"):
        evaluate("x.y", {"x": 1.0})


def packed_bytes(samples: int) -> int:
    """The size of an hour of a connector that charges, with readings as noisy as real ones."""
    rng = random.Random(1)
    hour_ms = 1_700_000_000_000 // HOUR_MS * HOUR_MS
    kept = []
    for step in range(samples):
        time_ms = hour_ms + step * HOUR_MS // samples + rng.randrange(900)
        voltage_v, current_a = round(rng.gauss(400, 1.5), 1), round(rng.gauss(120, 2), 1)
        power_kw, soc_pct = round(voltage_v * current_a / 1000, 2), min(100, 20 + step // 36)
        energy_kwh, temperature_c = round(step / 15, 3), round(35 + rng.random(), 1)
        reading = Reading(
            "charging", voltage_v, current_a, power_kw, energy_kwh, soc_pct, temperature_c
        )
        sample = make_sample(1, 1, time_ms, time_ms + rng.randrange(20, 90), reading)
        kept.append(PastSample(time_ms, sample.digest, sample.received_ms, reading))
    return len(pack(hour_ms, kept))


def test_capacity__packed_hours__are_no_larger_than_it_says() -> None:
    """An hour of charging and an idle hour take what the page reckons with, and not far less."""
    inputs = read_inputs(CAPACITY.read_text())
    busy_kb, idle_kb = packed_bytes(720) / 1000, packed_bytes(60) / 1000
    assert 0.8 * inputs["busy_hour_kb"] < busy_kb <= inputs["busy_hour_kb"]
    assert 0.8 * inputs["idle_hour_kb"] < idle_kb <= inputs["idle_hour_kb"]


def test_capacity__connections_of_a_process__are_what_the_units_allow() -> None:
    """The page reckons with the open files that the units give, and the share that is taken."""
    inputs = read_inputs(CAPACITY.read_text())
    for unit in (REPOSITORY / "deploy" / "systemd").iterdir():
        [files] = [line for line in unit.read_text().splitlines() if "LimitNOFILE=" in line]
        assert int(inputs["process_connections"]) == int(files.partition("=")[2]) * 8 // 10

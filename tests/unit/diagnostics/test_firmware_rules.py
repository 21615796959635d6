"""Firmware told from hardware: found where it is, silent on what only looks like it."""

import math
import secrets
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.diagnostics.model_firmware import (
    Family,
    FirmwareRate,
    FirmwareVerdict,
    Measure,
    Trial,
)
from tellus.diagnostics.rules_firmware import (
    binomial_tail,
    hypergeometric_tail,
    judge_firmware,
    poisson_tail,
    rate_bounds,
)

DEVICES, BAD_SHARE, SITES = 500, 0.03, 60
BAD, GOOD = "3.0.1", ("3.0.3", "3.1.0", "3.1.0")

Chance = Callable[[Random, int, bool, str], float]
"""How likely a start of a device fails: device, whether it runs the bad build, its site."""


def fleet(rng: Random, chance: Chance, starts: tuple[int, int] = (60, 300)) -> list[Family]:
    """A fleet of 500 of which 3% run the bad build, each start failing by chance."""
    bad = set(rng.sample(range(DEVICES), round(DEVICES * BAD_SHARE)))
    trials: dict[str, list[Trial]] = {}
    for number in range(DEVICES):
        version = BAD if number in bad else rng.choice(GOOD)
        site = f"site_{rng.randrange(SITES)}"
        likely = chance(rng, number, number in bad, site)
        many = rng.randint(*starts)
        faults = sum(rng.random() < likely for _ in range(many))
        trials.setdefault(version, []).append(Trial(number, site, many, faults))
    return [Family("TP-DC180", "F-0421", trials)]


def called(families: list[Family]) -> dict[str, FirmwareRate]:
    """The versions that are called bad."""
    rates = judge_firmware(families)
    return {
        rate.firmware_version: rate
        for rate in rates
        if rate.verdict is FirmwareVerdict.CONCENTRATED
    }


def test_cluster__fleet_of_500_with_3_percent__is_found_each_time() -> None:
    """A bad build on 3% of a fleet is found, with its rate, and no other version is."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    rng = Random(seed)
    for bad_rate, good_rate in ((0.12, 0.001), (0.03, 0.0003)):
        for _ in range(15):
            found = called(fleet(rng, lambda _r, _n, bad, _s, p=(good_rate, bad_rate): p[bad]))
            assert set(found) == {BAD}, f"seed {seed}"
            rate = found[BAD]
            assert rate.devices == 15
            assert rate.low <= rate.rate <= rate.high
            assert rate.rate > 10 * rate.other_rate


DECOYS: dict[str, Callable[[Random], list[Family]]] = {}


def decoy(name: str) -> Callable[[Callable[[Random], list[Family]]], None]:
    """Keep a decoy by its name."""

    def keep(make: Callable[[Random], list[Family]]) -> None:
        DECOYS[name] = make

    return keep


@decoy("one broken device with the build")
def _one_device(rng: Random) -> list[Family]:
    [family] = fleet(rng, lambda *_: 0.001)
    trials = family.trials[BAD]
    trials[0] = trials[0]._replace(faults=trials[0].starts // 2)
    return [family]


@decoy("two broken devices with the build")
def _two_devices(rng: Random) -> list[Family]:
    [family] = _one_device_of(rng, 2)
    return [family]


@decoy("one bad site with the build")
def _one_site(rng: Random) -> list[Family]:
    [family] = fleet(rng, lambda *_: 0.001)
    trials = family.trials[BAD]
    for k in range(6):
        trials[k] = trials[k]._replace(site_id="bad", faults=trials[k].starts // 4)
    return [family]


@decoy("broken devices all over the fleet")
def _hardware(rng: Random) -> list[Family]:
    return fleet(rng, lambda r, *_: min(0.5, r.gammavariate(0.1, 0.02)))


@decoy("nothing but chance")
def _chance(rng: Random) -> list[Family]:
    return fleet(rng, lambda *_: 0.004)


def _one_device_of(rng: Random, count: int) -> list[Family]:
    [family] = fleet(rng, lambda *_: 0.0005)
    trials = family.trials[BAD]
    for k in range(count):
        trials[k] = trials[k]._replace(faults=trials[k].starts // 3)
    return [family]


@pytest.mark.parametrize("name", sorted(DECOYS))
def test_decoy__hardware_site_or_chance__is_not_called_firmware(name: str) -> None:
    """What is the fault of a device, of a site or of chance is called firmware in 1% at most."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    rng = Random(seed)
    wrong = sum(bool(called(DECOYS[name](rng))) for _ in range(40))
    assert wrong <= 2, f"seed {seed}"


def trials(*each: tuple[str, int, int]) -> list[Trial]:
    """Devices by site, starts and faults."""
    return [Trial(k, *one) for k, one in enumerate(each)]


def others(count: int = 40, faults: int = 0) -> list[Trial]:
    """Devices with another version, that are well."""
    return [Trial(100 + k, f"o{k % 9}", 200, faults) for k in range(count)]


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        ([("a", 100, 12), ("b", 100, 9)], others(), FirmwareVerdict.TOO_FEW),
        ([("a", 100, 12), ("a", 100, 9), ("a", 100, 9)], others(), FirmwareVerdict.TOO_FEW),
        ([("a", 100, 12), ("b", 100, 9), ("b", 100, 9)], others(), FirmwareVerdict.CONCENTRATED),
        ([("a", 100, 12), ("b", 100, 9), ("b", 100, 9)], [], FirmwareVerdict.NO_COMPARISON),
        ([("a", 100, 12), ("b", 100, 9), ("b", 100, 0)], others(),
         FirmwareVerdict.NOT_CONCENTRATED),
        ([("a", 100, 12), ("a", 100, 9), ("a", 100, 8), ("b", 100, 0)], others(),
         FirmwareVerdict.NOT_CONCENTRATED),
        ([("a", 100, 2), ("b", 100, 2), ("c", 100, 2)], others(40, 2),
         FirmwareVerdict.NOT_CONCENTRATED),
    ],
)  # fmt: skip
def test_judge__small_fleets__by_devices_and_sites(
    own: list[tuple[str, int, int]], other: list[Trial], verdict: FirmwareVerdict
) -> None:
    """Three devices on two sites are the least, and there must be others to compare with."""
    rates = judge_firmware([Family("M", "F-0421", {BAD: trials(*own), "3.1.0": other})])
    [rate] = [one for one in rates if one.firmware_version == BAD]
    assert rate.verdict is verdict


def test_judge__several_bad_versions__do_not_hide_each_other() -> None:
    """Versions in which the dictionary knows the fault are no measure for one another."""
    sick = [Trial(k, f"s{k % 4}", 100, 10) for k in range(20)]
    also = [trial._replace(device_no=trial.device_no + 50) for trial in sick]
    by_version = {"3.0.1": sick, "3.0.2": also, "3.1.0": others(10)}
    blind = Family("M", "F-0421", by_version)
    known = blind._replace(suspect=frozenset({"3.0.1", "3.0.2"}))
    assert called([blind]) == {}
    assert set(called([known])) == {"3.0.1", "3.0.2"}


def small_fleet(suspect: frozenset[str]) -> Family:
    """Four devices of a model, three of them with the build, and twenty others: one is broken."""
    sick = trials(("a", 60, 7), ("b", 60, 8), ("c", 60, 6))
    well = [Trial(50 + k, f"s{k % 3}", 60, 30 if k == 0 else 0) for k in range(20)]
    same = {BAD: sick, "3.1.0": [Trial(9, "a", 60, 0)]}
    return Family("TP-DC60", "F-0421", same, suspect, {"3.1.0": well})


def test_judge__small_model__is_compared_with_the_fleet_where_the_fault_is_known() -> None:
    """A version with a known fault is held against all models, if its own has too few others."""
    known = called([small_fleet(frozenset({BAD}))])
    assert known[BAD].measure is Measure.FLEET
    assert known[BAD].other_devices == 21
    assert called([small_fleet(frozenset())]) == {}


@given(st.integers(1, 30), st.integers(1, 60), st.floats(0.01, 0.99))
def test_binomial_tail__any__agrees_with_the_sum(least: int, many: int, share: float) -> None:
    """The tail is the plain sum of its terms."""
    plain = sum(
        math.comb(many, k) * share**k * (1 - share) ** (many - k) for k in range(least, many + 1)
    )
    assert binomial_tail(least, many, share) == pytest.approx(plain, rel=1e-6, abs=1e-15)


@given(st.data())
def test_hypergeometric_tail__any__agrees_with_the_sum(data: st.DataObject) -> None:
    """The tail is the plain sum of its terms."""
    total = data.draw(st.integers(1, 40))
    drawn, marked = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    least = data.draw(st.integers(0, total))
    ways = sum(
        math.comb(marked, k) * math.comb(total - marked, drawn - k)
        for k in range(least, min(drawn, marked) + 1)
    )
    expected = ways / math.comb(total, drawn)
    found = hypergeometric_tail(least, drawn, marked, total)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("least", "mean", "expected"),
    [(0, 2.0, 1.0), (1, 0.0, 0.0), (1, 1.0, 0.6321), (3, 1.0, 0.0803)],
)
def test_poisson_tail__known_values__agree(least: int, mean: float, expected: float) -> None:
    """The tail agrees with the tables."""
    assert poisson_tail(least, mean) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("faults", "low", "high"), [(0, 0.0, 3.69), (1, 0.025, 5.57), (10, 4.80, 18.39)]
)
def test_rate_bounds__known_values__agree(faults: int, low: float, high: float) -> None:
    """The limits agree with the exact ones to a few hundredths."""
    assert rate_bounds(faults) == pytest.approx((low, high), abs=0.12)

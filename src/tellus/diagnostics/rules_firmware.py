"""Tells firmware from hardware, by how often a fault follows starts with each version.

For each version, model and code the starts and faults of each device with that version are set
against those with the other versions of the model. A version is called only if all of this holds.

1. At least three devices on two sites had the fault with it.
2. The rate per start is at least three times that of the others, and still twice without any one
   device, and without any one site.
3. Exact conditional test of two rates (Przyborowski and Wilenski 1940): given all faults, those of
   the version are binomial with its share of the starts. It is repeated without each device and
   without each site, and without the worst devices (a tenth of them and at least two; one of fewer
   than ten), and the largest p-value counts: a few bad devices, or one site, prove nothing.
4. Exact permutation test over devices: faults cluster by device, so devices are what is exchanged.
   A device stands out where its faults would be improbable (10%) at the rate of all; among all
   devices, how likely is it to draw as many that stand out? That is hypergeometric. Whoever starts
   more often does not stand out for that.

The larger p-value of 3 and 4 counts. It is corrected after Tarone (1990) for the number of
versions, models and codes whose devices are enough to show anything; 1% of error is allowed in all.
Versions in which the dictionary knows the fault are no measure for others: where a fleet runs
several bad ones, they would hide each other.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from msgspec.structs import replace

from tellus.diagnostics.model_firmware import (
    Family,
    FirmwareRate,
    FirmwareVerdict,
    Measure,
    Trial,
)

ALPHA: Final = 0.01
LEAST_DEVICES: Final = 3
LEAST_SITES: Final = 2
LEAST_RATIO: Final = 3.0
LEAST_RATIO_WITHOUT: Final = 2.0
LEAST_OTHER_STARTS: Final = 50
STANDS_OUT: Final = 0.1
_WORST_ONE_IN: Final = 10
_ROOM: Final = 10
"""How many times smaller than needed a p-value must be able to be, to allow for corrections."""
_BYAR_Z: Final = 1.959964
_PER: Final = 1_000.0
_CLOSE: Final = 1e-12
_SUMMED_AT_MOST: Final = 100_000

Sum = tuple[int, int]
"""Starts and faults."""


def judge_firmware(families: Iterable[Family]) -> list[FirmwareRate]:
    """Return the rate of each version, model and code with its verdict."""
    rates = [
        _judge(family, version)
        for family in families
        for version in sorted(family.trials)
        if any(trial.starts or trial.faults for trial in family.trials[version])
    ]
    return _correct(rates)


def _judge(family: Family, version: str) -> FirmwareRate:
    own = _active(family.trials[version])
    others, measure = _others(family, version, own)
    rate = replace(_rate(family, version, own, others), measure=measure)
    if rate.devices < LEAST_DEVICES or rate.sites < LEAST_SITES:
        return replace(rate, verdict=FirmwareVerdict.TOO_FEW)
    if rate.other_starts < LEAST_OTHER_STARTS:
        return replace(rate, verdict=FirmwareVerdict.NO_COMPARISON)
    rate = replace(rate, least_p=least_p(own, others))
    hit_sites = {trial.site_id for trial in own if trial.faults}
    if rate.affected < LEAST_DEVICES or len(hit_sites) < LEAST_SITES:
        return rate
    if not _is_much_higher(own, _sum(others)):
        return rate
    return replace(rate, p_value=_test(own, others))


def _active(trials: Iterable[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.starts or trial.faults]


def _others(family: Family, version: str, own: Sequence[Trial]) -> tuple[list[Trial], Measure]:
    """Return what a version is compared with.

    That is the model's other versions. Only where those are so few that nothing could be told, and
    the dictionary knows the fault in the version, all models' other versions: a model alone may
    have a fault of its own.
    """
    bad = family.suspect | {version}
    others = _active(chain.from_iterable(family.trials[one] for one in family.trials.keys() - bad))
    if version not in family.suspect or least_p(own, others) <= ALPHA / _ROOM:
        return others, Measure.MODEL
    far = family.elsewhere
    return [
        *others,
        *_active(chain.from_iterable(far[one] for one in far.keys() - bad)),
    ], Measure.FLEET


def _rate(
    family: Family, version: str, own: Sequence[Trial], others: Sequence[Trial]
) -> FirmwareRate:
    """Return the figures of a version, not judged yet."""
    starts, faults = _sum(own)
    other_starts, other_faults = _sum(others)
    low, high = rate_bounds(faults)
    exposure = max(starts, 1)
    return FirmwareRate(
        firmware_version=version,
        model=family.model,
        code=family.code,
        devices=len(own),
        affected=sum(trial.faults > 0 for trial in own),
        sites=len({trial.site_id for trial in own}),
        starts=starts,
        faults=faults,
        rate=_PER * faults / exposure,
        low=_PER * low / exposure,
        high=_PER * high / exposure,
        other_devices=len({trial.device_no for trial in others}),
        other_starts=other_starts,
        other_faults=other_faults,
        other_rate=_PER * other_faults / max(other_starts, 1),
        verdict=FirmwareVerdict.NOT_CONCENTRATED,
    )


def _correct(rates: Sequence[FirmwareRate]) -> list[FirmwareRate]:
    """Adjust p-values (Tarone 1990), for as many tests as could have shown anything."""
    least = sorted(rate.least_p for rate in rates)
    tests = 1
    while sum(one <= ALPHA / tests for one in least) > tests:
        tests += 1
    corrected = []
    for rate in rates:
        if rate.p_value is not None:
            adjusted = min(1.0, tests * rate.p_value)
            is_called = adjusted <= ALPHA and rate.least_p <= ALPHA / tests
            verdict = FirmwareVerdict.CONCENTRATED if is_called else rate.verdict
            corrected.append(replace(rate, p_adjusted=adjusted, verdict=verdict))
        else:
            corrected.append(rate)
    return corrected


def _is_much_higher(own: Sequence[Trial], other: Sum) -> bool:
    """Tell whether the rate is three times the others', and twice without any device or site."""
    if not _is_higher(_sum(own), other, LEAST_RATIO):
        return False
    return all(
        _is_higher(left, other, LEAST_RATIO_WITHOUT)
        for left in (*_without_each(own, by_site=False), *_without_each(own, by_site=True))
    )


def _is_higher(own: Sum, other: Sum, ratio: float) -> bool:
    """Compare rates, of which the others' counts half a fault more: none seen is not none."""
    return own[1] * max(other[0], 1) >= ratio * (other[1] + 0.5) * max(own[0], 1)


def _test(own: Sequence[Trial], others: Sequence[Trial]) -> float:
    other = _sum(others)
    sums = {_sum(own), *_without_each(own, by_site=False), *_without_each(own, by_site=True)}
    sums.add(_without_worst(own))
    # Of those left with the same faults, the one with the most starts has the largest p-value.
    most: dict[int, int] = {}
    for starts, faults in sums:
        most[faults] = max(starts, most.get(faults, 0))
    conditional = max(conditional_p((starts, faults), other) for faults, starts in most.items())
    return max(conditional, permutation_p(own, others))


def _without_each(trials: Sequence[Trial], *, by_site: bool) -> list[Sum]:
    """Return the sums that are left without each device, or without each site."""
    parts: dict[int | str, Sum] = {}
    for trial in trials:
        key = trial.site_id if by_site else trial.device_no
        starts, faults = parts.get(key, (0, 0))
        parts[key] = (starts + trial.starts, faults + trial.faults)
    starts, faults = _sum(trials)
    return [(starts - part[0], faults - part[1]) for part in set(parts.values())]


def _without_worst(trials: Sequence[Trial]) -> Sum:
    """Return the sum that is left without the devices that had the most faults."""
    ordered = sorted(trials, key=lambda trial: (trial.faults, -trial.starts))
    many = len(ordered) >= _WORST_ONE_IN
    worst = max(2, len(ordered) // _WORST_ONE_IN) if many else 1
    return _sum(ordered[: len(ordered) - worst])


def _sum(trials: Iterable[Trial]) -> Sum:
    starts = faults = 0
    for trial in trials:
        starts += trial.starts
        faults += trial.faults
    return starts, faults


def conditional_p(own: Sum, other: Sum) -> float:
    """Return how likely so many of all faults, or more, are the version's own by chance."""
    total = own[1] + other[1]
    starts = own[0] + other[0]
    if own[1] <= 0 or starts == 0:
        return 1.0
    return binomial_tail(own[1], total, own[0] / starts)


def permutation_p(own: Sequence[Trial], others: Sequence[Trial]) -> float:
    """Return how likely as many devices, drawn from all, stand out by chance."""
    starts, faults = _sum((*own, *others))
    mean = faults / max(starts, 1)
    standing = sum(_stands_out(trial, mean) for trial in own)
    outside = sum(_stands_out(trial, mean) for trial in others)
    return hypergeometric_tail(standing, len(own), standing + outside, len(own) + len(others))


def least_p(own: Sequence[Trial], others: Sequence[Trial]) -> float:
    """Return the smallest p-value of the test over devices, were all that stand out the version's.

    It depends on how many devices there are and stand out, not on which.
    """
    starts, faults = _sum((*own, *others))
    mean = faults / max(starts, 1)
    standing = sum(_stands_out(trial, mean) for trial in (*own, *others))
    total = len(own) + len(others)
    return hypergeometric_tail(min(standing, len(own)), len(own), standing, total)


def _stands_out(trial: Trial, mean: float) -> bool:
    if not trial.faults:
        return False
    return poisson_tail(trial.faults, trial.starts * mean) <= STANDS_OUT


def poisson_tail(least: int, mean: float) -> float:
    """Return P(X >= least) of a Poisson distribution."""
    if least <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(least))
    return min(1.0, max(0.0, 1.0 - below))


def binomial_tail(least: int, trials: int, share: float) -> float:
    """Return P(X >= least) of a binomial distribution."""
    if least <= 0:
        return 1.0
    if share <= 0 or least > trials:
        return 0.0
    if share >= 1:
        return 1.0
    first = (
        _log_choose(trials, least) + least * math.log(share) + (trials - least) * math.log1p(-share)
    )
    odds = share / (1 - share)
    term = total = 1.0
    for k in range(least, min(trials, least + _SUMMED_AT_MOST)):
        term *= odds * (trials - k) / (k + 1)
        total += term
        if term < _CLOSE * total:
            break
    return min(1.0, math.exp(first) * total)


def hypergeometric_tail(least: int, drawn: int, marked: int, total: int) -> float:
    """Return P(X >= least) marked ones among those drawn from all."""
    most = min(drawn, marked)
    if least <= max(0, drawn + marked - total):
        return 1.0
    whole = _log_choose(total, drawn)
    tail = sum(
        math.exp(_log_choose(marked, k) + _log_choose(total - marked, drawn - k) - whole)
        for k in range(least, most + 1)
    )
    return min(1.0, tail)


def rate_bounds(faults: int) -> tuple[float, float]:
    """Return the 95% limits of a Poisson mean of which ``faults`` were seen (Byar's)."""
    z = _BYAR_Z
    upper = faults + 1
    high = upper * (1 - 1 / (9 * upper) + z / (3 * math.sqrt(upper))) ** 3
    if faults == 0:
        return 0.0, high
    low = faults * (1 - 1 / (9 * faults) - z / (3 * math.sqrt(faults))) ** 3
    return max(0.0, low), high


def _log_choose(total: int, chosen: int) -> float:
    if not 0 <= chosen <= total:
        return -math.inf
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)

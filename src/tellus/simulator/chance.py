"""Seeded chance: the same parts give the same draws, on every machine and in every run."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import cache
from random import Random
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tellus.simulator.figures import Component, Span

_TABLE_SIZE = 4096
_NORMAL = NormalDist()


def seeded(*parts: object) -> Random:
    """Return a generator whose draws depend on ``parts`` alone."""
    return Random(":".join(str(part) for part in parts))


def uniform_ms(rng: Random, span_s: Span) -> int:
    """Draw a whole number of milliseconds from a span in seconds."""
    return round(1000 * rng.uniform(*span_s))


def poisson(rng: Random, mean: float) -> int:
    """Draw a Poisson count by Knuth's product method; ``mean`` is small here (under 100)."""
    limit = math.exp(-mean)
    count, product = 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def draw_component(rng: Random, component: Component) -> float:
    """Draw once from one part of a mixture."""
    if component.kind == "gamma":
        value = rng.gammavariate(component.a, component.b)
    elif component.kind == "weibull":
        value = rng.weibullvariate(component.b, component.a)
    else:
        value = rng.lognormvariate(component.a, component.b)
    return value * component.scale


def pick_weighted(rng: Random, weights: Sequence[float]) -> int:
    """Return an index with probability in proportion to its weight."""
    total = 0.0
    edges = [total := total + weight for weight in weights]
    return min(bisect_left(edges, rng.random() * total), len(weights) - 1)


@cache
def _quantiles(mixture: tuple[Component, ...]) -> tuple[float, ...]:
    rng = seeded("quantiles", *mixture)
    weights = [component.weight for component in mixture]
    draws = (draw_component(rng, mixture[pick_weighted(rng, weights)]) for _ in range(_TABLE_SIZE))
    return tuple(sorted(draws))


def quantile(mixture: tuple[Component, ...], probability: float) -> float:
    """Return the value below which that share (0 to 1) of the mixture lies.

    Read from a sorted table of 4,096 seeded draws, so that any mixture can be correlated with
    another through a Gaussian copula without a closed inverse.
    """
    table = _quantiles(mixture)
    return table[min(int(probability * len(table)), len(table) - 1)]


@cache
def _beta_quantiles(alpha: float, beta: float) -> tuple[float, ...]:
    rng = seeded("beta", alpha, beta)
    return tuple(sorted(rng.betavariate(alpha, beta) for _ in range(_TABLE_SIZE)))


def beta_quantile(alpha: float, beta: float, probability: float) -> float:
    """Return the quantile of a beta distribution, from a seeded table as ``quantile`` does."""
    table = _beta_quantiles(alpha, beta)
    return table[min(int(probability * len(table)), len(table) - 1)]


def normal_share(z: float) -> float:
    """Return the share of the standard normal below ``z``."""
    return _NORMAL.cdf(z)


def correlated(rng: Random, other_z: float, rho: float) -> float:
    """Draw a standard normal that correlates with ``other_z`` by ``rho``."""
    return rho * other_z + math.sqrt(1 - rho * rho) * rng.gauss(0.0, 1.0)

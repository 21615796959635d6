"""What is kept and for how long, in the words that all features share.

Each feature drops what is its own, a little at a time; one round drives them all.
"""

import time
from collections.abc import Callable
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
Context = TypeVar("Context")


class Aged(NamedTuple):
    """What has outlived its tier: rows, the bytes of their content, the oldest instant (ms)."""

    rows: int = 0
    size_bytes: int = 0
    oldest_ms: int | None = None


class Step(NamedTuple):
    """One small transaction's work: rows dropped, how long it held the writer, whether more is due.

    Rows that are dropped whole pieces at a time count like all others.
    """

    rows: int
    held_s: float
    more: bool


def timed(
    work: Callable[Concatenate[Context, P], T],
) -> Callable[Concatenate[Context, P], tuple[T, float]]:
    """Return ``work`` so that it tells how long it ran (s) beside its result."""

    def run(context: Context, /, *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        begun_s = time.perf_counter()
        result = work(context, *args, **kwargs)
        return result, time.perf_counter() - begun_s

    return run

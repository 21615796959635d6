"""Mistakes in the fold of energy, each of which the comparison with the oracle has to find."""

from typing import Any

from tellus.energy import (
    rules_account,
    rules_bins,
    rules_machine,
    rules_run,
    rules_segment,
    rules_settle,
)
from tellus.energy.rules_account import Account
from tellus.energy.rules_machine import Machine
from tellus.energy.rules_segment import Segment


def _never_split(bins: Any, grid: Any, from_ms: int, to_ms: int, nkwh: int) -> None:
    start_ms = grid.start_of(from_ms)
    bins[start_ms] = bins.get(start_ms, 0) + nkwh


def _always_a_dip(segment: Segment, energy_nkwh: int, account: Account) -> None:
    segment.drop_ms = None


def _always_a_reset(segment: Segment, energy_nkwh: int, account: Account) -> None:
    if segment.drop_ms is not None:
        segment.base_ms, segment.base_nkwh = segment.drop_ms, segment.drop_nkwh
        segment.drop_ms = None


def _never_count_to_idle(*given: Any) -> None:
    return None


def _keep_power(account: Account) -> None:
    account.has_moved = False


def _scale_always(charge: Any, discharge: Any, covered: Any, record: Any, grid: Any) -> Any:
    everything = [(record.start_ms, record.end_ms)]
    return rules_settle.settle(charge, discharge, everything, record, grid)


def _settle_as_if_uncovered(
    charge: Any, discharge: Any, covered: Any, record: Any, grid: Any
) -> Any:
    return rules_settle.settle(charge, discharge, [], record, grid)


def _never_settle(charge: Any, discharge: Any, covered: Any, record: Any, grid: Any) -> Any:
    return charge, discharge


def _idle_first(points: list[Any]) -> list[Any]:
    once = {(point.time_ms, not point.is_idle, point.digest): point for point in points}
    return [once[key] for key in sorted(once)]


def _take_twice(points: list[Any]) -> list[Any]:
    return sorted(points, key=lambda point: (point.time_ms, point.is_idle, point.digest))


_order_marks, _owned_times = rules_machine.order_marks, rules_machine.owned_times

MUTANTS: list[tuple[Any, str, Any]] = [
    (rules_account, "spread", _never_split),
    (rules_account, "settle", _scale_always),
    (rules_account, "settle", _settle_as_if_uncovered),
    (rules_account, "settle", _never_settle),
    (rules_settle, "spread", _never_split),
    (rules_segment, "judge", lambda *_: None),
    (rules_segment, "_TRAPEZOID_GAP_MS", 60_000),
    (rules_segment, "_TRAPEZOID_GAP_MS", 14_999),
    (rules_run, "_heads_alike", lambda *_: True),
    (rules_run, "_is_within", lambda *_: True),
    (rules_run, "_is_steady", lambda *_: True),
    (rules_machine, "in_order", _idle_first),
    (rules_machine, "in_order", _take_twice),
    (
        rules_machine,
        "order_marks",
        lambda owned, events: [
            mark._replace(is_after=False) for mark in _order_marks(owned, events)
        ],
    ),
    (
        rules_machine,
        "owned_times",
        lambda records: [span._replace(is_next=False) for span in _owned_times(records)],
    ),
    (rules_machine, "owned_times", lambda _: []),
    (Segment, "_resolve_drop", _always_a_dip),
    (Segment, "_resolve_drop", _always_a_reset),
    (Segment, "end_idle", _never_count_to_idle),
    (Account, "decide", _keep_power),
    (Account, "cover", lambda *_: None),
    (Account, "with_energy", lambda account, _: account),
    (Machine, "_is_over", lambda *_: True),
    (rules_bins.Grid, "end_of", lambda _, time_ms: time_ms - time_ms % 60_000 + 120_000),
]
"""Where, what is replaced, and by what."""

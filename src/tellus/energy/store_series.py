"""The SQL of aggregated energy: hours of the sums, added up by bucket where they are read."""

from collections.abc import Iterator, Sequence

from tellus.energy.model_series import BucketSums, HourSlice, Running
from tellus.kernel.units import HOUR_MS
from tellus.storage.database import Tx

_SCOPES_AT_ONCE = 400
_BEFORE_ALL_MS = -(2**62)


def list_operator_sites(tx: Tx, operator_id: str) -> list[str]:
    """Return the operator's sites, in order of their identifiers."""
    rows = tx.rows("SELECT site_id FROM sites WHERE operator_id = $1", operator_id)
    return sorted(row[0] for row in rows)


def sum_slice(tx: Tx, scope_ids: Sequence[str], part: HourSlice) -> Iterator[BucketSums]:
    """Yield the sums of a slice of hours for each of these scopes and each bucket.

    Buckets in which nothing moved are left out.
    """
    for start in range(0, len(scope_ids), _SCOPES_AT_ONCE):
        scopes = scope_ids[start : start + _SCOPES_AT_ONCE]
        sql, values = _statement(part, len(scopes))
        for scope_id, number, charge, discharge, *peaks in tx.rows(sql, *values, *scopes):
            yield BucketSums(scope_id, part.bucket + number, charge, discharge, max(peaks))


def sum_peaks(
    tx: Tx, scope_ids: Sequence[str], from_ms: int, to_ms: int
) -> dict[int, tuple[int, ...]]:
    """Return by hour that starts in ``[from_ms, to_ms)`` the summed peaks of its four quarters.

    No minute of these scopes together can have more.
    """
    found: dict[int, tuple[int, ...]] = {}
    sums = ", ".join(f"CAST(SUM(peak_{k}) AS BIGINT)" for k in range(4))
    for start in range(0, len(scope_ids), _SCOPES_AT_ONCE):
        scopes = scope_ids[start : start + _SCOPES_AT_ONCE]
        places = ", ".join(f"${k + 3}" for k in range(len(scopes)))
        for hour_ms, *peaks in tx.rows(
            f"SELECT hour_ms, {sums} FROM energy_hours WHERE hour_ms >= $1 AND hour_ms < $2"
            f" AND scope_id IN ({places}) GROUP BY hour_ms",
            from_ms,
            to_ms,
            *scopes,
        ):
            before = found.get(hour_ms, (0, 0, 0, 0))
            found[hour_ms] = tuple(one + other for one, other in zip(before, peaks, strict=True))
    return found


def list_running(
    tx: Tx, operator_id: str, from_ms: int, to_ms: int, since_ms: int | None
) -> list[Running]:
    """Return an operator's sessions that meet ``[from_ms, to_ms)`` and began since ``since_ms``.

    Whoever has no end may: a record that is not over spreads energy beyond its last sample.
    """
    rows = tx.rows(
        "SELECT device_no, connector_id, operator_id, site_id, start_ms, end_ms, last_ms,"
        " samples, resolution, shape FROM energy_sessions WHERE operator_id = $1"
        " AND start_ms < $2 AND start_ms >= $3 AND (last_ms >= $4 OR end_ms IS NULL)",
        operator_id,
        to_ms,
        _BEFORE_ALL_MS if since_ms is None else since_ms,
        from_ms,
    )
    return [Running(*row) for row in rows]


def _statement(part: HourSlice, scopes: int) -> tuple[str, list[int]]:
    """Return the statement, and its values before the scopes.

    An hour that is a bucket of its own needs no grouping, which would cost a sort.
    """
    quarters = range(part.first, part.last)
    charge = " + ".join(f"charge_{k}" for k in quarters)
    discharge = " + ".join(f"discharge_{k}" for k in quarters)
    peaks = [f"peak_{k}" for k in quarters]
    number, tail = "(hour_ms - $1) / $2", ""
    if part.stride_ms != HOUR_MS:
        charge, discharge = (f"CAST(SUM({sums}) AS BIGINT)" for sums in (charge, discharge))
        peaks = [f"MAX({peak})" for peak in peaks]
        tail = " GROUP BY 1, 2"
    places = ", ".join(f"${k + 5}" for k in range(scopes))
    sql = (
        f"SELECT scope_id, {number}, {charge}, {discharge}, {', '.join(peaks)} FROM energy_hours"
        f" WHERE hour_ms >= $3 AND hour_ms < $4 AND scope_id IN ({places}){tail}"
    )
    return sql, [part.origin_ms, part.stride_ms, part.from_ms, part.to_ms]

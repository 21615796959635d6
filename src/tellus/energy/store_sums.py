"""The SQL of the sums: quarters and peaks by the hour, net minutes, days, each by scope."""

import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tellus.energy.model_sums import DaySums, HourSums, MinuteSums
from tellus.storage.database import Row, Tx

K = TypeVar("K")

ScopeTime = tuple[str, int]
"""A scope and the start of an hour or a day (ms)."""

_HOUR = (
    "scope_id, hour_ms, charge_0, charge_1, charge_2, charge_3, discharge_0, discharge_1,"
    " discharge_2, discharge_3, peak_0, peak_1, peak_2, peak_3"
)
_DAY = "scope_id, day_ms, charge, discharge, peak"
_SCOPES_AT_ONCE = 400
_KEYS_AT_ONCE = 250
_LEVEL = 1


# ------------------------------------------------------------------------------- for queries


def list_hours(tx: Tx, scope_ids: Sequence[str], from_ms: int, to_ms: int) -> list[HourSums]:
    """Return the hours that begin in ``[from_ms, to_ms)`` of these scopes, by scope and time.

    Hours in which nothing moved are left out.
    """
    return [
        _hour(row)
        for row in _of_scopes(tx, _HOUR, "energy_hours", "hour_ms", scope_ids, (from_ms, to_ms))
    ]


def list_days(tx: Tx, scope_ids: Sequence[str], from_ms: int, to_ms: int) -> list[DaySums]:
    """Return the days (UTC) that begin in ``[from_ms, to_ms)`` of these scopes, by scope and time.

    Days on which nothing moved are left out.
    """
    return [
        DaySums(*row)
        for row in _of_scopes(tx, _DAY, "energy_days", "day_ms", scope_ids, (from_ms, to_ms))
    ]


def list_minutes(tx: Tx, scope_ids: Sequence[str], from_ms: int, to_ms: int) -> list[MinuteSums]:
    """Return the net minutes of the hours that begin in ``[from_ms, to_ms)`` of these scopes.

    In order of scope and time; hours in which nothing moved are left out.
    """
    columns = "scope_id, hour_ms, content"
    return [
        MinuteSums(row[0], row[1], unpack_minutes(row[2]))
        for row in _of_scopes(tx, columns, "energy_minutes", "hour_ms", scope_ids, (from_ms, to_ms))
    ]


def _of_scopes(
    tx: Tx, columns: str, table: str, time: str, scope_ids: Sequence[str], span: tuple[int, int]
) -> Iterator[Row]:
    ordered = sorted(set(scope_ids))
    for start in range(0, len(ordered), _SCOPES_AT_ONCE):
        part = ordered[start : start + _SCOPES_AT_ONCE]
        places = ", ".join(f"${k + 3}" for k in range(len(part)))
        yield from tx.rows(
            f"SELECT {columns} FROM {table} WHERE {time} >= $1 AND {time} < $2"
            f" AND scope_id IN ({places}) ORDER BY scope_id, {time}",
            *span,
            *part,
        )


# ------------------------------------------------------------------------------- for the folder


def find_hours(tx: Tx, keys: Sequence[ScopeTime]) -> dict[ScopeTime, HourSums]:
    """Return the hours under these keys."""
    found = _of_keys(tx, _HOUR, "energy_hours", "hour_ms", keys)
    return {(row[0], row[1]): _hour(row) for row in found}


def find_minutes(tx: Tx, keys: Sequence[ScopeTime]) -> dict[ScopeTime, "array[int]"]:
    """Return the net minutes of the hours under these keys."""
    found = _of_keys(tx, "scope_id, hour_ms, content", "energy_minutes", "hour_ms", keys)
    return {(row[0], row[1]): unpack_minutes(row[2]) for row in found}


def find_days(tx: Tx, keys: Sequence[ScopeTime]) -> dict[ScopeTime, DaySums]:
    """Return the days under these keys."""
    found = _of_keys(tx, _DAY, "energy_days", "day_ms", keys)
    return {(row[0], row[1]): DaySums(*row) for row in found}


def find_day_peaks(tx: Tx, scope_id: str, from_ms: int, to_ms: int) -> int:
    """Return the highest peak of a scope's hours that begin in ``[from_ms, to_ms)``, or 0."""
    row = tx.row(
        "SELECT MAX(peak_0), MAX(peak_1), MAX(peak_2), MAX(peak_3) FROM energy_hours"
        " WHERE scope_id = $1 AND hour_ms >= $2 AND hour_ms < $3",
        scope_id,
        from_ms,
        to_ms,
    )
    return max((peak or 0 for peak in row), default=0) if row else 0


def put_hours(tx: Tx, hours: Sequence[HourSums]) -> None:
    """Write hours in place of those of the same keys."""
    names = _HOUR.split(", ")[2:]
    tx.insert_many(
        f"INSERT INTO energy_hours ({_HOUR})",
        [(hour[0], hour[1], *hour[2], *hour[3], *hour[4]) for hour in sorted(hours)],
        "ON CONFLICT (scope_id, hour_ms) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in names),
    )


def put_minutes(tx: Tx, rows: Sequence[MinuteSums]) -> None:
    """Write hours of net minutes in place of those of the same keys."""
    tx.insert_many(
        "INSERT INTO energy_minutes (scope_id, hour_ms, content)",
        sorted((row.scope_id, row.hour_ms, pack_minutes(row.net_nkwh)) for row in rows),
        "ON CONFLICT (scope_id, hour_ms) DO UPDATE SET content = excluded.content",
    )


def put_days(tx: Tx, days: Sequence[DaySums]) -> None:
    """Write days in place of those of the same keys."""
    tx.insert_many(
        f"INSERT INTO energy_days ({_DAY})",
        sorted(days),
        "ON CONFLICT (scope_id, day_ms) DO UPDATE SET charge = excluded.charge,"
        " discharge = excluded.discharge, peak = excluded.peak",
    )


def delete_hours(tx: Tx, keys: Sequence[ScopeTime]) -> None:
    """Delete hours with their minutes."""
    for part, places in _parts(sorted(keys)):
        where = f"WHERE (scope_id, hour_ms) IN (VALUES {places})"
        tx.execute(f"DELETE FROM energy_hours {where}", *part)
        tx.execute(f"DELETE FROM energy_minutes {where}", *part)


def delete_days(tx: Tx, keys: Sequence[ScopeTime]) -> None:
    """Delete days."""
    for part, places in _parts(sorted(keys)):
        tx.execute(f"DELETE FROM energy_days WHERE (scope_id, day_ms) IN (VALUES {places})", *part)


def read_all(
    tx: Tx,
) -> tuple[dict[ScopeTime, HourSums], dict[ScopeTime, "array[int]"], dict[ScopeTime, DaySums]]:
    """Return all hours, net minutes and days."""
    hours = [_hour(row) for row in tx.rows(f"SELECT {_HOUR} FROM energy_hours")]
    minutes = tx.rows("SELECT scope_id, hour_ms, content FROM energy_minutes")
    days = [DaySums(*row) for row in tx.rows(f"SELECT {_DAY} FROM energy_days")]
    return (
        {(hour.scope_id, hour.hour_ms): hour for hour in hours},
        {(row[0], row[1]): unpack_minutes(row[2]) for row in minutes},
        {(day.scope_id, day.day_ms): day for day in days},
    )


def pack_minutes(net_nkwh: "array[int]") -> bytes:
    """Return the stored form of 60 values."""
    return zlib.compress(net_nkwh.tobytes(), _LEVEL)


def unpack_minutes(content: bytes) -> "array[int]":
    """Return the 60 values of their stored form."""
    values = array("q")
    values.frombytes(zlib.decompress(content))
    return values


def _of_keys(
    tx: Tx, columns: str, table: str, time: str, keys: Sequence[ScopeTime]
) -> Iterator[Row]:
    for part, places in _parts(keys):
        yield from tx.rows(
            f"SELECT {columns} FROM {table} WHERE (scope_id, {time}) IN (VALUES {places})", *part
        )


def _parts(keys: Sequence[ScopeTime]) -> Iterator[tuple[list[object], str]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        part = keys[start : start + _KEYS_AT_ONCE]
        places = ", ".join(f"(${2 * k + 1}, ${2 * k + 2})" for k in range(len(part)))
        yield [value for key in part for value in key], places


def _hour(row: Row) -> HourSums:
    return HourSums(
        row[0],
        row[1],
        (row[2], row[3], row[4], row[5]),
        (row[6], row[7], row[8], row[9]),
        (row[10], row[11], row[12], row[13]),
    )

"""The SQL of minutes and hours of component health, and the form that they are stored in."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal

import msgspec

from tellus.health.model import METRICS, Folded, FoldedRow, Measured, Place, Said, SpanKey
from tellus.storage.database import Row, Tx

Table = Literal["component_minutes", "component_hours"]

MINUTES: Final = "component_minutes"
HOURS: Final = "component_hours"

_KEYS_AT_ONCE = 300
_PLACES = len(METRICS)
_SAME = 2
_PLACE_OF = {name: place for place, name in enumerate(METRICS)}


class _Stored(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A span as stored; times count from its start.

    A number that did not change is ``(value, at)``, another ``(low, high, last, at)``.
    """

    numbers: dict[int, tuple[int | float, ...]]
    words: dict[str, tuple[str, int]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


def write_span(folded: Folded, start_ms: int) -> bytes:
    """Return the stored form of a span."""
    numbers: dict[int, tuple[int | float, ...]] = {}
    for name, one in folded.numbers.items():
        at_ms = one.at_ms - start_ms
        same = one.low == one.high
        numbers[_PLACE_OF[name]] = (one.last, at_ms) if same else (*one[:3], at_ms)
    words = {name: (said.word, said.at_ms - start_ms) for name, said in folded.words.items()}
    return _encode(_Stored(numbers, words))


def read_span(content: bytes, start_ms: int) -> Folded:
    """Return a stored span; numbers that a later release added are left out."""
    stored = _decode(content)
    numbers = {}
    for place, values in stored.numbers.items():
        if place < _PLACES:
            if len(values) == _SAME:
                value, at_ms = values
                numbers[METRICS[place]] = Measured(value, value, value, start_ms + int(at_ms))
            else:
                low, high, last, at_ms = values
                numbers[METRICS[place]] = Measured(low, high, last, start_ms + int(at_ms))
    words = {name: Said(word, start_ms + at_ms) for name, (word, at_ms) in stored.words.items()}
    return Folded(numbers, words)


def find_spans(tx: Tx, table: Table, keys: Sequence[SpanKey]) -> dict[SpanKey, Folded]:
    """Return the rows of ``table`` with these keys."""
    found: dict[SpanKey, Folded] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        part = keys[start : start + _KEYS_AT_ONCE]
        places = ", ".join(f"(${3 * k + 1}, ${3 * k + 2}, ${3 * k + 3})" for k in range(len(part)))
        rows = tx.rows(
            f"SELECT device_no, connector_id, start_ms, content FROM {table}"
            f" WHERE (device_no, connector_id, start_ms) IN (VALUES {places})",
            *(value for key in part for value in key),
        )
        found |= {row.key: row.folded for row in map(_row, rows)}
    return found


def put_spans(tx: Tx, table: Table, rows: Iterable[FoldedRow]) -> None:
    """Put rows in place of those with their keys."""
    stored = sorted((*key, write_span(folded, key[2])) for key, folded in rows)
    tail = (
        "ON CONFLICT (device_no, connector_id, start_ms) DO UPDATE SET content = excluded.content"
    )
    columns = "(device_no, connector_id, start_ms, content)"
    if table == MINUTES:
        tx.insert_many(f"INSERT INTO component_minutes {columns}", stored, tail)
    else:
        tx.insert_many(f"INSERT INTO component_hours {columns}", stored, tail)


def list_spans(tx: Tx, table: Table, device_no: int, from_ms: int, to_ms: int) -> list[FoldedRow]:
    """Return the rows of a device in ``[from_ms, to_ms)`` by connector and start."""
    rows = tx.rows(
        f"SELECT device_no, connector_id, start_ms, content FROM {table}"
        " WHERE device_no = $1 AND start_ms >= $2 AND start_ms < $3"
        " ORDER BY connector_id, start_ms",
        device_no,
        from_ms,
        to_ms,
    )
    return [_row(row) for row in rows]


def list_spans_of(
    tx: Tx, table: Table, place: Place, from_ms: int, to_ms: int, limit: int = -1
) -> list[FoldedRow]:
    """Return the first rows, all with a negative ``limit``, of a connector in a span, by start."""
    rows = tx.rows(
        f"SELECT device_no, connector_id, start_ms, content FROM {table}"
        " WHERE device_no = $1 AND connector_id = $2 AND start_ms >= $3 AND start_ms < $4"
        " ORDER BY start_ms" + (" LIMIT $5" if limit >= 0 else ""),
        *place,
        from_ms,
        to_ms,
        *((limit,) if limit >= 0 else ()),
    )
    return [_row(row) for row in rows]


def list_newest_starts(tx: Tx, table: Table, device_no: int, from_ms: int) -> dict[int, int]:
    """Return the start (ms) of each connector's newest row since ``from_ms``."""
    rows = tx.rows(
        f"SELECT connector_id, MAX(start_ms) FROM {table}"
        " WHERE device_no = $1 AND start_ms >= $2 GROUP BY connector_id",
        device_no,
        from_ms,
    )
    return {row[0]: row[1] for row in rows}


def list_deleted(tx: Tx, device_nos: Collection[int]) -> set[int]:
    """Return those among a few devices that were deleted."""
    if not device_nos:
        return set()
    places = ", ".join(f"${number}" for number in range(1, len(device_nos) + 1))
    rows = tx.rows(
        f"SELECT device_no FROM devices WHERE deleted_ms IS NOT NULL AND device_no IN ({places})",
        *sorted(device_nos),
    )
    return {row[0] for row in rows}


def find_owned_since(tx: Tx, device_no: int) -> int:
    """Return since when (ms) a device is its present operator's."""
    row = tx.row("SELECT owned_since_ms FROM devices WHERE device_no = $1", device_no)
    return 0 if row is None else int(row[0])


def _row(row: Row) -> FoldedRow:
    device_no, connector_id, start_ms, content = row
    return FoldedRow((device_no, connector_id, start_ms), read_span(bytes(content), start_ms))

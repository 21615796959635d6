"""The SQL of reads."""

from collections.abc import Sequence

from tellus.coexistence.model import ReadCount, ReadGroup, ReadsWanted
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "scope_id, day, reader_id, kind, scope, operator_id, reader_kind, times, seconds, first_ms,"
    " last_ms"
)


def add_counts(tx: Tx, counts: Sequence[ReadCount]) -> None:
    """Add counts to those of the same day."""
    tx.insert_many(
        f"INSERT INTO reads ({_COLUMNS})",
        [_to_row(count) for count in sorted(counts)],
        "ON CONFLICT (scope_id, day, reader_id, kind) DO UPDATE SET"
        " times = reads.times + excluded.times, seconds = reads.seconds + excluded.seconds,"
        " first_ms = CASE WHEN excluded.first_ms < reads.first_ms THEN excluded.first_ms"
        " ELSE reads.first_ms END,"
        " last_ms = CASE WHEN excluded.last_ms > reads.last_ms THEN excluded.last_ms"
        " ELSE reads.last_ms END",
    )


def list_counts(tx: Tx, wanted: ReadsWanted, page: tuple[int, int]) -> tuple[int, list[ReadCount]]:
    """Return how many counts reach a device and a page (offset, size), newest day first.

    Those of the device itself, and those of sums over its site or operator.
    """
    where = "scope_id IN ($1, $2, $3) AND operator_id = $4 AND day >= $5 AND day <= $6"
    values: list[str | int] = [
        wanted.device_id,
        wanted.site_id,
        wanted.operator_id,
        wanted.operator_id,
        wanted.from_day,
        wanted.to_day,
    ]
    if wanted.within is not None:
        where += f" AND ({_within(len(values), len(wanted.within))})"
        values += [day for span in wanted.within for day in span]
    total = tx.row(f"SELECT COUNT(*) FROM reads WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM reads WHERE {where}"
        " ORDER BY day DESC, reader_id, kind, scope"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        page[1],
        page[0],
    )
    return (int(total[0]) if total else 0), [_to_count(row) for row in rows]


def _within(given: int, spans: int) -> str:
    """Return the condition for days in one of some spans, after ``given`` other parameters."""
    first = range(given + 1, given + 1 + 2 * spans, 2)
    return " OR ".join(f"day BETWEEN ${number} AND ${number + 1}" for number in first) or "1 = 0"


def remove_before(tx: Tx, day: int, limit: int) -> int:
    """Delete up to ``limit`` counts of days before ``day``; return how many."""
    rows = tx.rows("SELECT DISTINCT day FROM reads WHERE day < $1 ORDER BY day LIMIT 1", day)
    removed = 0
    for (oldest,) in rows:
        removed = tx.execute(
            "DELETE FROM reads WHERE day = $1 AND scope_id IN"
            " (SELECT scope_id FROM reads WHERE day = $1 ORDER BY scope_id LIMIT $2)",
            oldest,
            limit,
        )
    return removed


def remove_of_device(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` counts of a device; return how many."""
    return tx.execute(
        "DELETE FROM reads WHERE scope_id = (SELECT device_id FROM devices WHERE device_no = $1)"
        " AND day IN (SELECT DISTINCT day FROM reads WHERE scope_id ="
        " (SELECT device_id FROM devices WHERE device_no = $1) ORDER BY day LIMIT $2)",
        device_no,
        limit,
    )


def _to_row(count: ReadCount) -> Row:
    group = count.group
    return (
        count.scope_id,
        count.day,
        group.reader_id,
        group.kind,
        group.scope,
        group.operator_id,
        group.reader_kind,
        count.times,
        count.seconds,
        count.first_ms,
        count.last_ms,
    )


def _to_count(row: Row) -> ReadCount:
    return ReadCount(row[0], row[1], ReadGroup(*row[2:7]), *row[7:11])

"""Tables that are kept in pieces by time, so that old pieces can be dropped whole.

Pieces are made ahead of time. What belongs to none of them, because it is older or its clock is
wrong, lies in a piece for the rest until one is made that it belongs to: nothing is ever refused
for its age.

So there is time to wait for a better moment. A piece that is made locks the rest, one that is
dropped locks its whole table, and both locks wait for whoever reads or dumps it, while everybody
else waits behind them. They are therefore asked for during a tenth of a second only, by one process
at a time, and a round that does not get them ends there.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import psycopg

from tellus.kernel.units import DAY_MS
from tellus.storage.database import Tx
from tellus.storage.postgres_tx import PostgresTx, lock_key

LONGEST_LOCK_WAIT_MS: Final = 100
"""How long (ms) uploads can be held up by a lock that is waited for here."""

_NAME: Final = "%Y%m%d"
_LOCK: Final = "partitions"
_IN_THE_WAY: Final = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.QueryCanceled,
)
_BEGIN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_PATIENCE: Final = f"SET LOCAL lock_timeout = '{LONGEST_LOCK_WAIT_MS}ms'"


class Partitioned(NamedTuple):
    """A table in pieces of ``days`` days by the instants (ms) in ``column``."""

    table: str
    column: str
    days: int
    behind: int
    """How many pieces before the present one are made where they are missing."""
    ahead: int
    """How many pieces after the present one are made."""
    drops_empty: bool
    """Whether pieces behind those are dropped once they are empty."""


PARTITIONED: Final = (
    Partitioned("samples", "time_ms", 1, 7, 7, drops_empty=True),
    Partitioned("sample_hours", "hour_ms", 28, 1, 1, drops_empty=True),
    Partitioned("sample_minutes", "hour_ms", 28, 3, 1, drops_empty=True),
)


def keep_partitions(tx: PostgresTx, now_ms: int) -> bool:
    """Make the pieces that will be needed and drop those that are no longer, one at a time.

    Each is a transaction of its own; ``tx`` is in none. Returns False where somebody was in the
    way, so that a part is left for another time.
    """
    for table in PARTITIONED:
        if not _is_partitioned(tx, table.table):
            continue
        width_ms = table.days * DAY_MS
        present_ms = now_ms - now_ms % width_ms
        first_ms = present_ms - table.behind * width_ms
        held = _list_pieces(tx, table.table)
        # The present one first: it is the one that uploads are in need of.
        starts_ms = range(first_ms, present_ms + (table.ahead + 1) * width_ms, width_ms)
        for start_ms in sorted(starts_ms, key=lambda start_ms: abs(start_ms - present_ms)):
            if start_ms not in held and not _change(tx, table, start_ms, None):
                return False
        if table.drops_empty:
            for start_ms, piece in held.items():
                if start_ms < first_ms and not _change(tx, table, start_ms, piece):
                    return False
    return True


def _change(tx: PostgresTx, table: Partitioned, start_ms: int, empty: str | None) -> bool:
    """Make the piece that begins at ``start_ms``, or drop ``empty`` if it is; tell whether done."""
    tx.run(_BEGIN)
    try:
        tx.execute(_PATIENCE)
        alone = tx.row("SELECT pg_try_advisory_xact_lock($1)", lock_key(_LOCK)) == (True,)
        if alone and empty is not None:
            _drop_if_empty(tx, table.table, empty)
        elif alone and start_ms not in _list_pieces(tx, table.table):
            _make_piece(tx, table, start_ms)
        tx.run(b"COMMIT")
    except _IN_THE_WAY:
        tx.run(b"ROLLBACK")
        return False
    except BaseException:
        tx.run(b"ROLLBACK")
        raise
    return alone


def drop_aged(tx: Tx, table: str, before_ms: int, is_needed: Callable[[Tx, int, int], bool]) -> int:
    """Drop the pieces of ``table`` in which all arrived before an instant; return how many rows.

    The table says in ``received_to_ms`` when a row's newest part arrived. ``is_needed`` tells
    whether the span (ms) of a piece must stay all the same.

    Raises:
        psycopg.errors.LockNotAvailable: somebody reads or dumps it; to be tried another time.
    """
    (kept,) = (one for one in PARTITIONED if one.table == table)
    width_ms = kept.days * DAY_MS
    aged = [
        (start_ms, piece)
        for start_ms, piece in _list_pieces(tx, table).items()
        if start_ms + width_ms <= before_ms
        and _is_aged(tx, piece, before_ms)
        and not is_needed(tx, start_ms, start_ms + width_ms)
    ]
    if not aged:
        return 0
    counts = {piece: tx.row(f"SELECT count(*) FROM {piece}") for _, piece in aged}
    tx.lock(_LOCK)
    tx.execute(_PATIENCE)
    tx.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    dropped = 0
    for _, piece in aged:
        if _is_aged(tx, piece, before_ms):
            _drop_piece(tx, table, piece)
            dropped += (counts[piece] or (0,))[0]
    return dropped


def _is_aged(tx: Tx, piece: str, before_ms: int) -> bool:
    late = tx.row(f"SELECT 1 FROM {piece} WHERE received_to_ms >= $1 LIMIT 1", before_ms)
    return late is None


def make_pieces(tx: Tx, table: str, instants_ms: Iterable[int]) -> None:
    """Make the pieces that rows with these instants (ms) belong to, where they are missing."""
    (kept,) = (one for one in PARTITIONED if one.table == table)
    width_ms = kept.days * DAY_MS
    held = _list_pieces(tx, table)
    for start_ms in sorted({value - value % width_ms for value in instants_ms}):
        if start_ms not in held:
            _make_piece(tx, kept, start_ms)


def _is_partitioned(tx: Tx, table: str) -> bool:
    sql = "SELECT 1 FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'p'"
    return tx.row(sql, table) is not None


def _list_pieces(tx: Tx, table: str) -> dict[int, str]:
    """Return the pieces by the instant (ms) at which each begins."""
    rows = tx.rows(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass($1)",
        table,
    )
    pieces = {}
    for (piece,) in rows:
        day = piece.removeprefix(f"{table}_")
        if day != "rest":
            start = datetime.strptime(day, _NAME).replace(tzinfo=UTC)
            pieces[int(start.timestamp()) * 1_000] = piece
    return pieces


def _make_piece(tx: Tx, table: Partitioned, start_ms: int) -> None:
    name, column = table.table, table.column
    end_ms = start_ms + table.days * DAY_MS
    day = datetime.fromtimestamp(start_ms / 1_000, UTC).strftime(_NAME)
    piece = f"{name}_{day}"
    tx.execute(f"CREATE TABLE {piece} (LIKE {name})")
    # The rest is small: samples stay there a minute, hours only where they are very old.
    tx.execute(f"LOCK TABLE {name}_rest IN ACCESS EXCLUSIVE MODE")
    tx.execute(
        f"WITH moved AS (DELETE FROM {name}_rest WHERE {column} >= $1 AND {column} < $2"
        f" RETURNING *) INSERT INTO {piece} SELECT * FROM moved",
        start_ms,
        end_ms,
    )
    tx.execute(
        f"ALTER TABLE {name} ATTACH PARTITION {piece} FOR VALUES FROM ({start_ms}) TO ({end_ms})"
    )


def _has_rows(tx: Tx, piece: str) -> bool:
    return tx.row(f"SELECT 1 FROM {piece} LIMIT 1") is not None


def _drop_if_empty(tx: Tx, table: str, piece: str) -> None:
    if tx.row("SELECT to_regclass($1)::text", piece) == (None,) or _has_rows(tx, piece):
        return
    tx.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    if not _has_rows(tx, piece):
        tx.execute(f"DROP TABLE {piece}")


def _drop_piece(tx: Tx, table: str, piece: str) -> None:
    """Drop a piece; the whole table is locked first, as whoever writes to it does it."""
    tx.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    tx.execute(f"DROP TABLE {piece}")

"""The SQL of devices as peers know them."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tellus.legacy.model import Description, Point, Statuses
from tellus.storage.database import Row, Tx

_COLUMNS: Final = "device_id, device_no, described, changed_ms, told"
_AT_ONCE: Final = 200

_descriptions: Final = msgspec.json.Decoder(Description)
_statuses: Final = msgspec.json.Decoder(Statuses)


def upsert_points(tx: Tx, peer_id: str, points: Sequence[Point]) -> None:
    """Write devices as a peer knows them from now on."""
    tx.insert_many(
        "INSERT INTO legacy_points (peer_id, device_id, device_no, described, changed_ms, told)",
        [
            (
                peer_id,
                point.device_id,
                point.device_no,
                msgspec.json.encode(point.described).decode(),
                point.changed_ms,
                msgspec.json.encode(point.told).decode(),
            )
            for point in points
        ],
        "ON CONFLICT (peer_id, device_id) DO UPDATE SET device_no = excluded.device_no,"
        " described = excluded.described, changed_ms = excluded.changed_ms, told = excluded.told",
    )


def delete_points(tx: Tx, peer_id: str, device_ids: Iterable[str]) -> None:
    """Forget devices that a peer sees no longer."""
    for device_id in device_ids:
        tx.execute(
            "DELETE FROM legacy_points WHERE peer_id = $1 AND device_id = $2", peer_id, device_id
        )


def list_points(tx: Tx, peer_id: str) -> dict[str, Point]:
    """Return all devices that a peer knows, by identifier."""
    rows = tx.rows(f"SELECT {_COLUMNS} FROM legacy_points WHERE peer_id = $1", peer_id)
    return {row[0]: _point(row) for row in rows}


def list_some_points(tx: Tx, peer_id: str, device_ids: Sequence[str]) -> dict[str, Point]:
    """Return those of some devices that a peer knows, by identifier."""
    found: dict[str, Point] = {}
    for start in range(0, len(device_ids), _AT_ONCE):
        part = device_ids[start : start + _AT_ONCE]
        places = ", ".join(f"${k + 2}" for k in range(len(part)))
        rows = tx.rows(
            f"SELECT {_COLUMNS} FROM legacy_points WHERE peer_id = $1 AND device_id IN ({places})",
            peer_id,
            *part,
        )
        found |= {row[0]: _point(row) for row in rows}
    return found


def list_changed(
    tx: Tx, peer_id: str, since_ms: int, offset: int, size: int
) -> tuple[int, list[Point]]:
    """Return how many devices changed at or after that moment and a page, by change and id."""
    where = "FROM legacy_points WHERE peer_id = $1 AND changed_ms >= $2"
    count = tx.row(f"SELECT count(*) {where}", peer_id, since_ms)
    rows = tx.rows(
        f"SELECT {_COLUMNS} {where} ORDER BY changed_ms, device_id LIMIT $3 OFFSET $4",
        peer_id,
        since_ms,
        size,
        offset,
    )
    return (0 if count is None else int(count[0])), [_point(row) for row in rows]


def _point(row: Row) -> Point:
    return Point(row[0], row[1], _descriptions.decode(row[2]), row[3], _statuses.decode(row[4]))

"""The SQL of a connector's turns, as its events tell of them."""

from tellus.diagnostics.model import Turn
from tellus.fleet.model import EventType
from tellus.storage.database import Tx

_KINDS = ", ".join(
    f"'{kind.value}'"
    for kind in (
        EventType.PLUG_IN, EventType.PLUG_OUT, EventType.AUTH_OK, EventType.START, EventType.FAULT,
    )
)  # fmt: skip


def list_turns(tx: Tx, place: tuple[int, int], from_ms: int, limit: int) -> list[Turn]:
    """Return the newest turns of a place (device, connector) since ``from_ms``, oldest first."""
    rows = tx.rows(
        "SELECT event_type, time_ms FROM events WHERE device_no = $1 AND time_ms >= $2"
        f" AND connector_id = $3 AND event_type IN ({_KINDS}) AND clock_suspect = 0"
        " ORDER BY time_ms DESC, digest DESC LIMIT $4",
        place[0],
        from_ms,
        place[1],
        limit,
    )
    return [Turn(*row) for row in reversed(rows)]

"""The SQL of samples: the recent log, time first, and the packed hours."""

from collections.abc import Callable, Sequence

import msgspec

from tellus.fleet.model import decode_reading
from tellus.kernel.units import CLOCK_TOLERANCE_MS
from tellus.storage.database import Row, Tx
from tellus.telemetry.model import Instant, PastSample, Sample

_INSERT = "INSERT INTO samples (time_ms, device_no, connector_id, digest, received_ms, content)"
_KEYS_AT_ONCE = 500
_OUTSIDE_AT_ONCE = 5_000
_decode_rows = msgspec.json.Decoder(list[tuple[int, int, int, str]]).decode


def append_samples(
    tx: Tx, samples: Sequence[Sample], counted: Callable[[int], object] | None = None
) -> None:
    """Append to the log what it does not hold yet; ``counted`` is told how many that were."""
    # In one order everywhere, so that two who insert the same never wait for each other in a ring.
    rows = sorted(sample[:6] for sample in samples)
    tx.insert_later(_INSERT, rows, "ON CONFLICT DO NOTHING", counted)


def append_samples_told(tx: Tx, samples: Sequence[Sample]) -> set[tuple[int, int, int, int]]:
    """Append like ``append_samples``; return the keys (time, device, connector, digest) stored."""
    rows = sorted(sample[:6] for sample in samples)
    tail = "ON CONFLICT DO NOTHING RETURNING time_ms, device_no, connector_id, digest"
    return {(row[0], row[1], row[2], row[3]) for row in tx.insert_returning(_INSERT, rows, tail)}


def list_log_times(tx: Tx, after: Row, limit: int) -> list[Row]:
    """Return up to ``limit`` (time, device, connector, digest) of the log after that key."""
    return tx.rows(
        "SELECT time_ms, device_no, connector_id, digest FROM samples"
        " WHERE (time_ms, device_no, connector_id, digest) > ($1, $2, $3, $4)"
        " ORDER BY time_ms, device_no, connector_id, digest LIMIT $5",
        *after,
        limit,
    )


def list_log_instants(tx: Tx, instants: Sequence[Instant]) -> list[Sample]:
    """Return the log's samples at these instants."""
    found = [
        row
        for instant in instants
        for row in tx.rows(
            "SELECT time_ms, device_no, connector_id, digest, received_ms, content FROM samples"
            " WHERE time_ms = $1 AND device_no = $2 AND connector_id = $3",
            *instant,
        )
    ]
    return [_sample(row) for row in found]


def list_ahead_of_states(tx: Tx, since_ms: int) -> list[Sample]:
    """Return the newest of the log's trusted samples since ``since_ms`` of each connector.

    Left out are connectors whose stored state is as new, and what a device said to an operator
    that it no longer belongs to.
    """
    rows = tx.rows(
        "SELECT time_ms, device_no, connector_id, digest, received_ms, content FROM ("
        " SELECT s.time_ms, s.device_no, s.connector_id, s.digest, s.received_ms, s.content,"
        " ROW_NUMBER() OVER (PARTITION BY s.device_no, s.connector_id"
        " ORDER BY s.time_ms DESC, s.content DESC) AS place"
        " FROM samples s JOIN devices d ON d.device_no = s.device_no AND d.deleted_ms IS NULL"
        " LEFT JOIN connector_state c"
        " ON c.device_no = s.device_no AND c.connector_id = s.connector_id"
        " WHERE s.time_ms >= $1 AND s.time_ms <= s.received_ms + $2"
        " AND s.received_ms >= d.owned_since_ms"
        " AND (c.time_ms IS NULL OR s.time_ms > c.time_ms"
        " OR (s.time_ms = c.time_ms AND s.content > c.content))"
        ") AS ahead WHERE place = 1",
        since_ms,
        CLOCK_TOLERANCE_MS,
    )
    return [_sample(row) for row in rows]


def list_log_samples(
    tx: Tx, device_no: int, connector_id: int, times_ms: Sequence[int]
) -> list[PastSample]:
    """Return the log's samples of a connector at the given instants, by key and not by scan."""
    found: list[PastSample] = []
    for start in range(0, len(times_ms), _KEYS_AT_ONCE):
        part = times_ms[start : start + _KEYS_AT_ONCE]
        places = ", ".join(f"${k + 3}" for k in range(len(part)))
        rows = tx.rows(
            "SELECT time_ms, digest, received_ms, content FROM samples"
            f" WHERE device_no = $1 AND connector_id = $2 AND time_ms IN ({places})",
            device_no,
            connector_id,
            *part,
        )
        found += [PastSample(row[0], row[1], row[2], decode_reading(row[3])) for row in rows]
    return found


def list_log_samples_at_once(
    tx: Tx, device_no: int, connector_id: int, times_ms: Sequence[int]
) -> list[PastSample]:
    """Return what ``list_log_samples`` does, in few steps of SQLite, each of many samples.

    For work beside a busy event loop, where a step for every single row costs too much.
    """
    found: list[PastSample] = []
    for start in range(0, len(times_ms), _KEYS_AT_ONCE):
        part = times_ms[start : start + _KEYS_AT_ONCE]
        places = ", ".join(f"${k + 3}" for k in range(len(part)))
        row = tx.row(
            "SELECT json_group_array(json_array(time_ms, digest, received_ms, hex(content)))"
            " FROM samples WHERE device_no = $1 AND connector_id = $2"
            f" AND time_ms IN ({places})",
            device_no,
            connector_id,
            *part,
        )
        for time_ms, digest, received_ms, content in _decode_rows(row[0] if row else b"[]"):
            reading = decode_reading(bytes.fromhex(content))
            found.append(PastSample(time_ms, digest, received_ms, reading))
    return found


def list_log_between(
    tx: Tx, device_no: int, connector_id: int, from_ms: int, to_ms: int
) -> list[PastSample]:
    """Return the log's samples of a connector in ``[from_ms, to_ms)``; needs an index for that."""
    rows = tx.rows(
        "SELECT time_ms, digest, received_ms, content FROM samples"
        " WHERE device_no = $1 AND connector_id = $2 AND time_ms >= $3 AND time_ms < $4",
        device_no,
        connector_id,
        from_ms,
        to_ms,
    )
    return [PastSample(row[0], row[1], row[2], decode_reading(row[3])) for row in rows]


def list_log_outside(
    tx: Tx, device_no: int, connector_id: int, span: tuple[int, int]
) -> list[PastSample]:
    """Return the log's oldest samples of a connector outside ``span``, up to 5,000 of them."""
    rows = tx.rows(
        "SELECT time_ms, digest, received_ms, content FROM samples"
        " WHERE device_no = $1 AND connector_id = $2 AND (time_ms < $3 OR time_ms >= $4)"
        " ORDER BY time_ms LIMIT $5",
        device_no,
        connector_id,
        *span,
        _OUTSIDE_AT_ONCE,
    )
    return [PastSample(row[0], row[1], row[2], decode_reading(row[3])) for row in rows]


def list_aged_places(tx: Tx, span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return (device, connector) of all that the log holds outside ``span``, in order."""
    rows = tx.rows(
        "SELECT device_no, connector_id FROM samples WHERE time_ms < $1"
        " UNION SELECT device_no, connector_id FROM samples WHERE time_ms >= $2"
        " ORDER BY device_no, connector_id",
        *span,
    )
    return [(row[0], row[1]) for row in rows]


def remove_log_samples(
    tx: Tx, device_no: int, connector_id: int, samples: Sequence[PastSample]
) -> None:
    """Delete exactly these samples of a connector from the log."""
    for start in range(0, len(samples), _KEYS_AT_ONCE):
        part = samples[start : start + _KEYS_AT_ONCE]
        keys = [(sample.time_ms, device_no, connector_id, sample.digest) for sample in part]
        places = ", ".join(
            f"(${4 * k + 1}, ${4 * k + 2}, ${4 * k + 3}, ${4 * k + 4})" for k in range(len(keys))
        )
        tx.execute(
            "DELETE FROM samples WHERE (time_ms, device_no, connector_id, digest)"
            f" IN (VALUES {places})",
            *(value for key in keys for value in key),
        )


def list_packs(
    tx: Tx, device_no: int, connector_id: int, hours_ms: Sequence[int]
) -> list[tuple[int, int, bytes]]:
    """Return (hour, samples, content) of the connector's packed hours among ``hours_ms``."""
    found: list[tuple[int, int, bytes]] = []
    for start in range(0, len(hours_ms), _KEYS_AT_ONCE):
        part = hours_ms[start : start + _KEYS_AT_ONCE]
        places = ", ".join(f"${k + 3}" for k in range(len(part)))
        rows = tx.rows(
            "SELECT hour_ms, samples, content FROM sample_hours"
            f" WHERE device_no = $1 AND connector_id = $2 AND hour_ms IN ({places})",
            device_no,
            connector_id,
            *part,
        )
        found += [(row[0], row[1], bytes(row[2])) for row in rows]
    return found


def list_pack_sizes(
    tx: Tx, hours: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], int]:
    """Return how many samples the packs of these (device, connector, hour) hold."""
    sizes: dict[tuple[int, int, int], int] = {}
    for start in range(0, len(hours), _KEYS_AT_ONCE):
        part = hours[start : start + _KEYS_AT_ONCE]
        places = ", ".join(f"(${3 * k + 1}, ${3 * k + 2}, ${3 * k + 3})" for k in range(len(part)))
        rows = tx.rows(
            "SELECT device_no, connector_id, hour_ms, samples FROM sample_hours"
            f" WHERE (device_no, connector_id, hour_ms) IN (VALUES {places})",
            *(value for key in part for value in key),
        )
        sizes |= {(row[0], row[1], row[2]): row[3] for row in rows}
    return sizes


def list_packs_between(
    tx: Tx, device_no: int, connector_id: int, from_hour_ms: int, to_ms: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return up to ``limit`` (hour, content) of hours in ``[from_hour_ms, to_ms)``, ascending."""
    rows = tx.rows(
        "SELECT hour_ms, content FROM sample_hours WHERE device_no = $1 AND connector_id = $2"
        " AND hour_ms >= $3 AND hour_ms < $4 ORDER BY hour_ms LIMIT $5",
        device_no,
        connector_id,
        from_hour_ms,
        to_ms,
        limit,
    )
    return [(row[0], bytes(row[1])) for row in rows]


def upsert_pack(
    tx: Tx, device_no: int, connector_id: int, hour_ms: int, samples: int, content: bytes
) -> None:
    """Put the packed hour in place of the one there may be."""
    tx.execute(
        "INSERT INTO sample_hours (device_no, connector_id, hour_ms, samples, content)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (device_no, connector_id, hour_ms)"
        " DO UPDATE SET samples = excluded.samples, content = excluded.content",
        device_no,
        connector_id,
        hour_ms,
        samples,
        content,
    )


def _sample(row: Row) -> Sample:
    return Sample(row[0], row[1], row[2], row[3], row[4], bytes(row[5]), decode_reading(row[5]))

"""The SQL of charging records and of the repeats that contradicted them."""

from collections.abc import Sequence
from typing import NamedTuple

from tellus.consent.model_withheld import without
from tellus.sessions.model import Content, Position, RecordFilter, Source
from tellus.storage.database import Row, Tx

_INSERT = (
    "INSERT INTO charging_records (device_no, record_id, operator_id, site_id, device_id,"
    " connector_id, start_ms, end_ms, energy_kwh, max_power_kw, avg_power_kw, cost,"
    " meter_start_kwh, meter_end_kwh, soc_start_pct, soc_end_pct, flags, extras, subject_id,"
    " sealed_vin, sealed_extras, fingerprint, received_ms)"
)
_COLUMNS = (
    "device_no, device_id, operator_id, site_id, record_id, connector_id, start_ms, end_ms,"
    " energy_kwh, max_power_kw, avg_power_kw, cost, meter_start_kwh, meter_end_kwh, soc_start_pct,"
    " soc_end_pct, flags, extras, subject_id, sealed_vin, sealed_extras, received_ms"
)
_ORDER = "start_ms DESC, record_id, device_no"
_KEYS_AT_ONCE = 500
_CONFLICTS_KEPT = 20


class Private(NamedTuple):
    """The parts of a record that tell of its vehicle, sealed under the key of ``subject_id``."""

    subject_id: str | None = None
    sealed_vin: bytes | None = None
    sealed_extras: bytes | None = None


class StoredRecord(NamedTuple):
    """A row: ``content`` without what is sealed in ``private``; ``extras`` is JSON."""

    source: Source
    content: Content
    flags: tuple[str, ...]
    extras: str | None
    private: Private
    received_ms: int


class NewRecord(NamedTuple):
    """What is about to be stored; ``extras`` is JSON, None where they are sealed or absent."""

    source: Source
    content: Content
    flags: tuple[str, ...]
    extras: str | None
    private: Private
    fingerprint: bytes
    received_ms: int


class Known(NamedTuple):
    """What a repeat is compared with."""

    fingerprint: bytes
    private: Private
    flags: tuple[str, ...]


def append_records(tx: Tx, records: Sequence[NewRecord]) -> None:
    """Append records whose keys are not in the store."""
    tx.insert_many(_INSERT, [_to_row(record) for record in records])


def list_known(tx: Tx, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Known]:
    """Return, by (device, record_id), what is stored of ``keys``."""
    known: dict[tuple[int, str], Known] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        part = keys[start : start + _KEYS_AT_ONCE]
        # The cast tells PostgreSQL the type of the column of parameters.
        pairs = ", ".join(f"(CAST(${2 * k + 1} AS BIGINT), ${2 * k + 2})" for k in range(len(part)))
        for row in tx.rows(
            "SELECT device_no, record_id, fingerprint, subject_id, sealed_vin, sealed_extras, flags"
            f" FROM charging_records WHERE (device_no, record_id) IN (VALUES {pairs})",
            *(value for key in part for value in key),
        ):
            private = Private(row[3], _blob(row[4]), _blob(row[5]))
            known[row[0], row[1]] = Known(bytes(row[2]), private, _flags(row[6]))
    return known


def append_conflict(
    tx: Tx,
    key: tuple[int, str],
    fingerprint: bytes,
    content: str | None,
    private: Private,
    received_ms: int,
) -> None:
    """Keep a contradicting repeat, once, and at most 20 of one record."""
    tx.execute(
        "INSERT INTO charging_record_conflicts (device_no, record_id, fingerprint, subject_id,"
        " content, sealed_content, received_ms) SELECT $1, $2, $3, $4, $5, $6, $7"
        " WHERE (SELECT count(*) FROM charging_record_conflicts"
        " WHERE device_no = $1 AND record_id = $2) < $8"
        " ON CONFLICT (device_no, record_id, fingerprint) DO NOTHING",
        *key,
        fingerprint,
        private.subject_id,
        content,
        private.sealed_extras,
        received_ms,
        _CONFLICTS_KEPT,
    )


def update_flags(tx: Tx, key: tuple[int, str], flags: Sequence[str]) -> None:
    """Replace the flags of a record."""
    tx.execute(
        "UPDATE charging_records SET flags = $1 WHERE device_no = $2 AND record_id = $3",
        " ".join(flags),
        *key,
    )


def count_records(tx: Tx, wanted: RecordFilter) -> int:
    """Return how many records match."""
    where, parameters = _where(wanted)
    row = tx.row(f"SELECT count(*) FROM charging_records WHERE {where}", *parameters)
    return int(row[0]) if row else 0


def list_records(tx: Tx, wanted: RecordFilter, limit: int, offset: int) -> list[StoredRecord]:
    """Return up to ``limit`` matching records after skipping ``offset``, newest first."""
    where, parameters = _where(wanted)
    last = len(parameters)
    # The inner query runs on the index alone, so that what is skipped is never read.
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM charging_records WHERE record_no IN"
        f" (SELECT record_no FROM charging_records WHERE {where}"
        f" ORDER BY {_ORDER} LIMIT ${last + 1} OFFSET ${last + 2}) ORDER BY {_ORDER}",
        *parameters,
        limit,
        offset,
    )
    return [_from_row(row) for row in rows]


def list_records_after(
    tx: Tx, wanted: RecordFilter, position: Position, limit: int
) -> list[StoredRecord]:
    """Return up to ``limit`` matching records that come after ``position``, newest first."""
    where, parameters = _where(wanted)
    last = len(parameters)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM charging_records WHERE {where} AND start_ms <= ${last + 1}"
        f" AND (start_ms < ${last + 1} OR (record_id, device_no) > (${last + 2}, ${last + 3}))"
        f" ORDER BY {_ORDER} LIMIT ${last + 4}",
        *parameters,
        *position,
        limit,
    )
    return [_from_row(row) for row in rows]


def find_span(
    tx: Tx, device_no: int, record_id: str, operator_id: str
) -> tuple[int, int, int, int] | None:
    """Return (device, connector, start, end in ms) of a record if it is the operator's."""
    row = tx.row(
        "SELECT connector_id, start_ms, end_ms FROM charging_records"
        " WHERE device_no = $1 AND record_id = $2 AND operator_id = $3",
        device_no,
        record_id,
        operator_id,
    )
    return None if row is None else (device_no, row[0], row[1], row[2])


def has_records(tx: Tx, operator_id: str, device_no: int) -> bool:
    """Tell whether the operator holds records of a device, perhaps from before it moved on."""
    return (
        tx.row(
            "SELECT 1 FROM charging_records WHERE device_no = $1 AND operator_id = $2 LIMIT 1",
            device_no,
            operator_id,
        )
        is not None
    )


def is_site_of(tx: Tx, site_id: str, operator_id: str) -> bool:
    """Tell whether a site exists and is the operator's."""
    owned = "SELECT 1 FROM sites WHERE site_id = $1 AND operator_id = $2"
    return tx.row(owned, site_id, operator_id) is not None


def _where(wanted: RecordFilter) -> tuple[str, list[object]]:
    conditions = ["operator_id = $1"]
    values: list[object] = [wanted.operator_id]
    for condition, value in (
        ("device_no = $", wanted.device_no),
        ("connector_id = $", wanted.connector_id),
        ("site_id = $", wanted.site_id),
        ("start_ms >= $", wanted.from_ms),
        ("start_ms < $", wanted.to_ms),
    ):
        if value is not None:
            values.append(value)
            conditions.append(f"{condition}{len(values)}")
    if wanted.withheld:
        conditions.append(without("device_no", wanted.withheld))
    return " AND ".join(conditions), values


def _to_row(record: NewRecord) -> Row:
    source, content = record.source, record.content
    return (
        source.device_no,
        content.record_id,
        source.operator_id,
        source.site_id,
        source.device_id,
        content.connector_id,
        content.start_ms,
        content.end_ms,
        content.energy_kwh,
        content.max_power_kw,
        content.avg_power_kw,
        content.cost,
        content.meter_start_kwh,
        content.meter_end_kwh,
        content.soc_start_pct,
        content.soc_end_pct,
        " ".join(record.flags),
        record.extras,
        *record.private,
        record.fingerprint,
        record.received_ms,
    )


def _from_row(row: Row) -> StoredRecord:
    content = Content(
        record_id=row[4],
        connector_id=row[5],
        start_ms=row[6],
        end_ms=row[7],
        energy_kwh=row[8],
        max_power_kw=row[9],
        avg_power_kw=row[10],
        cost=row[11],
        meter_start_kwh=row[12],
        meter_end_kwh=row[13],
        soc_start_pct=row[14],
        soc_end_pct=row[15],
    )
    private = Private(row[18], _blob(row[19]), _blob(row[20]))
    return StoredRecord(Source(*row[:4]), content, _flags(row[16]), row[17], private, row[21])


def _blob(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)


def _flags(text: str) -> tuple[str, ...]:
    return tuple(text.split())

"""Moving what does not belong in the recent log into packed hours, a little at a time.

Where the process has its database to itself: reading and packing happen on a reader thread, the
writer is held only for the rows themselves. Only this code changes packs, so what was read is still
true when it is written.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from tellus.storage.database import Database, Tx
from tellus.telemetry import rules, store
from tellus.telemetry.log import LogIndex, Position, Span
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.packing import pack, unpack
from tellus.telemetry.recent import KeepStates

_CONNECTORS_AT_ONCE = 16
_INSTANTS_AT_ONCE = 2_000
_LOOKED_AT_AT_ONCE = 64


class Aged(NamedTuple):
    """A connector's instants that are to be packed, and how far the index was read for them."""

    device_no: int
    connector_id: int
    times_ms: list[int]
    read: int


class PackedRow(NamedTuple):
    """A packed hour to be written, and the log's samples that it takes over."""

    device_no: int
    connector_id: int
    hour_ms: int
    samples: int
    content: bytes
    taken: list[PastSample]


async def compact(database: Database, index: LogIndex, keep_states: KeepStates, now_ms: int) -> int:
    """Pack everything outside the fresh span; return how many samples moved."""
    span = rules.fresh_span(now_ms, index.packed_to_ms)
    index.packed_to_ms = max(index.packed_to_ms, span[0])
    moved = 0
    batch: list[Aged] = []
    instants = 0
    for number, position in enumerate(index.connectors(), 1):
        if number % _LOOKED_AT_AT_ONCE == 0:
            await asyncio.sleep(0)
        aged = _aged(index, position, span)
        if aged is None:
            continue
        batch.append(aged)
        instants += len(aged.times_ms)
        if len(batch) >= _CONNECTORS_AT_ONCE or instants >= _INSTANTS_AT_ONCE:
            moved += await _compact_batch(database, index, keep_states, batch, span)
            batch, instants = [], 0
    if batch:
        moved += await _compact_batch(database, index, keep_states, batch, span)
    return moved


def _aged(index: LogIndex, position: Position, span: Span) -> Aged | None:
    times_ms, read = index.outside(*position, span)
    return Aged(*position, times_ms, read) if times_ms else None


async def _compact_batch(
    database: Database,
    index: LogIndex,
    keep_states: KeepStates,
    batch: Sequence[Aged],
    span: Span,
) -> int:
    rows, leaving = await database.read(_pack_batch, batch)
    await database.write(_write_rows, rows, index, keep_states, leaving)
    for aged in batch:
        index.forget(aged.device_no, aged.connector_id, span, aged.read)
    return sum(len(row.taken) for row in rows)


def _pack_batch(tx: Tx, batch: Sequence[Aged]) -> tuple[list[PackedRow], list[Sample]]:
    """Return the rows to write, and the samples that may be the last that a connector said."""
    places = [
        (aged[:2], store.list_log_samples(tx, aged.device_no, aged.connector_id, aged.times_ms))
        for aged in batch
    ]
    leaving = [
        rules.restore_sample(*place, sample)
        for place, found in places
        for sample in found
        if not sample.clock_suspect
    ]
    return pack_places(tx, places), leaving


def pack_places(tx: Tx, places: Iterable[tuple[Position, list[PastSample]]]) -> list[PackedRow]:
    """Return the packed hours that take over these samples of each (device, connector)."""
    rows = []
    for place, found in places:
        found.sort(key=lambda sample: sample.time_ms)
        by_hour = {
            hour_ms: list(group)
            for hour_ms, group in groupby(found, key=lambda sample: rules.hour_of(sample.time_ms))
        }
        packs = store.list_packs(tx, *place, sorted(by_hour))
        held = {hour_ms: content for hour_ms, _, content in packs}
        for hour_ms, taken in by_hour.items():
            before = unpack(hour_ms, held[hour_ms]) if hour_ms in held else []
            samples = rules.merge(before, taken)
            rows.append(PackedRow(*place, hour_ms, len(samples), pack(hour_ms, samples), taken))
    return rows


def _write_rows(
    tx: Tx,
    rows: Sequence[PackedRow],
    index: LogIndex,
    keep_states: KeepStates,
    leaving: Sequence[Sample],
) -> None:
    keep_states(tx, leaving)
    for row in rows:
        index.note_packed((row.device_no, row.connector_id))
        store.upsert_pack(
            tx, row.device_no, row.connector_id, row.hour_ms, row.samples, row.content
        )
        store.remove_log_samples(tx, row.device_no, row.connector_id, row.taken)

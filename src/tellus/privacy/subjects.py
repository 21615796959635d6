"""Exporting all that is held of one vehicle."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.identity.vault import Vault
from tellus.kernel.clock import Clock
from tellus.kernel.errors import NotFound
from tellus.kernel.files import FileAnswer
from tellus.kernel.ids import new_id
from tellus.kernel.units import to_text
from tellus.privacy import store_subjects
from tellus.privacy.collecting import Collector
from tellus.privacy.mentions import Mentions
from tellus.privacy.model_subjects import Charge, Held
from tellus.storage.database import Database, Tx
from tellus.telemetry.model import PastSample
from tellus.telemetry.service import TelemetryService

SAMPLES_MOST: Final = 500_000
"""How many samples go into one export; those of further charges are left out, and it says so."""

_ENVELOPE: Final = b'{"code":0,"message":"success","data":'
_encoder: Final = msgspec.json.Encoder()


class SubjectService:
    """Use cases of data subjects."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        telemetry: TelemetryService,
        mentions: Mentions,
        clock: Clock,
    ) -> None:
        self._database = database
        self._telemetry = telemetry
        self._collector = Collector(vault, mentions)
        self._clock = clock

    async def export(self, vin: str, operator_id: str | None, by: Actor) -> FileAnswer:
        """Return all that is held of a vehicle, by one operator or by all, as one JSON document.

        It is an answer like any other, only made in pieces, as it may be large.

        The audit log tells that somebody asked and how many rows there were, never of which
        vehicle.

        Raises:
            NotFound: there is no such operator.
        """
        now_ms = self._clock.now_ms()
        export_id = new_id("exp")
        asked = await self._database.read(store_subjects.list_operators, operator_id)
        if operator_id is not None and not asked:
            raise NotFound
        head = {"export_id": export_id, "vin": vin.strip(), "made_at": to_text(now_ms)}
        pieces = [_ENVELOPE, _encoder.encode(head)[:-1], b',"operators":[']
        found = 0
        for one in asked:
            held = await self._database.read(self._collector.collect, one, vin)
            if held is None:
                continue
            pieces += [b"," if found else b"", *await self._write(held)]
            rows = {table: len(rows) for table, rows in held.rows.items()}
            await self._database.write(_note, by, export_id, one, rows, now_ms)
            found += 1
        if not found:
            await self._database.write(_note, by, export_id, operator_id, {}, now_ms)
        pieces.append(b"]}}")
        return FileAnswer(
            f"{export_id}.json", "application/json", sum(map(len, pieces)), _send(pieces)
        )

    async def _write(self, held: Held) -> list[bytes]:
        """Return what is held of a subject as pieces of one JSON object."""
        head = {
            "operator_id": held.subject.operator_id,
            "subject_id": held.subject.subject_id,
            "first_heard_at": to_text(held.subject.created_ms),
            "last_heard_at": to_text(held.subject.seen_ms),
            "tables": held.rows,
            "mentions": held.mentions,
            "mentions_left_out": held.mentions_left_out,
        }
        pieces = [_encoder.encode(head)[:-1], b',"samples":[']
        count = left_out = 0
        for charge in held.charges:
            samples = [] if count >= SAMPLES_MOST else await self._samples_of(held, charge)
            left_out += count >= SAMPLES_MOST
            if samples:
                told = {
                    "device_id": charge.device_id,
                    "connector_id": charge.connector_id,
                    "record_id": charge.record_id,
                    "samples": [_sample(one) for one in samples],
                }
                pieces += [b"," if count else b"", _encoder.encode(told)]
                count += len(samples)
        pieces.append(b'],"charges_without_samples":%d}' % left_out)
        return pieces

    async def _samples_of(self, held: Held, charge: Charge) -> list[PastSample]:
        try:
            samples, _ = await self._telemetry.history(
                charge.device_id,
                held.subject.operator_id,
                charge.connector_id,
                charge.start_ms,
                charge.end_ms,
            )
        except NotFound:  # the charger is gone, or another operator's
            return []
        return samples


def _sample(sample: PastSample) -> dict[str, Any]:
    reading = sample.reading
    return {
        "timestamp": to_text(sample.time_ms),
        "state": reading.state,
        "voltage_v": reading.voltage_v,
        "current_a": reading.current_a,
        "power_kw": reading.power_kw,
        "energy_kwh": reading.energy_kwh,
        "soc_pct": reading.soc_pct,
    }


def _note(
    tx: Tx, by: Actor, export_id: str, operator_id: str | None, rows: dict[str, int], now_ms: int
) -> None:
    record(
        tx, by.name, "subject.exported", "export", export_id, operator_id, by.request_id, now_ms,
        rows=rows,
    )  # fmt: skip


async def _send(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if piece:
            yield piece

"""Collecting what is held of one vehicle, inside one read."""

from typing import Any

from tellus.identity.vault import Vault
from tellus.kernel.vins import mask_vin
from tellus.privacy import store_subjects
from tellus.privacy.mentions import Mentions
from tellus.privacy.model_subjects import Charge, Held, Subject
from tellus.privacy.rules import read_row, spans_without
from tellus.storage.database import Tx

Rows = list[dict[str, Any]]


class Collector:
    """Finds the rows of a vehicle: under its key, of its records, and of where it charged."""

    def __init__(self, vault: Vault, mentions: Mentions) -> None:
        self._vault = vault
        self._mentions = mentions

    def collect(self, tx: Tx, operator_id: str, vin: str) -> Held | None:
        """Return what an operator holds of a vehicle; None where it does not know it."""
        subject_id = self._vault.find_subject(tx, operator_id, vin)
        subject = None if subject_id is None else store_subjects.find_subject(tx, subject_id)
        if subject is None:
            return None
        records = store_subjects.RECORDS.list(tx, operator_id, subject.subject_id)
        charges = [
            cut for one in records for cut in _own_spans(tx, _charge(one), subject.subject_id)
        ]
        rows = {"charging_records": self._show(tx, subject, vin, records)}
        for part, found in _list_parts(tx, subject, records, charges):
            kept = rows.setdefault(part.table, [])
            kept += [one for one in self._show(tx, subject, vin, found) if one not in kept]
        return self._with_mentions(tx, vin, Held(subject, rows, charges, [], 0))

    def _with_mentions(self, tx: Tx, vin: str, held: Held) -> Held:
        """Add the texts that mention the vehicle, unless another one is mentioned like it."""
        operator_id, subject_id = held.subject.operator_id, held.subject.subject_id
        found = self._mentions.list_mentions(tx, operator_id, vin)
        if found and self._mentions.is_shared(tx, operator_id, subject_id, vin):
            return held._replace(mentions_left_out=len(found))
        mask = mask_vin(vin.strip())
        told = [
            {"table": one.table, "column": one.column, **read_row({"text": one.text}, vin, mask)}
            for one in found
        ]
        return held._replace(mentions=told)

    def _show(self, tx: Tx, subject: Subject, vin: str, rows: Rows) -> Rows:
        """Return rows as they are exported, what is sealed in them opened."""
        mask = mask_vin(vin.strip())
        return [read_row(self._open(tx, subject.subject_id, row), vin, mask) for row in rows]

    def _open(self, tx: Tx, subject_id: str, row: dict[str, Any]) -> dict[str, Any]:
        opened = {}
        for name, value in row.items():
            if not name.startswith("sealed_"):
                opened[name] = value
            elif value is not None:
                content = self._vault.open_for(tx, subject_id, bytes(value))
                opened[name.removeprefix("sealed_")] = content and content.decode()
        return opened


def _list_parts(
    tx: Tx, subject: Subject, records: Rows, charges: list[Charge]
) -> list[tuple[store_subjects.Part, Rows]]:
    operator_id = subject.operator_id
    found = [(part, part.list(tx, subject.subject_id)) for part in store_subjects.KEYED]
    found += [
        (part, part.list(tx, operator_id, one["device_no"], one["record_id"]))
        for part in store_subjects.OF_RECORD
        for one in records
    ]
    found += [
        (
            part,
            part.list(tx, operator_id, one.device_no, one.connector_id, one.start_ms, one.end_ms),
        )
        for part in store_subjects.OF_CHARGE
        for one in charges
    ]
    return found


def _own_spans(tx: Tx, charge: Charge, subject_id: str) -> list[Charge]:
    """Return a charge without the time in which others are said to have charged there."""
    others = store_subjects.list_other_charges(tx, charge, subject_id)
    spans = spans_without((charge.start_ms, charge.end_ms), others)
    return [charge._replace(start_ms=start, end_ms=end) for start, end in spans]


def _charge(row: dict[str, Any]) -> Charge:
    names = ("device_no", "device_id", "connector_id", "record_id", "start_ms", "end_ms")
    return Charge(*(row[name] for name in names))

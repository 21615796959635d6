"""The record of processing, for administrators."""

import msgspec

from tellus.kernel.call import Call, Nothing
from tellus.privacy.model import About, Erased, Exported, ProcessedTable, Receiver
from tellus.privacy.record import ProcessingRecord


class ColumnGroupItem(msgspec.Struct, frozen=True):
    """Columns that hold the same kind of thing, and whom it is about."""

    about: About
    columns: list[str]
    holds: str


class ProcessedTableItem(msgspec.Struct, frozen=True, kw_only=True):
    """A table: what for, for how long, who gets it, with what it goes before its time.

    ``settings`` are the settings in days that decide, with their present values; 0 is for ever.
    ``legal_ground`` is for the operator to say, as no software can know it. ``exported`` says how
    rows of one vehicle are found for its export, ``why_not`` why there are none.
    """

    table: str
    feature: str
    purpose: str
    legal_ground: str | None
    kept: str
    settings: dict[str, int]
    receivers: list[Receiver]
    erased: Erased
    exported: Exported
    why_not: str
    groups: list[ColumnGroupItem]


class ProcessingRecordResponse(msgspec.Struct, frozen=True):
    """The record of processing: every table there is, by feature and name."""

    tables: list[ProcessedTableItem]


async def get_processing_record(
    record: ProcessingRecord, _call: Call[Nothing, Nothing]
) -> ProcessingRecordResponse:
    """Return the record of processing."""
    return ProcessingRecordResponse([_item(table, record) for table in record.tables])


def _item(table: ProcessedTable, record: ProcessingRecord) -> ProcessedTableItem:
    return ProcessedTableItem(
        table=table.name,
        feature=table.feature,
        purpose=table.purpose,
        legal_ground=None,
        kept=table.kept,
        settings=record.days_of(table),
        receivers=list(table.receivers),
        erased=table.erased,
        exported=table.exported,
        why_not=table.why_not,
        groups=[
            ColumnGroupItem(group.about, list(group.names), group.holds) for group in table.groups
        ],
    )

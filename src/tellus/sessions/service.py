"""Use cases of charging records: take them in, list them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tellus.consent.model import Service
from tellus.fleet.directory import Device, Directory
from tellus.identity.vault import Vault
from tellus.kernel.errors import Conflict, NotFound
from tellus.sessions import store
from tellus.sessions.model import (
    ChargingRecord,
    Content,
    Outcome,
    Position,
    RecordFilter,
    RecordsStored,
    Source,
    VinMode,
)
from tellus.sessions.rules import read_extras, shown_to
from tellus.sessions.uploads import RecordUploads, Upload
from tellus.storage.database import Database, Tx


class RecordContradicted(Conflict):
    """4001: the charger sent other content under this ``record_id`` before; that one stands."""

    def __init__(self) -> None:
        super().__init__("Another record with this record_id is stored", field="record_id")


class RecordList(NamedTuple):
    """A part of a list.

    ``total`` counts all that match; ``following`` is the place after which the next part starts,
    None at the end.
    """

    total: int
    records: list[ChargingRecord]
    following: Position | None


class RecordService:
    """Charging records of all chargers."""

    def __init__(self, database: Database, directory: Directory, vault: Vault) -> None:
        self._database = database
        self._directory = directory
        self._vault = vault
        self.uploads = RecordUploads(vault)

    def react(self, in_tx: Callable[[Tx, RecordsStored], None]) -> None:
        """Register who is told of new records, inside the transaction that stores them."""
        self.uploads.in_tx.append(in_tx)

    async def upload(self, device_no: int, content: Content, now_ms: int) -> Outcome:
        """Store one record; an identical repeat changes nothing.

        Raises:
            RecordContradicted: another content stands under this id; this one is kept beside it.
            NotFound: the charger is gone.
        """
        (outcome,) = await self.upload_many(device_no, [content], now_ms)
        if outcome is Outcome.CONFLICT:
            raise RecordContradicted
        return outcome

    async def upload_many(
        self, device_no: int, contents: Sequence[Content], now_ms: int
    ) -> list[Outcome]:
        """Store records of one charger in one commit; return an outcome each, in order.

        Raises:
            NotFound: the charger is gone.
        """
        if not contents:
            return []
        device = self._directory.by_no(device_no)
        if device is None:
            raise NotFound
        upload = Upload(_source_of(device), contents, now_ms)
        outcomes: list[Outcome] = await self._database.submit(self.uploads, upload)
        return outcomes

    async def list_page(
        self, wanted: RecordFilter, vin_mode: str, *, limit: int, offset: int
    ) -> RecordList:
        """Return a page of the operator's records, newest first; past the end it is empty."""
        wanted = self._sift(wanted)
        return await self._database.read(self._load_page, wanted, vin_mode, limit, offset)

    async def list_after(
        self, wanted: RecordFilter, vin_mode: str, *, limit: int, position: Position
    ) -> RecordList:
        """Return the operator's records that come after ``position``, newest first."""
        wanted = self._sift(wanted)
        return await self._database.read(self._load_after, wanted, vin_mode, limit, position)

    async def read_part(
        self, wanted: RecordFilter, vin_mode: str, *, limit: int, position: Position | None
    ) -> RecordList:
        """Return the first records, or those after ``position``, uncounted (``total`` is 0)."""
        wanted = self._sift(wanted)
        return await self._database.read(self._load_part, wanted, vin_mode, limit, position)

    async def find_span(
        self, device_id: str, record_id: str, operator_id: str
    ) -> tuple[int, int, int, int] | None:
        """Return (device, connector, start, end in ms) of a record, None of another operator's."""
        device = self._directory.by_id(device_id)
        if device is None:
            return None
        return await self._database.read(store.find_span, device.device_no, record_id, operator_id)

    async def find_device_no(self, device_id: str, operator_id: str) -> int:
        """Return the number of a device that is the operator's, or was when it sent records.

        Raises:
            NotFound: it never was, or does not exist.
        """
        device = self._directory.by_id(device_id)
        if device is not None and (
            device.operator_id == operator_id
            or await self._database.read(store.has_records, operator_id, device.device_no)
        ):
            return device.device_no
        raise NotFound

    async def require_site(self, site_id: str, operator_id: str) -> None:
        """Return if the site is the operator's.

        Raises:
            NotFound: it is another's or does not exist.
        """
        if not await self._database.read(store.is_site_of, site_id, operator_id):
            raise NotFound

    def _sift(self, wanted: RecordFilter) -> RecordFilter:
        """Leave out the devices whose owners have not agreed."""
        withheld = self._directory.withheld(wanted.operator_id, Service.ENERGY_REPORTING)
        return wanted._replace(withheld=withheld)

    def _load_page(
        self, tx: Tx, wanted: RecordFilter, vin_mode: str, limit: int, offset: int
    ) -> RecordList:
        total = store.count_records(tx, wanted)
        rows = store.list_records(tx, wanted, limit, offset) if offset < total else []
        return self._open_all(tx, total, rows, vin_mode, more=offset + limit < total)

    def _load_after(
        self, tx: Tx, wanted: RecordFilter, vin_mode: str, limit: int, position: Position
    ) -> RecordList:
        total = store.count_records(tx, wanted)
        rows = store.list_records_after(tx, wanted, position, limit + 1)
        return self._open_all(tx, total, rows[:limit], vin_mode, more=len(rows) > limit)

    def _load_part(
        self, tx: Tx, wanted: RecordFilter, vin_mode: str, limit: int, position: Position | None
    ) -> RecordList:
        if position is None:
            rows = store.list_records(tx, wanted, limit + 1, 0)
        else:
            rows = store.list_records_after(tx, wanted, position, limit + 1)
        return self._open_all(tx, 0, rows[:limit], vin_mode, more=len(rows) > limit)

    def _open_all(
        self, tx: Tx, total: int, rows: Sequence[store.StoredRecord], vin_mode: str, *, more: bool
    ) -> RecordList:
        records = [self._open(tx, row, vin_mode) for row in rows]
        following = None
        if more and rows:
            last = rows[-1]
            key = (last.content.start_ms, last.content.record_id, last.source.device_no)
            following = Position(*key)
        return RecordList(total, records, following)

    def _open(self, tx: Tx, row: store.StoredRecord, vin_mode: str) -> ChargingRecord:
        private = row.private
        written: str | bytes | None = row.extras
        vin = None
        if private.subject_id is not None:
            if private.sealed_vin is not None and vin_mode != VinMode.NONE:
                vin = self._vault.open(tx, private.subject_id, private.sealed_vin)
            if private.sealed_extras is not None:
                written = self._vault.open_for(tx, private.subject_id, private.sealed_extras)
        extras, vehicle_extras = read_extras(written)
        content = msgspec.structs.replace(
            row.content, vin=vin, extras=extras, vehicle_extras=vehicle_extras
        )
        return ChargingRecord(row.source, shown_to(content, vin_mode), row.flags, row.received_ms)


def _source_of(device: Device) -> Source:
    return Source(device.device_no, device.device_id, device.operator_id, device.site_id)

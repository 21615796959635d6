"""Component health as it is asked for: a device's parts now, and one metric over time."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device, Directory
from tellus.health import rules_view, store, store_due
from tellus.health.model import FoldedRow, Place
from tellus.health.model_view import ConnectorHealth, Wear
from tellus.health.rules import hour_of
from tellus.health.rules_wear import LOOK_BACK_MS, RATED_CONTACTOR
from tellus.health.service import read_hour_rows, read_minutes_of_hours, read_newest_rows
from tellus.kernel.errors import NotFound
from tellus.kernel.units import HOUR_MS
from tellus.storage.database import Database, Tx

Resolution = Literal["minute", "hour"]


class Asked(NamedTuple):
    """A part of a connector's history: ``[from_ms, to_ms)``, up to ``limit`` rows of it."""

    resolution: Resolution
    from_ms: int
    to_ms: int
    limit: int


class HealthQueries:
    """Reads component health for the operator whose device it is."""

    def __init__(self, database: Database, directory: Directory, catalogue: Catalogue) -> None:
        self._database = database
        self._directory = directory
        self._catalogue = catalogue

    async def read_device(
        self, device_id: str, operator_id: str, now_ms: int
    ) -> list[ConnectorHealth]:
        """Return the parts of each connector that reported any.

        Raises:
            NotFound: the device is absent or another operator's.
        """
        device = self._find(device_id, operator_id)
        model = self._catalogue.find(device.model)
        rated = None if model is None else RATED_CONTACTOR[model.current]
        return await self._database.read(_view, device.device_no, rated, now_ms)

    async def read_history(
        self, device_id: str, operator_id: str, connector_id: int, asked: Asked
    ) -> tuple[list[FoldedRow], int | None]:
        """Return minutes or hours of a connector, and the instant (ms) to go on from, if any.

        Raises:
            NotFound: the device is absent or another operator's, or has no such connector.
        """
        device = self._find(device_id, operator_id)
        if connector_id not in device.connectors:
            raise NotFound
        return await self._database.read(_read_page, (device.device_no, connector_id), asked)

    def read_wear(self, tx: Tx, device: Device, now_ms: int) -> dict[int, dict[str, Wear]]:
        """Return the wear of each connector's parts, by connector and part."""
        model = self._catalogue.find(device.model)
        rated = None if model is None else RATED_CONTACTOR[model.current]
        views = _view(tx, device.device_no, rated, now_ms)
        return {one.connector_id: one.wear for one in views}

    def _find(self, device_id: str, operator_id: str) -> Device:
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        return device


def _view(tx: Tx, device_no: int, rated: int | None, now_ms: int) -> list[ConnectorHealth]:
    newest = {row.key[1]: row for row in read_newest_rows(tx, device_no)}
    hours = read_hour_rows(tx, device_no, now_ms - LOOK_BACK_MS, now_ms + HOUR_MS)
    grouped = {
        connector_id: list(rows) for connector_id, rows in groupby(hours, lambda row: row.key[1])
    }
    owned_ms = store.find_owned_since(tx, device_no)
    found = []
    for connector_id, row in newest.items():
        own = grouped.get(connector_id, [])
        since_ms = {name: _find_since(tx, name, own, owned_ms) for name in row.folded.words}
        known_ms = {name: one for name, one in since_ms.items() if one is not None}
        found.append(rules_view.view_connector(row, own, known_ms, rated, now_ms))
    return found


def _find_since(tx: Tx, name: str, hours: Sequence[FoldedRow], owned_ms: int) -> int | None:
    """Return since when a status has its word: to the minute where that is known, else the hour."""
    hour = rules_view.find_run(name, hours)
    if hour is None:
        return None
    device_no, connector_id, start_ms = hour.key
    minutes = store.list_spans_of(
        tx, store.MINUTES, (device_no, connector_id), max(start_ms, owned_ms), start_ms + HOUR_MS
    )
    minute = rules_view.find_run(name, minutes)
    return start_ms if minute is None else minute.key[2]


def _read_page(tx: Tx, place: Place, asked: Asked) -> tuple[list[FoldedRow], int | None]:
    owned_ms = store.find_owned_since(tx, place[0])
    from_ms = max(asked.from_ms, owned_ms)
    table: store.Table = store.MINUTES if asked.resolution == "minute" else store.HOURS
    rows = store.list_spans_of(tx, table, place, from_ms, asked.to_ms, asked.limit + 1)
    if table == store.HOURS:
        to_ms = rows[-1].key[2] + 1 if len(rows) > asked.limit else asked.to_ms
        from_ms = max(asked.from_ms, hour_of(owned_ms))
        due = store_due.list_due_of(tx, place[0], from_ms, to_ms)
        rows = read_minutes_of_hours(tx, [key for key in due if key[1] == place[1]], rows, owned_ms)
    if len(rows) <= asked.limit:
        return rows, None
    return rows[: asked.limit], rows[asked.limit].key[2]

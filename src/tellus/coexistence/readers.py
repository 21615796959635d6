"""Who read what of a device: the counts of all nodes, by day."""

from collections.abc import Sequence

from tellus.coexistence import store
from tellus.coexistence.model import ReadCount, ReadsWanted
from tellus.fleet.directory import Device, Directory
from tellus.kernel.errors import NotFound
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database

_LAST_DAY = 2**31

Days = tuple[int | None, int | None]
"""The first and the last day (since 1970 UTC) asked for, both included; None for no bound."""


class ReaderService:
    """Lists the reads that reached a device since it is its present operator's."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._directory = directory

    async def list_reads(
        self,
        device_id: str,
        operator_id: str | None,
        days: Days,
        page: tuple[int, int],
        within: Sequence[tuple[int, int]] | None = None,
    ) -> tuple[int, list[ReadCount]]:
        """Return how many counts there are and a page (offset, size), newest day first.

        ``operator_id`` None asks as an administrator. ``within`` are spans of days, both ends
        included, outside of which nothing is shown.

        Raises:
            NotFound: the device is absent or another operator's.
        """
        device = self._find(device_id, operator_id)
        since = device.owned_since_ms // DAY_MS
        wanted = ReadsWanted(
            device.device_id,
            device.site_id,
            device.operator_id,
            max(since, days[0] or 0),
            _LAST_DAY if days[1] is None else days[1],
            None if within is None else tuple(within),
        )
        return await self._database.read(store.list_counts, wanted, page)

    def _find(self, device_id: str, operator_id: str | None) -> Device:
        device = self._directory.by_id(device_id)
        if device is None or operator_id not in (None, device.operator_id):
            raise NotFound
        return device

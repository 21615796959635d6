"""Lists of alerts for operators: narrowed to what is theirs."""

from collections.abc import AsyncGenerator, Sequence

from tellus.alerts.model import Alert, AlertFilter
from tellus.alerts.service import AlertService
from tellus.fleet.directory import Directory
from tellus.kernel.errors import NotFound
from tellus.sessions.service import RecordService


class AlertList:
    """Lists alerts; a device or site that is absent or another operator's is not found.

    A device that was the operator's may be asked for as long as there are such alerts of it.
    """

    def __init__(self, alerts: AlertService, directory: Directory, records: RecordService) -> None:
        self._alerts = alerts
        self._directory = directory
        self._records = records

    async def list_alerts(
        self, wanted: AlertFilter, offset: int, size: int
    ) -> tuple[int, list[Alert]]:
        """Return how many alerts match and a page of them, newest first.

        Raises:
            NotFound: the device or site is absent or another operator's.
        """
        await self._check(wanted)
        return await self._alerts.list_alerts(wanted, offset, size)

    async def read_all(self, wanted: AlertFilter) -> AsyncGenerator[Sequence[Alert], None]:
        """Return all alerts that match, newest first, some at a time.

        Raises:
            NotFound: the device or site is absent or another operator's.
        """
        await self._check(wanted)
        return self._alerts.read_all(wanted)

    async def _check(self, wanted: AlertFilter) -> None:
        if wanted.device_id is not None:
            is_owned = self._directory.owned(wanted.device_id, wanted.operator_id) is not None
            if not is_owned and not (await self._alerts.list_alerts(wanted, 0, 1))[0]:
                raise NotFound
        if wanted.site_id is not None:
            await self._records.require_site(wanted.site_id, wanted.operator_id)

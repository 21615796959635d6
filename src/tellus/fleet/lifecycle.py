"""What administrators say of a device's life: since when it is in use, its warranty, its end."""

from typing import Any, NamedTuple

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.fleet import store, store_metadata
from tellus.fleet.directory import Directory
from tellus.fleet.model_metadata import Lifecycle, Metadata
from tellus.fleet.queries import DeviceView, FleetQueries
from tellus.kernel.errors import InvalidParameter, NotFound
from tellus.kernel.units import to_text
from tellus.storage.database import Database, Tx


class LifecycleView(NamedTuple):
    """A device, and what is known of it beyond its operation."""

    device: DeviceView
    metadata: Metadata


class LifecycleAdministration:
    """Use cases of administrators around the life of devices; each is audited."""

    def __init__(self, database: Database, directory: Directory, queries: FleetQueries) -> None:
        self._database = database
        self._directory = directory
        self._queries = queries

    async def get_lifecycle(self, device_id: str, now_ms: int) -> LifecycleView:
        """Return what is known of a device's life.

        Raises:
            NotFound: there is no such device.
        """
        view = self._queries.get_device(device_id, None, now_ms)
        found = await self._queries.read_metadata([view])
        return LifecycleView(view, found[view.device.device_no])

    async def change_lifecycle(
        self, device_id: str, changes: dict[str, Any], by: Actor, now_ms: int
    ) -> LifecycleView:
        """Set ``changes``, fields of ``Lifecycle``; None takes a value away.

        Raises:
            NotFound: there is no such device.
            InvalidParameter: the device would have come into use after its end.
        """
        device = self._directory.by_id(device_id)
        if device is None:
            raise NotFound
        await self._database.write(_change, device.sn, device.device_no, changes, by, now_ms)
        return await self.get_lifecycle(device_id, now_ms)


def _change(
    tx: Tx, sn: str, device_no: int, changes: dict[str, Any], by: Actor, now_ms: int
) -> None:
    tx.lock(f"serial:{sn}")
    device = store.find_registration(tx, sn)
    if device is None or device.device_no != device_no:
        raise NotFound
    lifecycle = store_metadata.find_lifecycle(tx, device_no)._replace(**changes)
    _check(lifecycle)
    store_metadata.put_lifecycle(tx, device_no, lifecycle)
    record(
        tx,
        by.name,
        "device.lifecycle_changed",
        "device",
        device.device_id,
        device.operator_id,
        by.request_id,
        now_ms,
        **changes,
    )


def _check(lifecycle: Lifecycle) -> None:
    began_ms, ended_ms = lifecycle.activated_ms, lifecycle.decommissioned_ms
    if began_ms is not None and ended_ms is not None and ended_ms < began_ms:
        message = "Parameter 'decommissioned_at' is before the device came into use"
        raise InvalidParameter(message, "decommissioned_at", to_text(ended_ms))

"""What administrators do to devices: provisioning, re-claim windows, moving, deleting."""

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.fleet import store, store_state
from tellus.fleet.directory import Device, Directory
from tellus.fleet.enrolment import EnrolmentTokens
from tellus.fleet.model import Provisioning, Registration, Site
from tellus.fleet.queries import DeviceView, FleetQueries
from tellus.identity.model import DeviceRecord
from tellus.identity.service import IdentityService
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import is_identifier
from tellus.kernel.units import SECOND_MS
from tellus.storage.database import Database, Tx
from tellus.storage.settling import Settling


class AlreadyRegistered(Conflict):
    """The serial number is a device already; open a re-claim window instead."""

    def __init__(self, device_id: str) -> None:
        super().__init__("This serial number is registered already", device_id=device_id)


class Enrolment(NamedTuple):
    """A serial number that may be claimed, and the token that proves it, told this once."""

    provisioning: Provisioning
    token: str


class DeviceChange(NamedTuple):
    """What an administrator sets for a device; the fields are those after the change."""

    site_id: str
    rated_power_kw: float | None
    v2g: bool | None


class DeviceMoved(NamedTuple):
    """A device belongs to another operator from now on."""

    device_no: int
    device_id: str
    operator_id: str
    now_ms: int


class DeviceChanged(NamedTuple):
    """A device was put under a site, perhaps the same, and its figures were set, perhaps the same.

    ``operator_id`` and ``site_id`` are those before; ``has_moved`` if they are others now,
    ``has_other_figures`` if its rating is.
    """

    device_no: int
    operator_id: str
    site_id: str
    has_moved: bool
    has_other_figures: bool
    now_ms: int


class Changed(NamedTuple):
    """A device after a change of its place or figures; ``moved`` if it changed hands."""

    site: Site
    change: DeviceChange
    record: DeviceRecord | None
    moved: DeviceMoved | None


class DeviceAdministration:
    """Use cases of administrators around devices; each is audited in its own transaction."""

    def __init__(
        self,
        database: Database,
        identity: IdentityService,
        directory: Directory,
        tokens: EnrolmentTokens,
        queries: FleetQueries,
    ) -> None:
        self._database = database
        self._settling = Settling(database)
        self._identity = identity
        self._directory = directory
        self._tokens = tokens
        self._queries = queries
        self._in_tx: list[Callable[[Tx, DeviceMoved], None]] = []
        self._after_commit: list[Callable[[DeviceMoved], None]] = []
        self.on_changed: list[Callable[[Tx, DeviceChanged], None]] = []
        """Called in the transaction of every change of a device, before it is written."""

    def react(
        self,
        *,
        in_tx: Callable[[Tx, DeviceMoved], None],
        after_commit: Callable[[DeviceMoved], None],
    ) -> None:
        """Register who is told of devices that change hands.

        ``in_tx`` runs inside the transaction of the move and may write; ``after_commit`` on the
        event loop once that is durable and memory has followed.
        """
        self._in_tx.append(in_tx)
        self._after_commit.append(after_commit)

    # ---------------------------------------------------------------- provisioning

    async def provision(self, wanted: Provisioning, by: Actor) -> Enrolment:
        """Let a site expect a serial number, and return its enrolment token.

        A serial number that was expected already is expected anew; its earlier token is void.
        ``wanted.operator_id`` is taken from the site.

        Raises:
            InvalidParameter: the serial number has characters that no identifier may have.
            NotFound: there is no such site.
            AlreadyRegistered: it is a device already.
        """
        if not is_identifier(wanted.sn):
            message = "Parameter 'sn' must be 1 to 64 letters, digits, or . _ : -"
            raise InvalidParameter(message, "sn", wanted.sn)
        return await self._database.write(self._provision, wanted, by)

    def _provision(self, tx: Tx, wanted: Provisioning, by: Actor) -> Enrolment:
        tx.lock(f"serial:{wanted.sn}")
        site = store.find_site(tx, wanted.site_id)
        if site is None:
            raise NotFound
        device = store.find_registration(tx, wanted.sn)
        if device is not None:
            raise AlreadyRegistered(device.device_id)
        before = store.find_provisioning(tx, wanted.sn)
        made = replace(
            wanted,
            operator_id=site.operator_id,
            token_round=before.token_round + 1 if before else 0,
        )
        store.upsert_provisioning(tx, made)
        _record(tx, by, "device.provisioned", made.sn, site.operator_id, made.created_ms)
        return Enrolment(made, self._tokens.token(made))

    async def withdraw(self, sn: str, by: Actor, now_ms: int) -> None:
        """Let a serial number be expected no longer; a device that it became stays.

        Raises:
            NotFound: it is not expected.
        """
        await self._database.write(self._withdraw, sn, by, now_ms)

    def _withdraw(self, tx: Tx, sn: str, by: Actor, now_ms: int) -> None:
        tx.lock(f"serial:{sn}")
        before = store.find_provisioning(tx, sn)
        if before is None:
            raise NotFound
        store.delete_provisioning(tx, sn)
        _record(tx, by, "device.provisioning_withdrawn", sn, before.operator_id, now_ms)

    async def open_reclaim(
        self, device_id: str, window_s: int, by: Actor, now_ms: int
    ) -> Enrolment:
        """Let an active device register again within ``window_s``, and return its token.

        Its present secrets go on working until the new one is used, and a day longer.

        Raises:
            NotFound: there is no such device.
        """
        device = self._directory.by_id(device_id)
        if device is None:
            raise NotFound
        return await self._database.write(self._open_reclaim, device.sn, window_s, by, now_ms)

    def _open_reclaim(self, tx: Tx, sn: str, window_s: int, by: Actor, now_ms: int) -> Enrolment:
        tx.lock(f"serial:{sn}")
        device = store.find_registration(tx, sn)
        if device is None:
            raise NotFound
        until_ms = now_ms + window_s * SECOND_MS
        made = self._expect_again(store.find_provisioning(tx, sn), sn, device, until_ms, now_ms)
        store.upsert_provisioning(tx, made)
        store.set_reclaim(tx, device.device_no, until_ms, now_ms)
        action, device_id = "device.reclaim_opened", device.device_id
        _record(tx, by, action, device_id, device.operator_id, now_ms, window_s=window_s)
        return Enrolment(made, self._tokens.token(made))

    @staticmethod
    def _expect_again(
        before: Provisioning | None, sn: str, device: Registration, until_ms: int, now_ms: int
    ) -> Provisioning:
        if before is None:
            before = Provisioning(sn, device.operator_id, device.site_id, now_ms, now_ms)
        return replace(
            before,
            operator_id=device.operator_id,
            site_id=device.site_id,
            claim_from_ms=now_ms,
            claim_until_ms=until_ms,
            token_round=before.token_round + 1,
        )

    # ---------------------------------------------------------------- devices

    def get_device(self, device_id: str, now_ms: int) -> DeviceView:
        """Return a device of any operator.

        Raises:
            NotFound: there is no such device.
        """
        return self._queries.get_device(device_id, None, now_ms)

    async def change_device(
        self, device_id: str, change: DeviceChange, by: Actor, now_ms: int
    ) -> None:
        """Move a device to a site, perhaps of another operator, and set its figures.

        Raises:
            NotFound: there is no such device or site.
        """
        device = self._directory.by_id(device_id)
        if device is None:
            raise NotFound
        await self._settling.settle(
            lambda changed: self._follow_change(device, changed),
            self._change_device,
            device,
            change,
            by,
            now_ms,
        )

    def _change_device(
        self, tx: Tx, device: Device, change: DeviceChange, by: Actor, now_ms: int
    ) -> Changed:
        tx.lock(f"serial:{device.sn}")
        site = store.find_site(tx, change.site_id)
        # Memory follows a commit later: only the store knows what another call has just done to it.
        stored = store.find_registration(tx, device.sn)
        if site is None or stored is None or stored.device_no != device.device_no:
            raise NotFound
        place = (site.operator_id, site.site_id)
        figures = (change.rated_power_kw, change.v2g)
        self._tell_change(tx, device, stored, change, now_ms)
        secrets, moved = None, None
        if site.operator_id != stored.operator_id:
            secrets = self._identity.move_device(tx, device.device_no, site.operator_id)
        store.update_device(tx, device.device_no, place, figures, now_ms)
        if secrets is not None:
            store.set_owned_since(tx, device.device_no, now_ms)
            store_state.delete_connector_states(tx, device.device_no)
            moved = DeviceMoved(device.device_no, device.device_id, site.operator_id, now_ms)
            for tell in self._in_tx:
                tell(tx, moved)
        details = change._asdict()
        _record(tx, by, "device.changed", device.device_id, site.operator_id, now_ms, **details)
        return Changed(site, change, secrets, moved)

    def _tell_change(
        self, tx: Tx, device: Device, stored: Registration, change: DeviceChange, now_ms: int
    ) -> None:
        told = DeviceChanged(
            device.device_no,
            stored.operator_id,
            stored.site_id,
            has_moved=stored.site_id != change.site_id,
            has_other_figures=device.rated_power_kw != change.rated_power_kw,
            now_ms=now_ms,
        )
        for tell in self.on_changed:
            tell(tx, told)

    def _follow_change(self, device: Device, changed: Changed) -> None:
        if changed.record is not None:
            self._identity.remember_device(changed.record)
        if changed.moved is not None:
            device.owned_since_ms = changed.moved.now_ms
            for connector in device.connectors.values():
                connector.forget_reading()
        device.rated_power_kw = changed.change.rated_power_kw
        device.v2g = changed.change.v2g
        self._directory.move(device, changed.site.operator_id, changed.site.site_id)
        if changed.moved is not None:
            for tell in self._after_commit:
                tell(changed.moved)

    async def delete_device(self, device_id: str, by: Actor, now_ms: int) -> None:
        """Let a device exist no longer: its credentials die, its history stays in the store.

        Raises:
            NotFound: there is no such device.
        """
        device = self._directory.by_id(device_id)
        if device is None:
            raise NotFound
        await self._settling.settle(
            lambda revoked: self._forget(device, revoked), self._delete_device, device, by, now_ms
        )

    def _delete_device(self, tx: Tx, device: Device, by: Actor, now_ms: int) -> DeviceRecord:
        tx.lock(f"serial:{device.sn}")
        stored = store.find_registration(tx, device.sn)
        if stored is None or stored.device_no != device.device_no:
            raise NotFound
        revoked = self._identity.revoke_device(tx, device.device_no, now_ms)
        store.mark_deleted(tx, device.device_no, now_ms)
        store.delete_provisioning(tx, device.sn)
        action, device_id = "device.deleted", device.device_id
        _record(tx, by, action, device_id, device.operator_id, now_ms, sn=device.sn)
        return revoked

    def _forget(self, device: Device, revoked: DeviceRecord) -> None:
        self._identity.remember_device(revoked)
        self._directory.remove(device)


def _record(
    tx: Tx,
    by: Actor,
    action: str,
    resource_id: str,
    operator_id: str,
    now_ms: int,
    **details: Any,
) -> None:
    """Append to the audit log what was done to a device, or to a serial number not yet one."""
    record(
        tx, by.name, action, "device", resource_id, operator_id, by.request_id, now_ms, **details
    )

"""What a customer sees and decides: chargers, consents, readers, and the switch."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from tellus.audit.model import Actor
from tellus.coexistence.model import ReadCount
from tellus.coexistence.readers import Days, ReaderService
from tellus.consent.model import Consent, ConsentFilter, Scope, State
from tellus.consent.service import ConsentService
from tellus.fleet.administration import DeviceChanged
from tellus.fleet.directory import Device, Directory
from tellus.kernel.clock import Clock
from tellus.kernel.errors import NotFound
from tellus.portal import rules, store
from tellus.portal.model import Charger, Customer, FormerSite
from tellus.storage.database import Database, Tx

_MOST: Final = 1_000_000


class PortalService:
    """The portal of every customer; all that a customer's consents do not name is absent."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        consents: ConsentService,
        readers: ReaderService,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._consents = consents
        self._readers = readers
        self._clock = clock
        self.enforced = consents.required
        """Whether anything rests on consent in this installation."""

    # ----------------------------------------------------------------- consents

    async def list_consents(
        self, customer: Customer, offset: int, size: int
    ) -> tuple[int, list[Consent]]:
        """Return how many consents a customer has or had and one page of them, newest first."""
        wanted = ConsentFilter(operator_id=customer.operator_id, customer=customer.name)
        return await self._consents.list_consents(wanted, offset, size)

    async def get_consent(self, customer: Customer, consent_id: str) -> Consent:
        """Return a consent of a customer.

        Raises:
            NotFound: there is none such, or it is somebody else's.
        """
        consent = await self._consents.get_consent(consent_id)
        if (consent.operator_id, consent.customer) != customer:
            raise NotFound
        return consent

    async def switch_off(
        self, customer: Customer, consent_id: str, reason: str | None, by: Actor
    ) -> Consent:
        """Revoke a consent of a customer, at once and for good.

        Raises:
            NotFound: there is none such, or it is somebody else's.
            ConsentRevoked: it is over already.
        """
        await self.get_consent(customer, consent_id)
        return await self._consents.revoke(consent_id, reason, by)

    def state_of(self, consent: Consent) -> State:
        """Return where a consent stands now."""
        return self._consents.state_of(consent)

    # ----------------------------------------------------------------- chargers

    async def list_chargers(self, customer: Customer) -> list[Charger]:
        """Return all chargers that a customer's consents cover, or covered, by serial number."""
        _, consents = await self.list_consents(customer, 0, _MOST)
        if not consents:
            return []
        moves = await self._database.read(store.list_former_sites, customer.operator_id)
        former = {no: list(some) for no, some in groupby(moves, key=attrgetter("device_no"))}
        named: dict[tuple[Scope, str], list[Consent]] = {}
        for consent in consents:
            named.setdefault((consent.scope, consent.scope_id), []).append(consent)
        found = (
            self._look_at(device, named, former.get(device.device_no, ()))
            for device in self._candidates(named, moves)
            if device.operator_id == customer.operator_id
        )
        return sorted((one for one in found if one is not None), key=attrgetter("sn", "device_id"))

    async def get_charger(self, customer: Customer, device_id: str) -> Charger:
        """Return one of a customer's chargers.

        Raises:
            NotFound: there is none such, or none of the customer's consents ever covered it.
        """
        device = self._directory.owned(device_id, customer.operator_id)
        if device is None:
            raise NotFound
        _, consents = await self.list_consents(customer, 0, _MOST)
        named: dict[tuple[Scope, str], list[Consent]] = {}
        for consent in consents:
            named.setdefault((consent.scope, consent.scope_id), []).append(consent)
        former = await self._database.read(store.list_former_sites_of, device.device_no)
        charger = self._look_at(device, named, former)
        if charger is None:
            raise NotFound
        return charger

    async def list_readers(
        self, customer: Customer, device_id: str, days: Days, page: tuple[int, int]
    ) -> tuple[int, list[ReadCount]]:
        """Return how many counts there are and a page (offset, size), newest day first.

        Only of days on which a consent of the customer covered the charger.

        Raises:
            NotFound: it is none of the customer's chargers.
        """
        charger = await self.get_charger(customer, device_id)
        within = rules.days_of(charger.covered.spans)
        return await self._readers.list_reads(
            device_id, customer.operator_id, days, page, within=within
        )

    def _candidates(
        self, named: Iterable[tuple[Scope, str]], moves: Sequence[FormerSite]
    ) -> list[Device]:
        """Return the devices that consents may have covered."""
        found: dict[int, Device] = {}
        for scope, scope_id in named:
            devices: list[Device | None] = []
            if scope is Scope.OPERATOR:
                devices += self._directory.of_operator(scope_id)
            elif scope is Scope.SITE:
                devices += self._directory.of_site(scope_id)
                left = [move.device_no for move in moves if move.site_id == scope_id]
                devices += map(self._directory.by_no, left)
            else:
                devices.append(self._directory.by_id(scope_id))
            found |= {one.device_no: one for one in devices if one is not None}
        return list(found.values())

    def _look_at(
        self,
        device: Device,
        named: dict[tuple[Scope, str], list[Consent]],
        former: Sequence[FormerSite],
    ) -> Charger | None:
        """Return a device as its customer sees it, None where no consent ever covered it."""
        now_ms = self._clock.now_ms()
        since_ms = max(device.owned_since_ms, device.created_ms)
        stays = rules.stays_of(device.site_id, since_ms, former)
        sites = dict.fromkeys(stay.site_id for stay in stays)
        keys = [(Scope.DEVICE, device.device_id), (Scope.OPERATOR, device.operator_id)]
        keys += [(Scope.SITE, site_id) for site_id in sites]
        consents = [one for key in keys for one in named.get(key, ())]
        covered = rules.covered_by(consents, stays)
        if not covered.spans:
            return None
        is_covered = any(span.holds(now_ms) for span in covered.spans)
        return Charger(
            device_no=device.device_no,
            device_id=device.device_id,
            sn=device.sn,
            model=device.model,
            manufacturer=device.manufacturer,
            site_id=device.site_id,
            connector_ids=tuple(sorted(device.connectors)),
            firmware_version=device.firmware_version if is_covered else None,
            needs_firmware=self._directory.needed_firmware(device) if is_covered else None,
            agreed=rules.agreed_at(covered, device.site_id, now_ms),
            enabled=device.permit.at(now_ms) if is_covered else 0,
            is_covered=is_covered,
            covered=covered,
        )


def note_former_site(tx: Tx, changed: DeviceChanged) -> None:
    """Save which site a device has left, in the transaction in which it does."""
    if changed.has_moved:
        left = FormerSite(changed.device_no, changed.now_ms, changed.site_id)
        store.append_former_site(tx, left)

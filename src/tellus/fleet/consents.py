"""The fleet's side of consent: which devices one covers, and the permits that follow from it."""

from collections.abc import Iterable

from tellus.consent.model import Place, Scope
from tellus.consent.service import ConsentService, Covered
from tellus.fleet import store_consents
from tellus.fleet.directory import Device, Directory
from tellus.identity.service import IdentityService
from tellus.kernel.permits import Judged, Permit
from tellus.storage.database import Tx


class FleetPlaces:
    """What consent is told of the fleet (``consent.service.Places``)."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def find(self, tx: Tx, scope: Scope, scope_id: str) -> str | None:
        """Return whose a device, site or operator is; None where there is none such."""
        return store_consents.find_owner(tx, scope, scope_id)

    def covered(self, tx: Tx, scope: Scope, scope_id: str) -> list[Covered]:
        """Return all living devices that a consent covers, as stored."""
        return [
            Covered(row[0], Place(*row[1:]))
            for row in store_consents.list_covered(tx, scope, scope_id)
        ]

    def void(self, scope: Scope, scope_id: str) -> None:
        """Have the permits of what a consent covers judged again."""
        _void(self._find(scope, scope_id))

    def void_all(self) -> None:
        """Have all permits judged again."""
        _void(self._directory)

    def _find(self, scope: Scope, scope_id: str) -> list[Device]:
        if scope is Scope.SITE:
            return self._directory.of_site(scope_id)
        if scope is Scope.OPERATOR:
            return self._directory.of_operator(scope_id)
        device = self._directory.by_id(scope_id)
        return [] if device is None else [device]


def demand_consent(
    consents: ConsentService, directory: Directory, identity: IdentityService
) -> None:
    """Let devices do nothing without consent; to be called before there are any."""

    def permit_of(device: Device) -> Permit:
        def judge(now_ms: int) -> Judged:
            return consents.judge(place_of(device), now_ms)

        return Permit(0, judge)

    directory.permit_of = permit_of
    identity.demand_consent(Permit(0))


def place_of(device: Device) -> Place:
    """Return by which consents a device can be covered."""
    return Place(device.device_id, device.site_id, device.operator_id, device.firmware_version)


def _void(devices: Iterable[Device]) -> None:
    for device in devices:
        device.permit.void()

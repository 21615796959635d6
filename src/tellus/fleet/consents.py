"""The fleet's side of consent: which devices one covers, and the permits that follow from it."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from tellus.consent.model import SECOND_BACKEND_FIRMWARE, Place, Scope, Service
from tellus.consent.service import ConsentService, Covered
from tellus.fleet import store_consents
from tellus.fleet.directory import Device, Directory
from tellus.identity.service import IdentityService
from tellus.kernel.clock import Clock
from tellus.kernel.permits import Judged, Permit
from tellus.storage.database import Tx

_NOBODY: Final[tuple[int, ...]] = ()


class FleetConsents:
    """What consent is told of the fleet (``consent.service.Places``), and the fleet of consent.

    Once ``demand`` was called, each device has a permit of its own, which this judges.
    """

    def __init__(self, consents: ConsentService, directory: Directory, clock: Clock) -> None:
        self._consents = consents
        self._directory = directory
        self._clock = clock
        self._withheld: dict[tuple[str, Service], tuple[int, float, tuple[int, ...]]] = {}
        self.changes = 0

    def demand(self, identity: IdentityService) -> None:
        """Let devices do nothing without consent; to be called before there are any."""
        self._directory.consents = self
        identity.demand_consent(Permit(0))

    # ------------------------------------------------------------ what the fleet asks

    def permit_of(self, device: Device) -> Permit:
        """Return the permit of a device."""
        return Permit(0, self, device)

    def judge(self, device: Device, now_ms: int) -> Judged:
        """Return what a device may be used for, and until when."""
        return self._consents.judge(self._place_of(device), now_ms)

    def needed_firmware(self, device: Device) -> str | None:
        """Return the version that a device needs before it can be agreed to; None for none."""
        is_too_old = self._consents.is_too_old(device.model, device.firmware_version)
        return SECOND_BACKEND_FIRMWARE if is_too_old else None

    def withheld(self, operator_id: str, service: Service) -> tuple[int, ...]:
        """Return the numbers of an operator's devices without consent for a service now."""
        now_ms = self._clock.now_ms()
        key = (operator_id, service)
        changes, until_ms, numbers = self._withheld.get(key, (-1, 0.0, _NOBODY))
        if changes == self.changes and now_ms < until_ms:
            return numbers
        changes, devices = self.changes, self._directory.of_operator(operator_id)
        numbers = tuple(one.device_no for one in devices if not one.allows(service, now_ms))
        until_ms = min((one.permit.until_ms for one in devices), default=math.inf)
        self._withheld[key] = (changes, until_ms, numbers)
        return numbers

    # ----------------------------------------------------------- what consent asks

    def find(self, tx: Tx, scope: Scope, scope_id: str) -> str | None:
        """Return whose a device, site or operator is; None where there is none such."""
        return store_consents.find_owner(tx, scope, scope_id)

    def covered(self, tx: Tx, scope: Scope, scope_id: str) -> list[Covered]:
        """Return all living devices that a consent covers, as stored."""
        rows = store_consents.list_covered(tx, scope, scope_id)
        return [Covered(row[0], Place(*row[1:])) for row in rows]

    def numbered(self, tx: Tx, device_nos: Sequence[int]) -> list[Covered]:
        """Return those of some devices that are living, as stored."""
        rows = store_consents.list_numbered(tx, device_nos)
        return [Covered(row[0], Place(*row[1:])) for row in rows]

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

    @staticmethod
    def _place_of(device: Device) -> Place:
        return Place(
            device.device_id,
            device.site_id,
            device.operator_id,
            device.model,
            device.firmware_version,
        )


def _void(devices: Iterable[Device]) -> None:
    for device in devices:
        device.permit.void()

"""Which chargers a control reaches, and what each of their connectors may take."""

import asyncio
from collections.abc import Sequence
from typing import Final

from tellus.consent.model import Service
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device, Directory
from tellus.flexibility import rules, store
from tellus.flexibility.model import Control, Share, Target, Wanted
from tellus.kernel.errors import InvalidParameter, NotFound
from tellus.storage.database import Database

SLICE: Final = 100
"""How many chargers are looked at before others get their turn."""


class TooManyChargers(InvalidParameter):
    """1001: the control would reach more chargers than ``flexibility.max_chargers`` allows."""

    def __init__(self, field: str, chargers: int, most: int) -> None:
        message = f"This would reach {chargers} chargers; flexibility.max_chargers is {most}"
        super().__init__(message, field, chargers)


class Targeting:
    """Finds chargers and works out limits; reads memory, and the store for who owns a site."""

    def __init__(
        self, database: Database, directory: Directory, catalogue: Catalogue, max_chargers: int
    ) -> None:
        self._database = database
        self._directory = directory
        self._catalogue = catalogue
        self._max_chargers = max_chargers

    async def find_chargers(self, wanted: Wanted, operator_id: str, now_ms: int) -> list[Device]:
        """Return the chargers that a new control is to reach, in order.

        Those whose owners have not agreed to it are left out.

        Raises:
            NotFound: a site is absent or another operator's, or the operator is not the caller's.
            TooManyChargers: they are more than the configuration allows.
        """
        if wanted.target_type == "site":
            sites = await self._database.read(store.list_site_ids, operator_id)
            if not sites.issuperset(wanted.target_ids):
                raise NotFound
        elif wanted.target_type == "operator" and set(wanted.target_ids) != {operator_id}:
            raise NotFound
        devices = self._reach(wanted.target_type, wanted.target_ids, operator_id, now_ms)
        if len(devices) > self._max_chargers:
            field = "target_ids" if wanted.target_type == "site" else "target_type"
            raise TooManyChargers(field, len(devices), self._max_chargers)
        return devices

    def list_reached(self, control: Control, now_ms: int) -> list[Device]:
        """Return the chargers that a control reaches now."""
        return self._reach(control.target_type, control.target_ids, control.operator_id, now_ms)

    def _reach(
        self, target_type: str, target_ids: Sequence[str], operator_id: str, now_ms: int
    ) -> list[Device]:
        devices = self._directory.of_operator(operator_id)
        if target_type == "site":
            devices = [
                device
                for site_id in dict.fromkeys(target_ids)
                for device in self._directory.of_site(site_id)
                if device.operator_id == operator_id
            ]
        return [device for device in devices if device.allows(Service.FLEXIBILITY, now_ms)]

    def share_out(self, device: Device, limit_pct: int) -> list[Share]:
        """Return what each known connector of a charger may take under ``limit_pct``."""
        ratings_kw = {
            connector_id: self._catalogue.connector_power_kw(device, connector_id)
            for connector_id in device.connectors
        }
        return rules.share_out(ratings_kw, self._catalogue.rated_power_kw(device), limit_pct)

    async def plan(self, control: Control, devices: Sequence[Device]) -> list[Target]:
        """Return the targets of a new control at ``devices``, spread over its stagger."""
        targets: list[Target] = []
        for position, device in enumerate(devices):
            if position % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            offset_ms = rules.stagger(position, len(devices), control.stagger_ms)
            targets += self.list_targets(control, device, control.created_ms, offset_ms)
        return targets

    def list_targets(
        self, control: Control, device: Device, now_ms: int, offset_ms: int, *, joined: bool = False
    ) -> list[Target]:
        """Return what a control asks of each connector of a charger, from ``now_ms`` on."""
        begin_ms = now_ms + offset_ms
        return [
            Target(
                control_no=control.control_no,
                device_no=device.device_no,
                connector_id=share.connector_id,
                device_id=device.device_id,
                offset_ms=offset_ms,
                begin_ms=begin_ms,
                until_ms=control.created_ms + control.duration_ms + offset_ms,
                limit_kw=share.limit_kw,
                joined=joined,
                due_ms=begin_ms,
            )
            for share in self.share_out(device, control.limit_pct)
        ]

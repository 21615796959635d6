"""Assigning a profile to all devices of a site at once."""

import asyncio
from typing import Final, NamedTuple

from tellus.audit.model import Actor
from tellus.commands.model import Issued
from tellus.configuration.profiles import ProfileService
from tellus.configuration.service import ConfigurationService
from tellus.consent.model import Service
from tellus.fleet.directory import Device, Directory
from tellus.fleet.queries import FleetQueries
from tellus.kernel.errors import ApiError

_AT_ONCE: Final = 50


class Outcome(NamedTuple):
    """What came of assigning a profile to one device of many: a command, or why there is none."""

    device: Device
    issued: Issued | None
    refusal: ApiError | None


class SiteConfigurations:
    """Use cases over the devices that stand at a site now."""

    def __init__(
        self,
        directory: Directory,
        queries: FleetQueries,
        profiles: ProfileService,
        configuration: ConfigurationService,
    ) -> None:
        self._directory = directory
        self._queries = queries
        self._profiles = profiles
        self._configuration = configuration

    async def assign_site(
        self,
        site_id: str,
        profile_id: str,
        issuer: tuple[str, str],
        now_ms: int,
        by: Actor,
    ) -> list[Outcome]:
        """Assign a profile to every device of a site that it is for; each is told of alone.

        All get the version that was the newest at the beginning.

        Raises:
            NotFound: the site or profile is absent or another operator's.
        """
        await self._queries.get_site(site_id, issuer[1], now_ms)
        profile = (await self._profiles.get_profile(profile_id, issuer[1])).profile
        wanted = (profile.profile_id, profile.version)
        outcomes: list[Outcome] = []
        devices = [
            device
            for device in self._directory.of_site(site_id)
            if device.allows(Service.DIAGNOSTICS, now_ms)
        ]
        for start in range(0, len(devices), _AT_ONCE):
            part = devices[start : start + _AT_ONCE]
            sending = [self._try(device, wanted, issuer, now_ms, by) for device in part]
            outcomes += await asyncio.gather(*sending)
        return outcomes

    async def _try(
        self,
        device: Device,
        wanted: tuple[str, int],
        issuer: tuple[str, str],
        now_ms: int,
        by: Actor,
    ) -> Outcome:
        try:
            issued = await self._configuration.assign(
                device.device_id, *wanted, issuer, now_ms, None, by
            )
        except ApiError as refusal:
            return Outcome(device, None, refusal)
        return Outcome(device, issued, None)

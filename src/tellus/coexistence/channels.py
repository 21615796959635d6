"""What a charger may be used for here, capability by capability."""

from importlib import resources

import msgspec

from tellus.coexistence.model_channels import Capability, Channels
from tellus.coexistence.rules_channels import find_pattern, judge_capabilities
from tellus.consent.model import services_in
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.consents import FleetConsents
from tellus.fleet.directory import Directory
from tellus.kernel.errors import NotFound


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of capabilities."""

    capabilities: list[Capability]


def load_capabilities() -> tuple[Capability, ...]:
    """Read the capabilities of the package.

    Raises:
        msgspec.ValidationError: one lacks something or has something unknown.
        ValueError: one is there twice, or says that it runs here without saying what it needs.
    """
    file = resources.files("tellus.coexistence.catalogue") / "channels.toml"
    found = msgspec.toml.decode(file.read_bytes(), type=_File).capabilities
    names = [one.name for one in found]
    wrong = [one.name for one in found if (one.service is None) != (one.channel == "ocpp")]
    if len(set(names)) != len(names) or wrong:
        message = f"Capabilities are given twice, or lack their service: {wrong or names}"
        raise ValueError(message)
    return tuple(found)


class ChannelService:
    """Tells operators what belongs on which channel, and what is enabled here."""

    def __init__(
        self,
        directory: Directory,
        catalogue: Catalogue,
        consents: FleetConsents,
        *,
        consent_required: bool,
    ) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._consents = consents
        self._consent_required = consent_required
        self._capabilities = load_capabilities()

    def read(self, device_id: str, operator_id: str, now_ms: int) -> Channels:
        """Return the channels of a device.

        Raises:
            NotFound: it is absent or another operator's.
        """
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        services = services_in(device.permit.at(now_ms))
        v2g = self._catalogue.is_v2g(device)
        required = self._consent_required
        too_old = required and self._consents.needed_firmware(device) is not None
        standings = judge_capabilities(
            self._capabilities, services, v2g=v2g, firmware_too_old=too_old
        )
        pattern = find_pattern(services, consent_required=required, v2g=v2g)
        return Channels(device_id, required, pattern, standings)

"""Which capabilities of a charger are enabled here, and which pattern that is."""

from collections.abc import Collection, Iterable

from tellus.coexistence.model_channels import Capability, Obstacle, Pattern, Standing
from tellus.consent.model import Service


def judge_capabilities(
    capabilities: Iterable[Capability],
    services: Collection[Service],
    *,
    v2g: bool,
    firmware_too_old: bool,
) -> list[Standing]:
    """Return where each capability of a charger stands, given the services that are on for it."""
    return [
        Standing(one, _find_obstacle(one, services, v2g=v2g, firmware_too_old=firmware_too_old))
        for one in capabilities
    ]


def _find_obstacle(
    capability: Capability, services: Collection[Service], *, v2g: bool, firmware_too_old: bool
) -> Obstacle | None:
    if capability.service is None:
        return Obstacle.NOT_HERE
    if capability.needs_v2g and not v2g:
        return Obstacle.NO_V2G
    if capability.service in services:
        return None
    return Obstacle.FIRMWARE if firmware_too_old else Obstacle.CONSENT


def find_pattern(
    services: Collection[Service], *, consent_required: bool, v2g: bool
) -> Pattern | None:
    """Return how the platform is used for a charger; None where nothing but firmware is on.

    An instance that asks for no consent serves the fleet of those who run it: this platform drives.
    Where consent is asked for, dispatch tells an integrator, control somebody who drives, and
    anything else is an addition to the system that does.
    """
    if not consent_required:
        return Pattern.MICROGRID
    if v2g and Service.V2G_DISPATCH in services:
        return Pattern.V2G_INTEGRATOR
    if Service.FLEXIBILITY in services:
        return Pattern.MICROGRID
    if Service.DIAGNOSTICS in services or Service.ENERGY_REPORTING in services:
        return Pattern.DIAGNOSTIC_ADDON
    return None

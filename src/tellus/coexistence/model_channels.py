"""The words of channels: capabilities, where each belongs, how an operator uses the platform."""

import enum
from typing import Annotated, Literal, NamedTuple

import msgspec

from tellus.consent.model import Service

Text = Annotated[str, msgspec.Meta(min_length=1)]
Channel = Literal["ocpp", "platform", "both"]


class Capability(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that can be done with a charger, and on which channel it belongs.

    ``service`` is what its owner has to agree to for what runs here, None where nothing does.
    """

    name: Text
    title: Text
    channel: Channel
    note: Text
    service: Service | None = None
    needs_v2g: bool = False


class Pattern(enum.StrEnum):
    """How the platform is used beside a charging-point management system (CPMS), or without one.

    ``diagnostic_addon``: a CPMS drives, this platform diagnoses. ``microgrid``: this platform
    drives. ``v2g_integrator``: this platform dispatches discharging.
    """

    DIAGNOSTIC_ADDON = "diagnostic_addon"
    MICROGRID = "microgrid"
    V2G_INTEGRATOR = "v2g_integrator"


class Obstacle(enum.StrEnum):
    """Why a capability is not enabled here."""

    NOT_HERE = "belongs_on_ocpp"
    NO_V2G = "charger_cannot_discharge"
    FIRMWARE = "firmware_too_old"
    CONSENT = "no_consent"


class Standing(NamedTuple):
    """A capability of one charger: ``obstacle`` is None where it is enabled here."""

    capability: Capability
    obstacle: Obstacle | None


class Channels(NamedTuple):
    """All capabilities of one charger, and the pattern that they come to; None for none."""

    device_id: str
    consent_required: bool
    pattern: Pattern | None
    standings: list[Standing]

"""The settings of the features: when devices are online, how commands and controls behave."""

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A group of settings: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PresenceSettings(Section):
    """When a device counts as online."""

    offline_after_s: int = Field(
        default=90, ge=5, description="Silence after which it is offline (s)."
    )
    start_grace_s: int = Field(
        default=120,
        ge=0,
        description="Time after a start in which no device is marked offline (s).",
    )


class CommandSettings(Section):
    """How long commands wait for their charger, and how they are found."""

    poll_s: float = Field(
        default=2.0,
        ge=0,
        description="How often the store is asked for commands of which no word came (s); 0 never.",
    )
    start_expires_s: int = Field(default=120, ge=1, description="Life of a start (s).")
    stop_expires_s: int = Field(default=3_600, ge=1, description="Life of a stop (s).")
    discharge_expires_s: int = Field(default=120, ge=1, description="Life of a discharge (s).")
    power_limit_expires_s: int = Field(
        default=900, ge=1, description="Longest life of a power limit on its way (s)."
    )
    schedule_expires_s: int = Field(default=604_800, ge=1, description="Life of a schedule (s).")
    firmware_expires_s: int = Field(
        default=604_800, ge=1, description="Life of a firmware upgrade on its way (s)."
    )
    configuration_expires_s: int = Field(
        default=604_800, ge=1, description="Life of a configuration profile on its way (s)."
    )
    fetch_logs_expires_s: int = Field(
        default=3_600, ge=1, description="Life of a request for logs (s)."
    )
    diagnostic_expires_s: int = Field(
        default=120, ge=1, description="Life of any other diagnostic command (s)."
    )


class FlexibilitySettings(Section):
    """Controls of many chargers at once."""

    max_chargers: int = Field(
        default=10_000, ge=1, description="Chargers that one control may reach when it is issued."
    )
    max_duration_s: int = Field(
        default=604_800, ge=1, description="Longest duration of a control (s)."
    )
    max_stagger_s: int = Field(
        default=3_600, ge=0, description="Longest time over which a control may be spread (s)."
    )


class FirmwareSettings(Section):
    """How long chargers may be silent during an upgrade, and how rollouts move."""

    acceptance_timeout_s: int = Field(
        default=86_400,
        ge=1,
        description="Silence after which a charger that accepted an upgrade has failed (s).",
    )
    return_timeout_s: int = Field(
        default=1_800,
        ge=1,
        description="Silence after which a charger that installs or restarts has failed (s).",
    )
    turn_s: float = Field(
        default=1.0, gt=0, description="How often upgrades and rollouts are looked at (s)."
    )


class LegacySettings(Section):
    """Interop with other operators' platforms: what they start, and pushes to them."""

    start_window_s: int = Field(
        default=60,
        ge=1,
        description="Time after which an order that has not begun has failed (s).",
    )
    turn_s: float = Field(
        default=0.25, gt=0, description="How often it is looked whether pushes are due (s)."
    )
    pushes_kept_days: int = Field(
        default=30, ge=1, description="For how long pushes that ended can be looked at (days)."
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Let pushes go to this machine and its networks, and without TLS; "
        "a sandbox always does.",
    )

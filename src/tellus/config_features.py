"""The settings of the features: when devices are online, how commands and controls behave."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A group of settings: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConsentSettings(Section):
    """Whether the owners of chargers have to agree to what is done with them."""

    required: bool = Field(
        default=False,
        description="Serve a device only for the services that its owner has agreed to. "
        "Without it the fleet is the installation's own.",
    )


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


class EnergySettings(Section):
    """How energy is summed up in the background."""

    turn_s: float = Field(
        default=5.0, gt=0, description="How often the folder looks for something to sum up (s)."
    )
    folder_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of one processor that it may take, up to a half when it falls behind.",
    )
    patience_s: float = Field(
        default=20.0, gt=0, description="How long a query waits for what came late (s)."
    )


class HealthSettings(Section):
    """How component health is put into minutes and hours."""

    flush_s: float = Field(
        default=12.0,
        gt=0,
        le=30,
        description="How often it is looked which minutes are to be stored (s).",
    )
    patience_s: float = Field(
        default=60.0,
        ge=0,
        le=60,
        description="How long a minute in which no status changed may wait to be stored (s).",
    )
    upkeep_s: float = Field(
        default=30.0,
        gt=0,
        description="How often hours are made of minutes that came, late ones among them (s).",
    )


class RetentionSettings(Section):
    """How long things are kept, counted from when they arrived; 0 is for ever."""

    raw_days: int = Field(
        default=30, ge=0, description="Samples as they were sent (days); 0 for ever."
    )
    minutes_days: int = Field(
        default=90,
        ge=0,
        description="One-minute means, and the minutes of sessions' energy (days); 0 for ever.",
    )
    vin_days: int = Field(
        default=90,
        ge=0,
        description="VINs, after the newest record or event of the vehicle (days); 0 for ever.",
    )
    events_days: int = Field(default=0, ge=0, description="Events (days); 0 for ever.")
    component_minutes_days: int = Field(
        default=2, ge=0, description="Component health by the minute (days); 0 for ever."
    )
    component_hours_days: int = Field(
        default=730, ge=0, description="Component health by the hour (days); 0 for ever."
    )

    connections_days: int = Field(
        default=90, ge=0, description="What happened to connections (days); 0 for ever."
    )
    files_days: int = Field(
        default=30, ge=1, description="Uploaded files, such as diagnostic reports (days)."
    )
    reads_days: int = Field(default=730, ge=1, description="Who read what of devices (days).")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        """Refuse tiers that would outlive what they are made from."""
        if self.minutes_days and (not self.raw_days or self.minutes_days < self.raw_days):
            raise ValueError("minutes_days must be 0 or at least raw_days")
        if self.events_days and (not self.raw_days or self.events_days < self.raw_days):
            # Energy is folded from both together.
            raise ValueError("events_days must be 0 or at least raw_days")
        return self


class AlertSettings(Section):
    """Alerts, and the webhooks that are told of them."""

    kept_days: int = Field(
        default=730, ge=1, description="For how long alerts that ended can be looked at (days)."
    )
    turn_s: float = Field(
        default=0.25, gt=0, description="How often it is looked whether deliveries are due (s)."
    )
    deliveries_kept_days: int = Field(
        default=30, ge=1, description="For how long deliveries that ended can be replayed (days)."
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Let webhooks be on this machine and its networks, and without TLS; "
        "a sandbox always does.",
    )


class RunbookSettings(Section):
    """Runs of runbooks."""

    boot_s: int = Field(
        default=90,
        ge=1,
        description="How long a charger may take to boot after a reboot by a runbook (s).",
    )
    return_s: int = Field(
        default=60,
        ge=0,
        description="How long after that it may take to be heard of again (s).",
    )
    reset_s: int = Field(
        default=10,
        ge=0,
        description="How long a connector may take to come back after a reset by a runbook (s).",
    )
    release_s: int = Field(
        default=60,
        ge=0,
        description="How long after that it may take to be out of Preparing (s).",
    )
    turn_s: float = Field(
        default=1.0, gt=0, description="How often runs that wait are looked at (s)."
    )
    kept_days: int = Field(
        default=730,
        ge=1,
        description="For how long runs that ended, and their photos, can be looked at (days).",
    )


class DiagnosticsSettings(Section):
    """How faults are found."""

    enabled: bool = Field(
        default=True, description="Look for faults, and open alerts of those that chargers tell of."
    )
    turn_s: float = Field(default=1.0, gt=0, description="How often what came in is looked at (s).")
    hold_s: float = Field(
        default=45.0,
        ge=0,
        description="How long a lost charger, or a lost sync, waits for others of the same cause"
        " before an alert is told of it alone (s).",
    )


class AgentSettings(Section):
    """The agents that propose what to look at."""

    every_s: int = Field(default=3_600, ge=1, description="How often each agent looks (s).")
    kept_days: int = Field(
        default=730,
        ge=1,
        description="For how long proposals that were judged or withdrawn can be looked at (days).",
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

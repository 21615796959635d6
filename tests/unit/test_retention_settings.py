"""The settings of retention: for how long, and what is refused."""

import pytest

from tellus.config import ConfigurationError, load_configuration


def test_retention__left_alone__is_30_90_and_90_days() -> None:
    """Samples are kept for 30 days, means and VINs for 90, events for ever."""
    kept = load_configuration(environment={}).settings.retention
    assert (kept.raw_days, kept.minutes_days, kept.vin_days, kept.events_days) == (30, 90, 90, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"RAW_DAYS": "100"},
        {"RAW_DAYS": "0"},
        {"MINUTES_DAYS": "29"},
        {"EVENTS_DAYS": "29"},
        {"RAW_DAYS": "0", "MINUTES_DAYS": "0", "EVENTS_DAYS": "10"},
        {"VIN_DAYS": "-1"},
    ],
)
def test_retention__tiers_out_of_order__are_refused(changes: dict[str, str]) -> None:
    """Nothing is kept shorter than what is made of it, or than what it is folded with."""
    environment = {f"TELLUS_RETENTION__{name}": value for name, value in changes.items()}
    with pytest.raises(ConfigurationError, match="retention"):
        load_configuration(environment=environment)


def test_retention__for_ever__is_said_by_zeros() -> None:
    """All may be kept for ever."""
    names = ("RAW_DAYS", "MINUTES_DAYS", "VIN_DAYS", "EVENTS_DAYS")
    environment = {f"TELLUS_RETENTION__{name}": "0" for name in names}
    kept = load_configuration(environment=environment).settings.retention
    assert (kept.raw_days, kept.minutes_days, kept.vin_days, kept.events_days) == (0, 0, 0, 0)

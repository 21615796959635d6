"""Decisions about charging records: what looks wrong, what counts as the same, what is shown."""

from typing import Any

import msgspec

from tellus.kernel.units import is_clock_suspect
from tellus.kernel.vins import find_vin, hide_vin, mask_vin, replace_vins
from tellus.sessions.model import MOST_ENERGY_KWH, Content, Flag, VinMode

ENERGY_TOLERANCE_KWH = 0.05
ENERGY_TOLERANCE_RATIO = 0.01
_ROUNDING_KWH = 1e-9

_encoder = msgspec.json.Encoder(order="deterministic")


def flags_of(content: Content, received_ms: int) -> tuple[str, ...]:
    """Return what looks wrong about a record that arrived at ``received_ms``."""
    judgements = (
        (
            Flag.CLOCK_SUSPECT,
            is_clock_suspect(max(content.start_ms, content.end_ms), received_ms),
        ),
        (Flag.ENERGY_IMPLAUSIBLE, is_energy_implausible(content)),
        (Flag.ENERGY_MISMATCH, is_energy_mismatch(content)),
        (Flag.NEGATIVE_DURATION, content.end_ms < content.start_ms),
    )
    return tuple(flag.value for flag, holds in judgements if holds)


def is_energy_implausible(content: Content) -> bool:
    """Tell whether energy or the difference of the meter readings is over a million kWh."""
    if abs(content.energy_kwh) > MOST_ENERGY_KWH:
        return True
    if content.meter_start_kwh is None or content.meter_end_kwh is None:
        return False
    return abs(content.meter_end_kwh - content.meter_start_kwh) > MOST_ENERGY_KWH


def is_energy_mismatch(content: Content) -> bool:
    """Tell whether energy and meter difference disagree by over 0.05 kWh and over 1%.

    The percentage is of the meter difference, which is what settles the session. Without both meter
    readings there is nothing to compare.
    """
    if content.meter_start_kwh is None or content.meter_end_kwh is None:
        return False
    metered_kwh = content.meter_end_kwh - content.meter_start_kwh
    tolerance_kwh = max(ENERGY_TOLERANCE_KWH, ENERGY_TOLERANCE_RATIO * abs(metered_kwh))
    return abs(content.energy_kwh - metered_kwh) > tolerance_kwh + _ROUNDING_KWH


def open_content(content: Content) -> bytes:
    """Return the bytes whose keyed digest stands for ``content``, in one spelling, without any VIN.

    Two uploads that say the same have the same bytes: order of properties, time zones and ``5`` or
    ``5.0`` make no difference. VINs are left out so that the digest outlives their erasure.
    """
    bare = msgspec.structs.replace(
        content,
        vin=None,
        extras=replace_vins(_plain_numbers(content.extras), hide_vin),
        vehicle_extras=replace_vins(_plain_numbers(content.vehicle_extras), hide_vin),
    )
    return _encoder.encode(bare)


def write_content(content: Content) -> bytes:
    """Return all of ``content`` as JSON, VIN included: to be sealed where there is one."""
    return _encoder.encode(content)


def same_extras(left: bytes, right: bytes) -> bool:
    """Tell whether two written extras say the same, however their numbers are spelled."""
    first, second = (_plain_numbers(msgspec.json.decode(extras)) for extras in (left, right))
    return bool(first == second)


def write_extras(content: Content) -> bytes | None:
    """Return both kinds of extras as JSON, or None where there are none."""
    if not content.extras and not content.vehicle_extras:
        return None
    return _encoder.encode([content.extras, content.vehicle_extras])


def read_extras(text: str | bytes | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the extras of a record and of its vehicle, read back."""
    if text is None:
        return {}, {}
    extras, vehicle_extras = msgspec.json.decode(text)
    return extras, vehicle_extras


def vin_in_extras(content: Content) -> str | None:
    """Return the first thing in the extras that has the shape of a VIN, or None."""
    text = write_extras(content)
    return find_vin(text.decode()) if text is not None else None


def subject_of(content: Content) -> str | None:
    """Return the VIN under whose key the private parts of a record are sealed, or None."""
    return content.vin or vin_in_extras(content)


def shown_to(content: Content, mode: str) -> Content:
    """Return ``content`` as a client with this ``vin_mode`` may see it; unknown modes see least."""
    if mode == VinMode.FULL:
        return content
    replace = mask_vin if mode == VinMode.MASKED else hide_vin
    vin = content.vin
    return msgspec.structs.replace(
        content,
        vin=mask_vin(vin) if vin is not None and mode == VinMode.MASKED else None,
        extras=replace_vins(content.extras, replace),
        vehicle_extras=replace_vins(content.vehicle_extras, replace),
    )


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(item) for item in value]
    return value

"""The words of firmware health: how often a fault follows a start, by firmware and model."""

import enum
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec


class Trial(NamedTuple):
    """What one device did while it ran one firmware: starts, and faults of one code."""

    device_no: int
    site_id: str
    starts: int
    faults: int


class Family(NamedTuple):
    """The trials of one model and code, by firmware version.

    ``suspect`` are the versions in which the fault dictionary knows the fault: they are no measure
    for others. ``elsewhere`` are the trials of other models, with versions that are not suspect.
    """

    model: str
    code: str
    trials: Mapping[str, Sequence[Trial]]
    suspect: frozenset[str] = frozenset()
    elsewhere: Mapping[str, Sequence[Trial]] = MappingProxyType({})


class FirmwareVerdict(enum.StrEnum):
    """Whether a fault goes with a firmware.

    ``concentrated``: it does. ``not_concentrated``: what is seen may be chance, or a device or a
    site. ``too_few``: fewer than three devices on two sites. ``no_comparison``: no other version
    of the model has started often enough.
    """

    CONCENTRATED = "concentrated"
    NOT_CONCENTRATED = "not_concentrated"
    TOO_FEW = "too_few"
    NO_COMPARISON = "no_comparison"


class Measure(enum.StrEnum):
    """What a version is compared with: the model's other versions, or those of all models."""

    MODEL = "model"
    FLEET = "fleet"


class FirmwareRate(msgspec.Struct, frozen=True, kw_only=True):
    """How often a fault followed a start with one firmware of a model, against its other versions.

    Rates are per 1,000 starts; ``low`` and ``high`` bound the rate at 95%. ``affected`` are the
    devices that had the fault, of ``devices`` that started at all. ``p_value`` is that of the
    weakest of the tests, ``p_adjusted`` the same corrected for all that was tested; None where not
    tested. ``least_p`` is the smallest that the devices that there are could show.
    """

    firmware_version: str
    model: str
    code: str
    devices: int
    affected: int
    sites: int
    starts: int
    faults: int
    rate: float
    low: float
    high: float
    other_devices: int
    other_starts: int
    other_faults: int
    other_rate: float
    verdict: FirmwareVerdict
    measure: Measure = Measure.MODEL
    least_p: float = 1.0
    p_value: float | None = None
    p_adjusted: float | None = None

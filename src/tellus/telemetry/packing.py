"""The packed hour: one connector's samples of one clock hour as one compressed row.

Columns compress better than rows and decode faster; a full hour of 720 samples takes a few
kilobytes. What samples say of the charger's parts lies in a column of its own at the end, which is
left undecoded by whoever does not ask for it, and which packs of earlier releases do not have.
"""

import zlib
from collections.abc import Iterable, Sequence
from operator import add
from typing import Any, Final

import msgspec

from tellus.fleet.model import HealthReading, Reading
from tellus.fleet.model_health import ComponentHealth
from tellus.telemetry.model import PastSample

_LEVEL: Final = 1
_FIELDS: Final = Reading.__struct_fields__
_NONE: Final = msgspec.Raw(b"\xc0")


class Columns(msgspec.Struct, array_like=True, frozen=True):
    """The readings by column, one per field of a reading and in that order."""

    states: list[str]
    voltages_v: list[float]
    currents_a: list[float]
    powers_kw: list[float]
    energies_kwh: list[float]
    socs_pct: list[int | None]
    temperatures_c: list[float | None]
    detail_states: list[str | None]
    phases: list[tuple[tuple[float, float] | None, ...] | None]
    health: msgspec.Raw = _NONE
    """As ``HealthColumn``, where any of the samples told of parts."""


class HealthColumn(msgspec.Struct, array_like=True, frozen=True):
    """What samples say of parts, and which samples those are, counted from 0."""

    places: list[int]
    healths: list[ComponentHealth]


class PackedHour(msgspec.Struct, array_like=True, frozen=True):
    """Samples by column; times count from the hour, receipt times from the sample's time (ms)."""

    times_ms: list[int]
    digests: list[int]
    delays_ms: list[int]
    columns: Columns


class HourKeys(msgspec.Struct, array_like=True, frozen=True):
    """The same bytes read for the keys alone: the columns, most of them, are left undecoded."""

    times_ms: list[int]
    digests: list[int]
    delays_ms: msgspec.Raw
    columns: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PackedHour)
_keys_decoder = msgspec.msgpack.Decoder(HourKeys)
_health_decoder = msgspec.msgpack.Decoder(HealthColumn)


def pack(hour_ms: int, samples: Sequence[PastSample]) -> bytes:
    """Return the stored form of ``samples``, all of the hour that starts at ``hour_ms``."""
    readings = [sample.reading for sample in samples]
    columns: list[Any] = [[getattr(one, name) for one in readings] for name in _FIELDS]
    columns.append(_pack_health(readings))
    hour = PackedHour(
        [sample.time_ms - hour_ms for sample in samples],
        [sample.digest for sample in samples],
        [sample.received_ms - sample.time_ms for sample in samples],
        Columns(*columns),
    )
    return zlib.compress(_encoder.encode(hour), _LEVEL)


def _pack_health(readings: Sequence[Reading]) -> msgspec.Raw:
    told = [(place, one.component_health) for place, one in enumerate(readings)]
    healths = {place: health for place, health in told if health is not None}
    if not healths:
        return _NONE
    return msgspec.Raw(_encoder.encode(HealthColumn(list(healths), list(healths.values()))))


def unpack(hour_ms: int, content: bytes) -> list[PastSample]:
    """Return the samples of a packed hour in order of time."""
    hour = _decoder.decode(zlib.decompress(content))
    times_ms = [hour_ms + offset_ms for offset_ms in hour.times_ms]
    received_ms = map(add, times_ms, hour.delays_ms)
    # Thousands of samples are made here for one answer: `map` makes them without a Python frame.
    *columns, health = msgspec.structs.astuple(hour.columns)
    readings: Iterable[Reading] = map(Reading, *columns)
    if health != _NONE:
        readings = _add_health(readings, _health_decoder.decode(health))
    return list(map(PastSample, times_ms, hour.digests, received_ms, readings))


def _add_health(readings: Iterable[Reading], column: HealthColumn) -> list[Reading]:
    added = list(readings)
    for k, health in zip(column.places, column.healths, strict=True):
        added[k] = HealthReading(*msgspec.structs.astuple(added[k]), component_health=health)
    return added


def unpack_keys(hour_ms: int, content: bytes) -> set[tuple[int, int]]:
    """Return (time, digest) of each sample of a packed hour."""
    hour = _keys_decoder.decode(zlib.decompress(content))
    times_ms = [hour_ms + offset_ms for offset_ms in hour.times_ms]
    return set(zip(times_ms, hour.digests, strict=True))

"""The packed hour: one connector's samples of one clock hour as one compressed row.

Columns compress better than rows and decode faster; a full hour of 720 samples takes a few
kilobytes.
"""

import zlib
from collections.abc import Sequence
from operator import add
from typing import Final

import msgspec

from tellus.fleet.model import Reading
from tellus.telemetry.model import PastSample

_LEVEL: Final = 1
_FIELDS: Final = Reading.__struct_fields__


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


def pack(hour_ms: int, samples: Sequence[PastSample]) -> bytes:
    """Return the stored form of ``samples``, all of the hour that starts at ``hour_ms``."""
    hour = PackedHour(
        [sample.time_ms - hour_ms for sample in samples],
        [sample.digest for sample in samples],
        [sample.received_ms - sample.time_ms for sample in samples],
        Columns(*[[getattr(sample.reading, name) for sample in samples] for name in _FIELDS]),
    )
    return zlib.compress(_encoder.encode(hour), _LEVEL)


def unpack(hour_ms: int, content: bytes) -> list[PastSample]:
    """Return the samples of a packed hour in order of time."""
    hour = _decoder.decode(zlib.decompress(content))
    times_ms = [hour_ms + offset_ms for offset_ms in hour.times_ms]
    received_ms = map(add, times_ms, hour.delays_ms)
    # Thousands of samples are made here for one answer: `map` makes them without a Python frame.
    readings = map(Reading, *msgspec.structs.astuple(hour.columns))
    return list(map(PastSample, times_ms, hour.digests, received_ms, readings))


def unpack_keys(hour_ms: int, content: bytes) -> set[tuple[int, int]]:
    """Return (time, digest) of each sample of a packed hour."""
    hour = _keys_decoder.decode(zlib.decompress(content))
    times_ms = [hour_ms + offset_ms for offset_ms in hour.times_ms]
    return set(zip(times_ms, hour.digests, strict=True))

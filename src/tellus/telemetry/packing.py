"""The packed hour: one connector's samples of one clock hour as one compressed row.

Columns compress better than rows and decode faster; a full hour of 720 samples takes a few
kilobytes.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tellus.fleet.model import Reading
from tellus.telemetry.model import PastSample

_LEVEL: Final = 1
_FIELDS: Final = Reading.__struct_fields__
_PHASES: Final = _FIELDS.index("phases")


class PackedHour(msgspec.Struct, array_like=True, frozen=True):
    """Samples by column; times count from the hour, receipt times from the sample's time (ms)."""

    times_ms: list[int]
    digests: list[int]
    delays_ms: list[int]
    columns: list[list[Any]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PackedHour)


def pack(hour_ms: int, samples: Sequence[PastSample]) -> bytes:
    """Return the stored form of ``samples``, all of the hour that starts at ``hour_ms``."""
    hour = PackedHour(
        [sample.time_ms - hour_ms for sample in samples],
        [sample.digest for sample in samples],
        [sample.received_ms - sample.time_ms for sample in samples],
        [[getattr(sample.reading, name) for sample in samples] for name in _FIELDS],
    )
    return zlib.compress(_encoder.encode(hour), _LEVEL)


def unpack(hour_ms: int, content: bytes) -> list[PastSample]:
    """Return the samples of a packed hour in order of time."""
    hour = _decoder.decode(zlib.decompress(content))
    hour.columns[_PHASES] = [_phases(value) for value in hour.columns[_PHASES]]
    readings = [Reading(*values) for values in zip(*hour.columns, strict=True)]
    return [
        PastSample(hour_ms + offset_ms, digest, hour_ms + offset_ms + delay_ms, reading)
        for offset_ms, digest, delay_ms, reading in zip(
            hour.times_ms, hour.digests, hour.delays_ms, readings, strict=True
        )
    ]


def unpack_keys(hour_ms: int, content: bytes) -> set[tuple[int, int]]:
    """Return (time, digest) of each sample of a packed hour."""
    hour = _decoder.decode(zlib.decompress(content))
    times_ms = (hour_ms + offset_ms for offset_ms in hour.times_ms)
    return set(zip(times_ms, hour.digests, strict=True))


def _phases(value: Any) -> tuple[tuple[float, float] | None, ...] | None:
    if value is None:
        return None
    return tuple(None if phase is None else (phase[0], phase[1]) for phase in value)

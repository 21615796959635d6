"""The stored form of means of one minute: one row per connector and clock hour.

Columns like those of packed hours; an hour of sixty minutes takes about a kilobyte.
"""

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from tellus.kernel.units import MINUTE_MS
from tellus.telemetry.model_minutes import MinuteMean

_LEVEL: Final = 6


class PackedMinutes(msgspec.Struct, array_like=True, frozen=True):
    """Means by column; minutes count from the hour (0 to 59), last times from the minute (ms)."""

    minutes: list[int]
    samples: list[int]
    lasts_ms: list[int]
    states: list[str]
    voltages_v: list[float]
    currents_a: list[float]
    powers_kw: list[float]
    energies_kwh: list[float]
    socs_pct: list[int | None]
    temperatures_c: list[float | None]
    temperatures: list[int]
    detail_states: list[str | None]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PackedMinutes)


def pack_minutes(hour_ms: int, means: Sequence[MinuteMean]) -> bytes:
    """Return the stored form of ``means``, all of the hour that starts at ``hour_ms``."""
    columns = [list(column) for column in zip(*means, strict=True)] or [
        [] for _ in MinuteMean._fields
    ]
    columns[0] = [(mean.minute_ms - hour_ms) // MINUTE_MS for mean in means]
    columns[2] = [mean.last_ms - mean.minute_ms for mean in means]
    return zlib.compress(_encoder.encode(PackedMinutes(*columns)), _LEVEL)


def unpack_minutes(hour_ms: int, content: bytes) -> list[MinuteMean]:
    """Return the means of a stored hour in order of time."""
    held = _decoder.decode(zlib.decompress(content))
    columns = list(msgspec.structs.astuple(held))
    columns[0] = [hour_ms + minute * MINUTE_MS for minute in held.minutes]
    columns[2] = [
        minute_ms + offset_ms
        for minute_ms, offset_ms in zip(columns[0], held.lasts_ms, strict=True)
    ]
    return list(map(MinuteMean, *columns)) if held.minutes else []

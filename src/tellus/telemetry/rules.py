"""Decisions about samples: their key, their trust, and which one is current."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from tellus.fleet.model import Reading
from tellus.kernel.units import HOUR_MS, MINUTE_MS, is_clock_suspect
from tellus.telemetry.model import PastSample, Sample

PACKING_AGE_MS = 15 * MINUTE_MS
FOREVER_MS = 2**63 - 1

encode_reading = msgspec.msgpack.Encoder().encode
"""Return a reading as stored."""


def make_sample(
    device_no: int, connector_id: int, time_ms: int, received_ms: int, reading: Reading
) -> Sample:
    """Return the sample of ``reading`` with its stored form and the digest of that form."""
    content = encode_reading(reading)
    digest = int.from_bytes(blake2b(content, digest_size=8).digest(), "big", signed=True)
    return Sample(time_ms, device_no, connector_id, digest, received_ms, content, reading)


def restore_sample(device_no: int, connector_id: int, past: PastSample) -> Sample:
    """Return a stored sample of a connector in full."""
    content = encode_reading(past.reading)
    return Sample(
        past.time_ms, device_no, connector_id, past.digest, past.received_ms, content, past.reading
    )


def pick_newest(samples: Iterable[Sample]) -> dict[tuple[int, int], Sample]:
    """Return the newest trusted sample per (device, connector); of one instant, the larger content.

    The content decides a tie so that the outcome does not depend on the order of arrival.
    """
    newest: dict[tuple[int, int], Sample] = {}
    for sample in samples:
        time_ms = sample.time_ms
        if is_clock_suspect(time_ms, sample.received_ms):
            continue
        key = (sample.device_no, sample.connector_id)
        held = newest.get(key)
        if held is None or (time_ms, sample.content) > (held.time_ms, held.content):
            newest[key] = sample
    return newest


def hour_of(time_ms: int) -> int:
    """Return the start of the clock hour (UTC, ms) that ``time_ms`` falls in."""
    return time_ms - time_ms % HOUR_MS


def packing_horizon(now_ms: int) -> int:
    """Return the time (ms) before which samples are packed: a quarter-hour at least 15 minutes ago.

    Quarter-hours keep a pack from being written more than four times while its hour passes.
    """
    reach = now_ms - PACKING_AGE_MS
    return reach - reach % PACKING_AGE_MS


def fresh_span(now_ms: int, packed_to_ms: int) -> tuple[int, int]:
    """Return the span of times (ms) whose samples stay in the recent log, given what was packed.

    Older ones are packed, and once in a quarter-hour also those of chargers whose clocks run far
    ahead: they would not grow old for hours or years.
    """
    horizon_ms = packing_horizon(now_ms)
    return horizon_ms, now_ms + PACKING_AGE_MS if horizon_ms > packed_to_ms else FOREVER_MS


def merge(*parts: Iterable[PastSample]) -> list[PastSample]:
    """Return samples of one connector in order of time, each key once."""
    known: dict[tuple[int, int], PastSample] = {}
    for part in parts:
        for sample in part:
            known.setdefault((sample.time_ms, sample.digest), sample)
    return [known[key] for key in sorted(known)]

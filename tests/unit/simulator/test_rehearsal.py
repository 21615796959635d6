"""A fleet in virtual time says what it says over a network, at the same times."""

from __future__ import annotations

import json
import time

from tellus.simulator.device import ChargerSpec
from tellus.simulator.injection import inject
from tellus.simulator.messages import Kind
from tellus.simulator.rehearsal import Beat, Heard, Rehearsal
from tests.unit.simulator.builders import HOUR_MS, START_MS

SPECS = [ChargerSpec(sn=f"SN-{number}", model="TP-DC180-V2G") for number in range(4)]


def test_run__an_hour__is_heard_in_order_with_beats_every_half_minute() -> None:
    """Messages come in order of arrival; each charger beats about 120 times an hour."""
    rehearsal = Rehearsal(SPECS, 1, START_MS, "busy")
    heard = list(rehearsal.run(START_MS + HOUR_MS))
    arrivals = [one.arrived_ms for one in heard]
    assert arrivals == sorted(arrivals)
    for spec in SPECS:
        beats = [one for one in heard if isinstance(one, Beat) and one.sn == spec.sn]
        assert 110 <= len(beats) <= 130
        assert [one.is_reconnect for one in beats] == [True] + [False] * (len(beats) - 1)
    assert {one.message.kind for one in heard if isinstance(one, Heard)} >= {
        Kind.TELEMETRY, Kind.EVENT, Kind.RECORD,
    }  # fmt: skip


def test_run__in_pieces_or_at_once__is_the_same() -> None:
    """Where the run is interrupted changes nothing."""
    whole = list(Rehearsal(SPECS, 3, START_MS, "busy").run(START_MS + HOUR_MS // 2))
    parts = Rehearsal(SPECS, 3, START_MS, "busy")
    pieces = []
    for turn in range(1, 31):
        pieces += parts.run(START_MS + turn * 60_000)
    said = [[one.message for one in run if isinstance(one, Heard)] for run in (whole, pieces)]
    assert said[0] == said[1]


def test_run__after_a_partition__brings_what_was_kept_with_its_own_times() -> None:
    """What is said in the dark arrives at the return, after a heartbeat that reconnects."""
    rehearsal = Rehearsal(SPECS[:1], 1, START_MS, "busy")
    list(rehearsal.run(START_MS + HOUR_MS // 4))
    twin = rehearsal.twins["SN-0"]
    inject(twin, twin.connectors[0], "F-0301", strength=300.0)
    lost_ms = twin.time_ms
    heard = list(rehearsal.run(START_MS + HOUR_MS))
    first = heard[0]
    assert isinstance(first, Beat)
    assert first.is_reconnect
    assert first.arrived_ms >= lost_ms + 300_000
    late = [
        one for one in heard if isinstance(one, Heard) and one.message.time_ms < lost_ms + 300_000
    ]
    assert late
    assert min(one.arrived_ms for one in late) >= lost_ms + 300_000


def test_run__health__goes_along_about_once_a_minute() -> None:
    """Most frames are lean: health goes with one in a minute, and with those where it changed."""
    heard = Rehearsal(SPECS, 1, START_MS, "load").run(START_MS + HOUR_MS)
    frames = [
        json.loads(one.message.body)
        for one in heard
        if isinstance(one, Heard) and one.message.kind is Kind.TELEMETRY
    ]
    told = sum("component_health" in one for one in frames)
    assert 60 * 8 <= told <= 75 * 8
    assert len(frames) > 8 * told


def cost_us(model: str) -> float:
    """Return the processor time of a second of one connector under load (µs)."""
    spec = ChargerSpec(sn="SN-1", model=model)
    rehearsal = Rehearsal([spec], 1, START_MS, "load")
    list(rehearsal.run(START_MS + 60_000))
    began_s = time.process_time()
    list(rehearsal.run(START_MS + HOUR_MS))
    spent_s = time.process_time() - began_s
    return 1e6 * spent_s / (3_540 * spec.connector_count)


if __name__ == "__main__":
    for name in ("TP-AC22", "TP-DC180", "TP-DC180-V2G"):
        print(f"{name}: {cost_us(name):.1f} µs per simulated second and connector")

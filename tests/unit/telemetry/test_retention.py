"""Samples age: raw, then means of one minute, then nothing; what arrived lately stays whole."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from tellus.audit import store as audit
from tellus.audit.model import Actor, Filter
from tellus.kernel.retention import Aged
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.storage.database import Tx
from tellus.telemetry import store, store_minutes, store_retention
from tellus.telemetry.minutes import unpack_minutes
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.model_minutes import Hour, MinuteMean
from tellus.telemetry.packing import pack
from tellus.telemetry.retention import Retention, Tier
from tellus.telemetry.retention_erasure import sample_parts
from tellus.telemetry.retention_minutes import MinutesTier
from tellus.telemetry.retention_raw import RawTier
from tellus.telemetry.rules import hour_of, make_sample
from tests.unit.telemetry.conftest import RunBench, TelemetryBench

OLD_DAYS = 31
ADMIN = Actor("svc_1", "req_1")


class Kept:
    """What the features above still need, as a test sets it."""

    def __init__(self) -> None:
        self.raw: set[Hour] = set()
        self.minutes: set[Hour] = set()

    def keep_raw(self, _tx: Tx, hours: Sequence[Hour]) -> set[Hour]:
        return self.raw & set(hours)

    def keep_minutes(self, _tx: Tx, hours: Sequence[Hour]) -> set[Hour]:
        return self.minutes & set(hours)

    def keep_span(self, _tx: Tx, from_ms: int, to_ms: int) -> bool:
        return any(from_ms <= hour[2] < to_ms for hour in self.minutes)


def _retention(bench: TelemetryBench, kept: Kept) -> Retention:
    tiers: list[Tier] = [
        RawTier(bench.database, bench.service.packing, 30, kept.keep_raw),
        MinutesTier(bench.database, 90, kept.keep_minutes, kept.keep_span),
    ]
    return Retention(bench.database, bench.clock, tiers)


async def _round(bench: TelemetryBench, retention: Retention) -> dict[str, int]:
    """Have a round made; return the rows that it dropped, by tier."""
    await retention.ask(ADMIN)
    await retention.turn()
    done = await retention.find_round()
    assert done is not None
    assert done.done_ms == bench.clock.now_ms()
    return {name: rows for name, rows in done.dropped.items() if rows}


async def _store_hour(bench: TelemetryBench, at_days: float, *, received_days: float) -> int:
    """Store a connector's hour of three minutes, four samples each; return the hour (ms)."""
    now_ms = bench.clock.now_ms()
    hour_ms = hour_of(now_ms - round(at_days * DAY_MS))
    received_ms = now_ms - round(received_days * DAY_MS)
    samples = [
        bench.sample(
            (hour_ms + k * 15_000 - now_ms) / 1_000,
            received_ms=received_ms,
            power_kw=40.0 + k,
            energy_kwh=k / 10,
            soc_pct=50 + k,
            temperature_c=30.0 if k % 2 else None,
        )
        for k in range(12)
    ]
    await bench.service.ingest_many(samples)
    await bench.service.compact()
    return hour_ms


async def _minutes(bench: TelemetryBench, hour_ms: int) -> list[MinuteMean]:
    rows = await bench.database.read(store_minutes.list_minutes, [(1, 1, hour_ms)])
    return [mean for row in rows for mean in unpack_minutes(hour_ms, row.content)]


def test_raw__older_than_its_tier__becomes_means_of_a_minute(run_bench: RunBench[Any]) -> None:
    """After 30 days a connector's hour is its one-minute means, and its samples are gone."""

    async def age(bench: TelemetryBench) -> None:
        bench.add_device()
        old_ms = await _store_hour(bench, OLD_DAYS, received_days=OLD_DAYS)
        young_ms = await _store_hour(bench, 29, received_days=29)
        retention = _retention(bench, Kept())
        planned = (await retention.plan())[0]
        assert (planned.aged.rows, planned.aged.oldest_ms) == (1, old_ms)
        assert planned.aged.size_bytes > 100
        assert await _round(bench, retention) == {"raw_samples": 1}
        means = await _minutes(bench, old_ms)
        assert [mean.minute_ms - old_ms for mean in means] == [0, MINUTE_MS, 2 * MINUTE_MS]
        first = means[0]
        assert (first.samples, first.power_kw, first.energy_kwh) == (4, 41.5, 0.3)
        assert (first.soc_pct, first.temperature_c, first.temperatures) == (53, 30.0, 2)
        assert first.last_ms == old_ms + 45_000
        left = await bench.database.read(store_retention.list_packed, [(1, 1, old_ms)])
        assert left == []
        assert await _minutes(bench, young_ms) == []
        assert retention.oldest_ms == {"raw_samples": young_ms, "minute_means": old_ms}

    run_bench(age)


def test_raw__old_but_received_lately__stays_whole(run_own_bench: RunBench[Any]) -> None:
    """Age counts from the arrival: what is uploaded late is kept 30 days from then."""

    async def age(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = await _store_hour(bench, 200, received_days=0)
        retention = _retention(bench, Kept())
        assert await _round(bench, retention) == {}
        assert (await retention.plan())[0].aged == Aged()
        bench.clock.advance(30 * 86_400 - 60)
        assert await _round(bench, retention) == {}
        bench.clock.advance(120)
        assert (await retention.plan())[0].aged.rows == 1
        assert await _round(bench, retention) == {"raw_samples": 1}
        assert len(await _minutes(bench, hour_ms)) == 3

    run_own_bench(age)


def test_raw__pack_that_grew_late__stays_until_its_newest_sample_is_old(
    run_own_bench: RunBench[Any],
) -> None:
    """One late sample keeps the whole hour that it belongs to."""

    async def age(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = await _store_hour(bench, OLD_DAYS, received_days=OLD_DAYS)
        late = bench.sample((hour_ms + 1_000 - bench.clock.now_ms()) / 1_000, power_kw=1.0)
        await bench.service.ingest(late)
        await bench.service.compact()
        retention = _retention(bench, Kept())
        assert await _round(bench, retention) == {}
        bench.clock.advance(31 * 86_400)
        assert await _round(bench, retention) == {"raw_samples": 1}
        assert (await _minutes(bench, hour_ms))[0].samples == 5

    run_own_bench(age)


def test_raw__needed_above__is_never_dropped(run_own_bench: RunBench[Any]) -> None:
    """What has not been folded stays, however old it is, and goes once it has been."""

    async def age(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = await _store_hour(bench, OLD_DAYS, received_days=OLD_DAYS)
        kept = Kept()
        kept.raw = {(1, 1, hour_ms)}
        retention = _retention(bench, kept)
        assert await _round(bench, retention) == {}
        kept.raw = set()
        assert await _round(bench, retention) == {"raw_samples": 1}

    run_own_bench(age)


def test_raw__samples_late_after_it_is_gone__join_the_means(run_own_bench: RunBench[Any]) -> None:
    """What comes for an hour whose samples are gone is averaged with it, sample by sample."""

    async def age(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = await _store_hour(bench, OLD_DAYS, received_days=OLD_DAYS)
        retention = _retention(bench, Kept())
        await _round(bench, retention)
        late = bench.sample((hour_ms + 50_000 - bench.clock.now_ms()) / 1_000, power_kw=1.5)
        await bench.service.ingest(late)
        await bench.service.compact()
        bench.clock.advance(31 * 86_400)
        assert await _round(bench, retention) == {"raw_samples": 1}
        first = (await _minutes(bench, hour_ms))[0]
        assert (first.samples, first.last_ms) == (5, hour_ms + 50_000)
        assert math.isclose(first.power_kw, (41.5 * 4 + 1.5) / 5)
        assert first.soc_pct == 53

    run_own_bench(age)


def test_minutes__older_than_their_tier__go_unless_needed(run_bench: RunBench[Any]) -> None:
    """After 90 days means of a minute go, too, once no session needs them."""

    async def age(bench: TelemetryBench) -> None:
        bench.add_device()
        hour_ms = await _store_hour(bench, OLD_DAYS, received_days=OLD_DAYS)
        kept = Kept()
        retention = _retention(bench, kept)
        await _round(bench, retention)
        bench.clock.advance(58 * 86_400)
        assert await _round(bench, retention) == {}
        bench.clock.advance(2 * 86_400)
        kept.minutes = {(1, 1, hour_ms)}
        assert await _round(bench, retention) == {}
        kept.minutes = set()
        assert (await retention.plan())[1].aged.rows == 1
        assert await _round(bench, retention) == {"minute_means": 1}
        assert await _minutes(bench, hour_ms) == []

    run_bench(age)


def test_round__many_hours__goes_in_small_steps_and_says_so_in_the_audit_log(
    run_own_bench: RunBench[Any],
) -> None:
    """Hundreds of hours go in one round of many transactions; its entry counts them by tier."""

    async def age(bench: TelemetryBench) -> None:
        hours = 600
        await bench.database.write(_fill, bench, hours)
        retention = _retention(bench, Kept())
        assert await _round(bench, retention) == {"raw_samples": hours}
        entries = await bench.database.read(
            lambda tx: audit.list_entries(tx, Filter(resource_type="retention"), 0, 10)[1]
        )
        assert [(entry.actor, entry.action, entry.details) for entry in entries] == [
            ("svc_1", "retention.kept", {"dropped": {"raw_samples": hours}}),
            ("svc_1", "retention.round_asked", {}),
        ]
        assert retention.dropped["raw_samples"] == hours
        assert retention.longest_hold_s > 0.0

    run_own_bench(age)


def _fill(tx: Tx, bench: TelemetryBench, hours: int) -> None:
    first_ms = hour_of(bench.clock.now_ms() - 80 * DAY_MS)
    for k in range(hours):
        hour_ms = first_ms + k // 10 * HOUR_MS
        sample = make_sample(1, 1, hour_ms + 5, hour_ms + 6, bench.sample().reading)
        content = pack(hour_ms, [_past(sample)])
        store.upsert_pack(tx, k % 10 + 1, 1, hour_ms, 1, content)


def _past(sample: Sample) -> PastSample:
    return PastSample(sample.time_ms, sample.digest, sample.received_ms, sample.reading)


def test_device__erased__leaves_no_sample_in_log_packs_or_means(run_bench: RunBench[Any]) -> None:
    """All samples of a device go, wherever they lie, a few at a time; another's stay."""

    async def erase(bench: TelemetryBench) -> None:
        bench.add_device()
        bench.add_device(2)
        hour_ms = await _store_hour(bench, OLD_DAYS, received_days=OLD_DAYS)
        await _round(bench, _retention(bench, Kept()))
        await _store_hour(bench, 1, received_days=1)
        await bench.service.ingest_many([bench.sample(-k, energy_kwh=k / 10) for k in range(5)])
        await bench.service.ingest(bench.sample(device_no=2))
        removed = {}
        for part in sample_parts(bench.database, bench.service.packing):
            steps = [await part.step(1, 2)]
            while steps[-1].more:
                steps.append(await part.step(1, 2))
            removed[part.name] = sum(step.rows for step in steps)
        assert removed == {"recent_samples": 5, "sample_hours": 2}
        assert await bench.history() == []
        assert await _minutes(bench, hour_ms) == []
        assert len(await bench.history(device_no=2)) == 1

    run_bench(erase)


def test_round__fails__is_tried_again_a_minute_later_under_its_name(
    run_own_bench: RunBench[Any],
) -> None:
    """A tier that breaks ends the round, which is not repeated at once, and goes on later."""

    async def age(bench: TelemetryBench) -> None:
        bench.add_device()
        await _store_hour(bench, OLD_DAYS, received_days=OLD_DAYS)
        kept = Kept()
        retention = _retention(bench, kept)
        asked = await retention.ask(ADMIN)
        kept.raw = None  # type: ignore[assignment]  # breaks what asks it
        with pytest.raises(TypeError):
            await retention.turn()
        kept.raw = set()
        await retention.turn()
        cut_off = await retention.find_round()
        assert cut_off is not None
        assert (cut_off.round_id, cut_off.done_ms) == (asked.round_id, None)
        bench.clock.advance(61)
        await retention.turn()
        done = await retention.find_round()
        assert done is not None
        assert (done.round_id, done.dropped["raw_samples"]) == (asked.round_id, 1)
        assert done.done_ms is not None

    run_own_bench(age)


def test_round__nobody_asks__is_made_every_hour(run_own_bench: RunBench[Any]) -> None:
    """The first is due an hour after the start, the next an hour after that one began."""

    async def age(bench: TelemetryBench) -> None:
        retention = _retention(bench, Kept())
        await retention.turn()
        assert await retention.find_round() is None
        bench.clock.advance(3_600)
        await retention.turn()
        first = await retention.find_round()
        assert first is not None
        bench.clock.advance(3_599)
        await retention.turn()
        assert await retention.find_round() == first
        bench.clock.advance(1)
        await retention.turn()
        assert (await retention.find_round()) != first

    run_own_bench(age)

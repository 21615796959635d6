"""Component health in the store: minutes, hours, what came late, and what a dead process left."""

import random
from typing import Any

from tellus.fleet.model import Reading
from tellus.health.retention import HealthHoursTier, HealthMinutesTier
from tellus.health.rules import minute_of
from tellus.health.store_retention import remove_hours_of, remove_minutes_of
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.storage.database import Tx
from tellus.telemetry.model import Sample
from tellus.telemetry.rules import make_sample
from tests.unit.health.builders import expected, sample
from tests.unit.health.conftest import HealthBench, RunHealth


def told(samples: list[Sample]) -> Any:
    """What one minute of samples comes to, as it is read."""
    parts = [
        (one.time_ms, one.reading.component_health, one.reading.temperature_c) for one in samples
    ]
    numbers, words = expected([(at, health, own) for at, health, own in parts if health])
    return (
        {name: one[:3] for name, one in numbers.items()},
        {name: one.word for name, one in words.items()},
    )


def test_flush__samples_of_two_nodes_in_any_order__come_to_one_minute(
    run_health: RunHealth,
) -> None:
    """What several processes took in of a minute is put together, whoever stores first."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        other = bench.join()
        await bench.services[other].start()
        begin_ms = minute_of(bench.clock.now_ms())
        chance = random.Random(7)
        samples = [
            sample(
                begin_ms + k * 1_000, received_ms=begin_ms + 59_000,
                cooling_fan_rpm=float(chance.randrange(1_500, 1_900)),
                relay_state=chance.choice(["open", "closed"]), temperature_c=30.0 + k,
            )
            for k in range(20)
        ]  # fmt: skip
        chance.shuffle(samples)
        for k, one in enumerate(samples):
            await bench.send(one, by=other if k % 3 else None)
            if k % 5 == 0:
                await bench.health.turn()
            if k % 7 == 0:
                await other.turn()
        await bench.health.turn()
        await other.turn()
        (minute,) = await bench.minutes()
        assert (minute.metrics, minute.words) == told(samples)
        assert bench.told[-1] == minute

    run_health(test)


def test_flush__unremarkable_minute__waits_until_it_is_over(run_health: RunHealth) -> None:
    """A connector's first and a changed status are stored at once, the rest after the minute."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        bench.health = bench.join(MINUTE_MS)
        await bench.services[bench.health].start()
        bench.move_to(minute_of(bench.clock.now_ms()) + MINUTE_MS)
        await bench.send(bench.told_at(0, relay_state="open", cooling_fan_rpm=1_800.0))
        await bench.health.turn()
        assert (await bench.minutes())[0].metrics["cooling_fan_rpm"].low == 1_800.0
        bench.clock.advance(10)
        await bench.send(bench.told_at(0, relay_state="open", cooling_fan_rpm=1_700.0))
        await bench.health.turn()
        assert (await bench.minutes())[0].metrics["cooling_fan_rpm"].low == 1_800.0
        bench.clock.advance(10)
        await bench.send(bench.told_at(0, relay_state="fault", cooling_fan_rpm=1_750.0))
        await bench.health.turn()
        (minute,) = await bench.minutes()
        assert minute.metrics["cooling_fan_rpm"] == (1_700.0, 1_800.0, 1_750.0)
        assert minute.words == {"relay_state": "fault"}
        bench.clock.advance(10)
        await bench.send(bench.told_at(0, relay_state="fault", cooling_fan_rpm=1_600.0))
        await bench.health.turn()
        bench.clock.advance(60)
        await bench.health.turn()
        assert (await bench.minutes())[0].metrics["cooling_fan_rpm"].low == 1_600.0

    run_health(test)


def test_flush__clock_ahead_or_no_health__counts_for_nothing(run_health: RunHealth) -> None:
    """Samples from the future and samples that tell of no parts leave no minute."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        now_ms = bench.clock.now_ms()
        plain = Reading("idle", 0.0, 0.0, 0.0, 0.0)
        await bench.send(
            sample(now_ms + 6 * MINUTE_MS, received_ms=now_ms, cooling_fan_rpm=1.0),
            make_sample(1, 1, now_ms, now_ms, plain),
        )
        await bench.health.turn()
        assert await bench.minutes() == []

    run_health(test)


def test_recovery__process_dies_with_all_unstored__finds_everything_again(
    run_health: RunHealth,
) -> None:
    """What a process took in and never stored, late or not, packed or not, is in the minutes."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        await bench.health.turn()
        bench.clock.advance(30)
        fresh = [bench.told_at(k, cooling_fan_rpm=1_500.0 + k) for k in range(20)]
        late = [bench.told_at(3 * 3_600 + k * 60, contactor_cycles=1_000 - k) for k in range(5)]
        await bench.send(*fresh, *late)
        assert await bench.minutes() == []
        heir = bench.join()
        bench.clock.advance(20 * 60)
        await bench.services[heir].start()
        assert await bench.services[heir].compact() >= len(late)
        await heir.turn()
        await heir.upkeep()
        found = await bench.minutes()
        for one in late:
            (minute,) = [span for span in found if span.start_ms == minute_of(one.time_ms)]
            assert (minute.metrics, minute.words) == told([one])
            assert minute in bench.told
        assert await bench.rows("component_late") == []
        assert [row[0] for row in await bench.rows("component_folders")] == [heir.folder.folder_id]

    run_health(test)


def test_recovery__before_anything_is_packed__has_the_log_of_the_dead(
    run_health: RunHealth,
) -> None:
    """The heir reads the log from where the dead process had come to."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        await bench.health.turn()
        bench.clock.advance(30)
        fresh = [bench.told_at(k, cooling_fan_rpm=1_500.0 + k) for k in range(20)]
        await bench.send(*fresh)
        bench.clock.advance(61)
        heir = bench.join()
        await bench.services[heir].start()
        await heir.turn()
        await heir.upkeep()
        for span in await bench.minutes():
            own = [one for one in fresh if minute_of(one.time_ms) == span.start_ms]
            assert (span.metrics, span.words) == told(own)
        stored = {span.start_ms for span in await bench.minutes()}
        assert stored == {minute_of(one.time_ms) for one in fresh}

    run_health(test)


def test_stop__in_order__leaves_nothing_to_be_found(run_health: RunHealth) -> None:
    """An orderly end stores what waits, patience or not, and nobody has to take over."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        patient = bench.join(MINUTE_MS)
        await bench.services[patient].start()
        await patient.begin()
        for ago_s in (3_600, 2, 1):
            await bench.send(bench.told_at(ago_s, cooling_fan_rpm=1_000.0 + ago_s), by=patient)
            await patient.turn()
        await patient.stop()
        rpm = [one.metrics["cooling_fan_rpm"] for one in await bench.minutes()]
        assert (min(one.low for one in rpm), max(one.high for one in rpm)) == (1_001.0, 4_600.0)
        assert await bench.rows("component_folders") == []
        assert await bench.rows("component_late") == []

    run_health(test)


def test_hours__minutes_and_late_ones__are_in_their_hours(run_health: RunHealth) -> None:
    """Hours are the same before they are made, after that, and after something came late."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        hour_ms = bench.clock.now_ms() // HOUR_MS * HOUR_MS + HOUR_MS
        bench.move_to(hour_ms + 50 * MINUTE_MS)
        await bench.send(*(bench.told_at(k * 300, cooling_fan_rpm=1_000.0 + k) for k in range(9)))
        await bench.health.turn()
        before = await bench.hours()
        assert [span.metrics["cooling_fan_rpm"] for span in before] == [(1_000.0, 1_008.0, 1_000.0)]
        await bench.health.upkeep()
        assert await bench.rows("component_hours") == []
        bench.clock.advance(30 * 60)
        await bench.health.upkeep()
        assert len(await bench.rows("component_hours")) == 1
        assert await bench.rows("component_due") == []
        assert await bench.hours() == before
        await bench.send(sample(hour_ms + 1, received_ms=bench.clock.now_ms(), cooling_fan_rpm=9.0))
        await bench.health.turn()
        late = await bench.hours()
        assert late[0].metrics["cooling_fan_rpm"] == (9.0, 1_008.0, 1_000.0)
        await bench.health.upkeep()
        assert await bench.rows("component_due") == []
        assert await bench.hours() == late

    run_health(test)


def test_newest__several_connectors__each_its_last(run_health: RunHealth) -> None:
    """Each connector's newest quarter-hour counts, or its newest hour once minutes are gone."""

    async def test(bench: HealthBench) -> None:
        bench.add_device(connectors=2)
        await bench.send(
            bench.told_at(300, cooling_fan_rpm=1_700.0),
            bench.told_at(20, contactor_cycles=12),
            bench.told_at(7_200, connector_id=2, cooling_fan_rpm=1.0),
        )
        await bench.health.turn()
        one, two = await bench.database.read(bench.health.newest, 1)
        assert sorted(one.metrics) == ["contactor_cycles", "cooling_fan_rpm"]
        assert two.metrics["cooling_fan_rpm"].last == 1.0
        bench.clock.advance(3 * 3_600)
        await bench.health.upkeep()
        bench.clock.advance(3 * DAY_MS / 1_000)
        step = await HealthMinutesTier(bench.database, 2).step(bench.clock.now_ms(), 100)
        assert step.rows == 3
        again = await bench.database.read(bench.health.newest, 1)
        assert again[0].metrics["contactor_cycles"] == one.metrics["contactor_cycles"]

    run_health(test)


def test_reading__device_changed_hands__nothing_of_before(run_health: RunHealth) -> None:
    """Of the time before the device came to its operator there is neither minute nor hour."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        moved_ms = bench.clock.now_ms() - 29 * MINUTE_MS
        await bench.send(
            *(bench.told_at(k * 600, cooling_fan_rpm=1_000.0 + k) for k in range(1, 6))
        )
        await bench.health.turn()
        await bench.database.write(_add_row, moved_ms)
        assert [one.metrics["cooling_fan_rpm"].last for one in await bench.minutes()] == [
            1_002.0, 1_001.0,
        ]  # fmt: skip
        assert min(one.metrics["cooling_fan_rpm"].low for one in await bench.hours()) == 1_001.0
        assert max(one.metrics["cooling_fan_rpm"].high for one in await bench.hours()) == 1_002.0

    run_health(test)


def test_retention__minutes_not_in_their_hours_yet__stay(run_health: RunHealth) -> None:
    """A minute goes after its time only once its hour has it; hours go after theirs."""

    async def test(bench: HealthBench) -> None:
        bench.add_device()
        await bench.send(bench.told_at(5 * 86_400, cooling_fan_rpm=1_000.0))
        await bench.health.turn()
        minutes, hours = HealthMinutesTier(bench.database, 2), HealthHoursTier(bench.database, 4)
        now_ms = bench.clock.now_ms()
        assert (await minutes.step(now_ms, 10)).rows == 0
        await bench.health.upkeep()
        assert (await bench.database.read(minutes.plan, now_ms)).rows == 1
        assert (await minutes.step(now_ms, 10)).rows == 1
        assert await bench.database.read(minutes.find_oldest) is None
        assert (await bench.database.read(hours.plan, now_ms)).rows == 1
        assert (await hours.step(now_ms, 10)).rows == 1
        assert await bench.database.read(hours.find_oldest) is None

    run_health(test)


def test_erasure__of_a_device__leaves_nothing_of_it(run_health: RunHealth) -> None:
    """All rows of the device go, and those of another stay."""

    async def test(bench: HealthBench) -> None:
        for device_no in (1, 2):
            bench.add_device(device_no)
            for ago_s in (10, 8_000):
                at_ms = bench.clock.now_ms() - ago_s * 1_000
                one = sample(at_ms, device_no, received_ms=bench.clock.now_ms(), contactor_cycles=1)
                await bench.send(one)
        await bench.health.turn()
        await bench.health.upkeep()
        for remove in (remove_minutes_of, remove_hours_of):
            while await bench.database.write(remove, 1, 1):
                pass
        assert await bench.minutes(1) == await bench.hours(1) == []
        assert len(await bench.minutes(2)) == len(await bench.hours(2)) == 2
        assert {row[3] for row in await bench.rows("component_late")} == {2}

    run_health(test)


def _add_row(tx: Tx, owned_since_ms: int) -> None:
    tx.execute(
        "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model, manufacturer,"
        " firmware_version, active, created_ms, updated_ms, owned_since_ms)"
        " VALUES (1, 'dvc_1', 'SN1', 'op_1', 'site_1', '', '', '', 1, 0, 0, $1)",
        owned_since_ms,
    )


def test_flush__device_erased_meanwhile__leaves_nothing_behind(run_health: RunHealth) -> None:
    """What waits in memory of a device is not stored once that is deleted, or it would stay."""

    async def scenario(bench: HealthBench) -> None:
        await bench.send(bench.told_at(30, cooling_fan_rpm=1_700.0))
        await bench.database.write(_delete_device)
        for table in ("component_minutes", "component_due"):
            await bench.database.write(lambda tx, name=table: tx.execute(f"DELETE FROM {name}"))
        bench.clock.advance(120)
        await bench.health.turn()
        assert await bench.rows("component_minutes") == []
        assert await bench.rows("component_due") == []
        assert bench.told == []

    run_health(scenario)


def _delete_device(tx: Tx) -> None:
    tx.execute("DELETE FROM devices WHERE device_no = 1")
    tx.execute(
        "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model, manufacturer,"
        " firmware_version, active, created_ms, updated_ms, deleted_ms)"
        " VALUES (1, 'dvc_1', 'SN1', 'op_1', 'site_1', 'M', 'X', '1', 1, 0, 0, 1)"
    )

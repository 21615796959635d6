"""What connectors last said, after a crash: the newest of what the log and the table tell."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.fleet.directory import Device, Directory
from tellus.fleet.model import Reading
from tellus.kernel.errors import Unavailable
from tellus.storage.database import Tx
from tellus.telemetry import states as owing
from tellus.telemetry import store

Now = dict[tuple[int, int], tuple[int, bytes, Reading | None]]
Run = Callable[[Callable[[Any], Awaitable[None]]], None]

_STATES = "SELECT device_no, connector_id, time_ms, content FROM connector_state"


def states(directory: Directory) -> Now:
    """Return what memory holds of every connector that was heard of."""
    return {
        (device.device_no, connector.connector_id): (
            connector.time_ms,
            connector.content,
            connector.reading,
        )
        for device in directory
        for connector in device.connectors.values()
        if connector.time_ms
    }


async def restarted(bench: Any) -> Now:
    """Return the states of a platform that starts over this store and has no memory."""
    directory = Directory()
    for device in bench.directory:
        known = Device(device.device_no, device.device_id, device.sn, "op_1", "site_1")
        known.owned_since_ms = device.owned_since_ms
        directory.add(known)
    await bench.database.write(write_devices, directory)
    service = bench.make_service(directory)
    # As the fleet does before: what the table holds.
    for device_no, connector_id, time_ms, content in await bench.database.read(
        lambda tx: tx.rows(_STATES)
    ):
        service.kind.recover([bench.restore(device_no, connector_id, time_ms, content)])
    await service.start()
    return states(directory)


def write_devices(tx: Tx, directory: Directory) -> None:
    """Store the devices, whose table says since when they are their operator's."""
    tx.execute("DELETE FROM devices")
    tx.insert_many(
        "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model, manufacturer,"
        " firmware_version, active, created_ms, owned_since_ms, updated_ms)",
        [
            (device.device_no, device.device_id, device.sn, "op_1", "site_1", "M", "M", "1", 1, 0,
             device.owned_since_ms, 0)
            for device in directory
        ],
    )  # fmt: skip


def act(bench: Any, chance: random.Random) -> Callable[[], Awaitable[Any]]:
    """Return something that may happen to a fleet of three."""

    async def upload() -> None:
        at_s = chance.choice([0, 0, 0, -1, -60, -1_000, -5_000, 100, 299, 301, 90_000])
        number, connector_id = chance.randint(1, 3), chance.randint(1, 2)
        power_kw = float(chance.randint(0, 3))
        sample = bench.sample(at_s, device_no=number, connector_id=connector_id, power_kw=power_kw)
        await bench.service.ingest(sample)

    async def move() -> None:
        device = bench.directory.by_no(chance.randint(1, 3))
        bench.clock.advance(0.001)
        device.owned_since_ms = bench.clock.now_ms()
        await bench.database.write(
            lambda tx: tx.execute(
                "DELETE FROM connector_state WHERE device_no = $1", device.device_no
            )
        )
        for connector in device.connectors.values():
            connector.forget_reading()

    async def wait() -> None:
        bench.clock.advance(chance.choice([0.001, 1, 5, 300, 1_200, 4_000]))

    acts = [upload] * 6 + [wait] * 2 + [bench.service.compact, move, bench.service.stop]
    return chance.choice(acts)


@pytest.mark.parametrize("seed", range(12))
def test_restart__after_any_history__knows_what_connectors_last_said(
    run_bench: Run, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No state is lost or made up by a crash: late, tied, early, packed, or another operator's."""
    # No process lives long enough to write what it owes, unless ``stop`` is among the acts.
    monkeypatch.setattr(owing, "_GATHER_S", 3_600.0)

    async def test(bench: Any) -> None:
        chance = random.Random(seed)
        for number in (1, 2, 3):
            bench.add_device(number, connectors=chance.randint(0, 2))
        for step in range(120):
            await act(bench, chance)()
            if step % 10 == 0:
                assert await restarted(bench) == states(bench.directory)
        assert await restarted(bench) == states(bench.directory)

    run_bench(test)


def test_restart__with_two_samples_of_one_instant__knows_the_present_operators(
    run_bench: Run,
) -> None:
    """Of one instant the larger content is current, unless a former operator's charger said it."""

    async def test(bench: Any) -> None:
        device = bench.add_device()
        small, large = sorted(
            (bench.sample(power_kw=power_kw) for power_kw in (1.0, 2.0)),
            key=lambda sample: sample.content,
        )
        await bench.service.ingest(large)
        bench.clock.advance(1)
        device.owned_since_ms = bench.clock.now_ms()
        device.connectors[1].forget_reading()
        await bench.service.ingest(small._replace(received_ms=bench.clock.now_ms()))
        assert await restarted(bench) == states(bench.directory)
        assert device.connectors[1].content == small.content

    run_bench(test)


def test_comparison__of_a_platform_that_forgets_packed_states__sees_it(
    run_own_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were states not kept when samples leave the log, the comparison would show it."""

    async def test(bench: Any) -> None:
        bench.add_device()
        await bench.service.ingest(bench.sample())
        bench.clock.advance(4_000)
        monkeypatch.setattr(bench.service.kind, "keep_states", lambda _tx, _samples: None)
        assert await bench.service.compact() == 1
        assert await restarted(bench) != states(bench.directory)

    run_own_bench(test)


def test_batch__of_a_process_of_its_own__writes_samples_alone(run_own_bench: Run) -> None:
    """A state costs the hot path nothing; it is written when its sample leaves the log."""

    async def test(bench: Any) -> None:
        bench.add_device()
        sample = bench.sample()
        await bench.service.ingest(sample)
        assert await bench.database.read(lambda tx: tx.rows(_STATES)) == []
        bench.clock.advance(4_000)
        await bench.service.compact()
        kept = await bench.database.read(lambda tx: tx.rows(_STATES))
        assert kept == [(1, 1, sample.time_ms, sample.content)]
        assert await bench.database.read(store.list_log_instants, [(sample.time_ms, 1, 1)]) == []

    run_own_bench(test)


def test_states__where_other_nodes_read_them__are_written_before_those_are_told(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process' streams hear at once, the other nodes when the store tells them the same."""

    async def test(bench: Any) -> None:
        if not bench.database.is_shared:
            return  # nobody else reads them
        told: list[Any] = []
        monkeypatch.setattr(bench.bus, "pass_on", lambda _topic, keys: told.append(keys))
        bench.add_device(connectors=2)
        samples = [bench.sample(at_s, connector_id=1 + at_s % 2) for at_s in range(-5, 0)]
        for sample in samples:
            await bench.service.ingest(sample)
        assert bench.changed == [1] * 5
        await bench.service.stop()
        kept = await bench.database.read(lambda tx: tx.rows(_STATES + " ORDER BY connector_id"))
        newest = (samples[-2], samples[-1])
        assert kept == [(1, s.connector_id, s.time_ms, s.content) for s in newest]
        assert told == [(1,)]

    run_bench(test)


def test_states__while_the_store_refuses__stay_owed(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is written when the store takes it again."""

    async def test(bench: Any) -> None:
        if not bench.database.is_shared:
            return  # nothing is owed
        bench.add_device()
        sample = bench.sample()
        await bench.service.ingest(sample)
        with monkeypatch.context() as patch:
            patch.setattr(bench.database, "write", _refuse)
            with pytest.raises(Unavailable):
                await bench.service.stop()
        assert await bench.database.read(lambda tx: tx.rows(_STATES)) == []
        await bench.service.stop()
        kept = await bench.database.read(lambda tx: tx.rows(_STATES))
        assert kept == [(1, 1, sample.time_ms, sample.content)]

    run_bench(test)


def test_states__of_a_node_that_died__are_found_by_the_one_on_duty(
    run_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that no living node owes is written from the log, and every node hears of it."""

    async def test(bench: Any) -> None:
        if not bench.database.is_shared:
            return  # one process, and it starts anew
        bench.add_device()
        sample = bench.sample()
        dead = bench.make_service(bench.directory)
        dead.kind.on_moved = None
        await dead.ingest(sample)
        directory = Directory()
        directory.add(Device(1, "dvc_1", "SN1", "op_1", "site_1"))
        await bench.database.write(write_devices, directory)
        told: list[Any] = []
        monkeypatch.setattr(bench.bus, "pass_on", lambda _topic, keys: told.append(keys))
        living = bench.make_service(directory)
        await living.compact()
        await living.stop()
        assert states(directory) == states(bench.directory)
        kept = await bench.database.read(lambda tx: tx.rows(_STATES))
        assert kept == [(1, 1, sample.time_ms, sample.content)]
        assert told == [(1,)]

    run_bench(test)


async def _refuse(*_: Any) -> None:
    raise Unavailable("Storage cannot be reached")

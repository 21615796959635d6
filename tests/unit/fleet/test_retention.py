"""Erasing vehicles and devices on request, and events that are kept for a time only."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.audit import store as audit
from tellus.audit.model import Actor, Filter
from tellus.fleet.erasure import LONGEST_WAIT_MS, ErasureService
from tellus.fleet.retention import EventTier
from tellus.kernel.errors import NotFound
from tellus.storage.database import Tx
from tests.unit.fleet.conftest import FleetBench

Run = Callable[[Callable[[FleetBench], Awaitable[None]]], None]

ADMIN = Actor("svc_1", "req_1")
VIN = "WVWZZZ1JZXW000001"


def _erasures(bench: FleetBench) -> ErasureService:
    return ErasureService(bench.database, bench.identity.vault, bench.devices, bench.clock)


async def _audited(bench: FleetBench) -> list[tuple[str, str | None]]:
    entries = await bench.database.read(
        lambda tx: audit.list_entries(tx, Filter(resource_type="erasure"), 0, 10)[1]
    )
    assert VIN not in repr(entries)
    return [(entry.action, entry.details.get("device_id")) for entry in entries]


def test_vehicle__erased__is_unreadable_with_a_receipt_that_names_nobody(
    run_bench: Run,
) -> None:
    """Its key and its blind index are gone; receipt and audit entry tell who and when, no VIN."""

    async def check(bench: FleetBench) -> None:
        erasures, vault = _erasures(bench), bench.identity.vault
        operator_id = await bench.operator()
        subject_id, sealed = await bench.database.write(vault.seal, operator_id, VIN, 1)
        receipt = await erasures.erase_vehicle(operator_id, VIN.lower(), ADMIN)
        assert (receipt.kind, receipt.removed, receipt.asked_by) == (
            "vehicle",
            {"keys": 1},
            "svc_1",
        )
        assert receipt.done_ms == bench.clock.now_ms()
        assert await bench.database.read(vault.open, subject_id, sealed) is None
        assert await bench.rows("SELECT count(*) FROM subjects") == [(0,)]
        assert await erasures.get_erasure(receipt.erasure_id) == receipt
        assert VIN not in repr(await bench.rows("SELECT * FROM erasures"))
        assert await _audited(bench) == [("erasure.completed", None), ("vehicle.erased", None)]

    run_bench(check)


def test_vehicle__nobody_heard_of_it__is_said_on_the_receipt(run_bench: Run) -> None:
    """Nothing held is an answer, too; an operator that is not there is none."""

    async def check(bench: FleetBench) -> None:
        erasures = _erasures(bench)
        receipt = await erasures.erase_vehicle(await bench.operator(), VIN, ADMIN)
        assert receipt.removed == {"keys": 0}
        with pytest.raises(NotFound):
            await erasures.erase_vehicle("op_nobody", VIN, ADMIN)

    run_bench(check)


def test_device__erased__goes_with_its_events_and_leaves_others_alone(run_bench: Run) -> None:
    """A device that is still there is deleted; then its events and states are gone, not others'."""

    async def check(bench: FleetBench) -> None:
        erasures = _erasures(bench)
        gone, other = await bench.device("SN1", mac="00:11"), await bench.device("SN2")
        for device in (gone, other):
            await bench.report(device, connector_id=7, data={"vin": VIN})
        asked = await erasures.erase_device(gone.device_id, ADMIN)
        assert (asked.device_id, asked.done_ms) == (gone.device_id, None)
        assert bench.directory.by_id(gone.device_id) is None
        assert await erasures.erase_device(gone.device_id, ADMIN) == asked
        await erasures.turn()
        receipt = await erasures.get_erasure(asked.erasure_id)
        assert receipt.done_ms == bench.clock.now_ms()
        assert receipt.removed == {"events": 1, "metadata": 1}
        assert await bench.rows("SELECT device_no FROM device_lifecycle") == [(other.device_no,)]
        assert await bench.rows("SELECT DISTINCT device_no FROM events") == [(other.device_no,)]
        left = await bench.rows("SELECT mac FROM devices WHERE device_no = $1", gone.device_no)
        assert left == [(None,)]
        audited = [
            ("erasure.completed", None),
            ("device.erased", gone.device_id),
            ("device.erasure_asked", gone.device_id),
        ]
        assert await _audited(bench) == audited

    run_bench(check)


def test_device__absent__cannot_be_erased(run_bench: Run) -> None:
    """There is nothing to erase of a device that never was."""

    async def check(bench: FleetBench) -> None:
        with pytest.raises(NotFound):
            await _erasures(bench).erase_device("dvc_nobody", ADMIN)

    run_bench(check)


def test_device__not_in_the_sums_yet__waits_but_not_for_ever(run_bench: Run) -> None:
    """What a device did is summed first; one that waits does not hold up the next."""

    async def check(bench: FleetBench) -> None:
        erasures = _erasures(bench)
        first, second = await bench.device("SN1"), await bench.device("SN2")
        erasures.still_needed = lambda _tx, device_no, _to_ms: device_no == first.device_no
        waiting = await erasures.erase_device(first.device_id, ADMIN)
        following = await erasures.erase_device(second.device_id, ADMIN)
        await erasures.turn()
        assert (await erasures.get_erasure(waiting.erasure_id)).done_ms is None
        assert (await erasures.get_erasure(following.erasure_id)).done_ms is not None
        bench.clock.advance(LONGEST_WAIT_MS / 1_000)
        await erasures.turn()
        assert (await erasures.get_erasure(waiting.erasure_id)).done_ms is not None

    run_bench(check)


def test_device__erasure_cut_off__goes_on_where_it_was(run_bench: Run) -> None:
    """A process that ends in between leaves the rest to the next one, and counts add up."""

    async def check(bench: FleetBench) -> None:
        device = await bench.device("SN1")
        await bench.report_many(device, [_event(k) for k in range(100)])
        erasures = _erasures(bench)
        asked = await erasures.erase_device(device.device_id, ADMIN)

        def fail(_tx: Tx, _device_no: int, _limit: int) -> int:
            raise LookupError

        erasures.add(erasures.part("others", fail))
        with pytest.raises(LookupError):
            await erasures.turn()
        fresh = _erasures(bench)
        await fresh.turn()
        receipt = await fresh.get_erasure(asked.erasure_id)
        assert receipt.done_ms is not None
        assert receipt.removed["events"] == 100
        assert await bench.rows("SELECT count(*) FROM events") == [(0,)]

    run_bench(check)


def test_events__kept_for_a_time__go_by_their_arrival(run_bench: Run) -> None:
    """Events go once they arrived long enough ago, a few at a time; younger ones stay."""

    async def check(bench: FleetBench) -> None:
        device = await bench.device()
        await bench.report_many(device, [_event(k) for k in range(5)])
        bench.clock.advance(40 * 86_400)
        await bench.report(device, data={"late": True})
        tier = EventTier(bench.database, 30)
        now_ms = bench.clock.now_ms()
        assert (await bench.database.read(tier.plan, now_ms)).rows == 5
        steps = [await tier.step(now_ms, 3) for _ in range(2)]
        assert [(step.rows, step.more) for step in steps] == [(3, True), (2, False)]
        assert await bench.rows("SELECT data FROM events") == [('{"late":true}',)]
        assert await bench.database.read(tier.find_oldest) is not None

    run_bench(check)


def _event(k: int) -> dict[str, Any]:
    time = f"2025-03-15T09:{k % 60:02}:{k // 60:02}Z"
    return {"timestamp": time, "event_type": "plug_in", "data": {"k": k}}

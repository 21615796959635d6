import asyncio
from typing import Any

import pytest

from tellus.fleet.rules import Reconnects
from tellus.kernel.errors import NotFound

MINUTE_MS = 60_000


async def shown(bench: Any, device: Any) -> dict[str, Any]:
    """The device as its operator sees it."""
    answer: dict[str, Any] = await bench.operator_reads("get_device", device_id=device.device_id)
    return answer


def faults(bench: Any) -> list[str]:
    """The fault keys of the events that listeners were told of."""
    return [event.fault_key for event in bench.stored_events() if event.origin == "platform"]


def test_is_online__first_request__at_once_and_for_90_seconds(run_bench: Any) -> None:
    """A device is online with its first authenticated request, without waiting for a sweep."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        before = await shown(bench, device)
        assert before["status"] == "offline"
        assert {"online_since", "offline_since", "last_heartbeat"}.isdisjoint(before)
        bench.contact(device)
        assert (await shown(bench, device))["status"] == "online"
        bench.clock.advance(200)  # past the grace after the start
        assert (await shown(bench, device))["status"] == "offline"
        bench.contact(device)
        bench.clock.advance(89.999)
        assert (await shown(bench, device))["status"] == "online"
        bench.clock.advance(0.001)
        assert (await shown(bench, device))["status"] == "offline"

    run_bench(test)


def test_sweep__silence__raises_heartbeat_lost_once_per_outage(run_bench: Any) -> None:
    """Going offline raises F-0301 once, with the time since when; another outage raises another."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.advance(200)
        await bench.beat(device)
        await bench.sweep()
        for _ in range(5):
            await bench.advance(30)
        assert faults(bench) == ["F-0301"]
        page = await bench.operator_reads("list_device_events", device_id=device.device_id)
        event = page["items"][0]
        assert event["origin"] == "platform"
        assert event["event_type"] == "fault"
        assert event["data"]["details"] == {"offline_since": "2025-03-15T09:33:20Z"}
        assert (await shown(bench, device))["offline_since"] == "2025-03-15T09:33:20Z"
        await bench.beat(device)
        await bench.sweep()
        assert (await shown(bench, device))["online_since"] == "2025-03-15T09:35:50Z"
        await bench.advance(90)
        assert faults(bench) == ["F-0301", "F-0301"]
        changes = [(fact.online, fact.announced) for fact in bench.transitions()]
        assert changes == [(True, False), (False, False), (True, False), (False, False)]

    run_bench(test)


def test_sweep__announced_shutdown__is_offline_at_once_without_a_fault(run_bench: Any) -> None:
    """A device that says it goes is offline from then on, and nobody is alarmed."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device)
        await bench.sweep()
        await bench.beat(device, "offline")
        assert (await shown(bench, device))["status"] == "offline"
        await bench.advance(1000)
        assert faults(bench) == []
        assert bench.transitions()[-1].announced
        bench.contact(device)
        assert (await shown(bench, device))["status"] == "online"

    run_bench(test)


def test_start__within_grace__nobody_is_marked_offline(run_bench: Any) -> None:
    """After a restart devices keep the benefit of the doubt for 120 s, then silence counts."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device)
        await bench.sweep()
        await bench.presence.flush(bench.clock.now_ms())
        bench.clock.advance(3600)
        await bench.start()
        device = bench.directory.by_id(device.device_id)
        await bench.advance(119.9)
        assert (await shown(bench, device))["status"] == "online"
        assert faults(bench) == []
        await bench.advance(0.1)
        assert (await shown(bench, device))["status"] == "offline"
        assert faults(bench) == ["F-0301"]
        await bench.start()
        await bench.advance(300)
        assert faults(bench) == []

    run_bench(test)


def test_start__after_announced_shutdown__stays_offline(run_bench: Any) -> None:
    """Who had gone before a restart is not brought back by it."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device, "offline")
        await bench.presence.flush(bench.clock.now_ms())
        await bench.start()
        device = bench.directory.by_id(device.device_id)
        assert (await shown(bench, device))["status"] == "offline"

    run_bench(test)


def test_sweep__wall_clock_jumps__grants_a_new_grace(run_bench: Any) -> None:
    """A correction of the machine's clock does not take a whole fleet offline."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.advance(200)
        await bench.beat(device)
        await bench.sweep()
        bench.clock.jump_wall(3600)
        await bench.sweep()
        assert (await shown(bench, device))["status"] == "online"
        assert faults(bench) == []
        await bench.advance(120)
        assert faults(bench) == ["F-0301"]

    run_bench(test)


def test_reconnects__sixth_token_in_ten_minutes__raises_a_storm_once(run_bench: Any) -> None:
    """Asking for tokens while the last is good counts; the sixth time in a window is F-0302."""

    async def test(bench: Any) -> None:
        registered = await bench.register()
        for _ in range(6):
            await bench.token(registered)
            await bench.advance(60)
        assert faults(bench) == []
        await bench.token(registered)
        await bench.sweep()
        assert faults(bench) == ["F-0302"]
        for _ in range(5):
            await bench.token(registered)
            await bench.advance(60)
        assert faults(bench) == ["F-0302"]

    run_bench(test)


def test_reconnects__token_that_comes_when_due__is_none(run_bench: Any) -> None:
    """Renewing a token in its last ten minutes is no reconnect."""

    async def test(bench: Any) -> None:
        registered = await bench.register()
        for _ in range(10):
            await bench.token(registered)
            await bench.advance(86_400 - 600)
        assert faults(bench) == []

    run_bench(test)


def test_reconnects__return_with_a_new_token__counts_once(run_bench: Any) -> None:
    """A reboot is one reconnect, although the device both returns and asks for a token."""

    async def test(bench: Any) -> None:
        registered = await bench.register()
        await bench.token(registered)
        device = bench.directory.by_id(registered["device_id"])
        await bench.beat(device)
        await bench.sweep()
        for _ in range(5):
            await bench.beat(device, "offline")
            await bench.advance(10)
            await bench.token(registered)
            await bench.beat(device)
            await bench.advance(10)
        assert len(device.reconnects) == 5
        assert faults(bench) == []

    run_bench(test)


@pytest.mark.parametrize("watched", [True, False])
def test_reconnects__six_returns__raise_a_storm_whether_or_not_a_sweep_saw_them(
    run_bench: Any, *, watched: bool
) -> None:
    """Returns between two sweeps count like those that a sweep saw."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device)
        await bench.sweep()
        for _ in range(6):
            await bench.beat(device, "offline")
            if watched:
                await bench.sweep()
            bench.clock.advance(1)
            await bench.beat(device)
            if watched:
                await bench.sweep()
        await bench.sweep()
        assert faults(bench) == ["F-0302"]

    run_bench(test)


def test_is_storm__sliding_window__counts_the_last_ten_minutes_only() -> None:
    """Six in ten minutes are a storm, six in a little more are none."""
    times: list[int] = []
    spread = [Reconnects.is_storm(times, None, k * 2 * MINUTE_MS) for k in range(20)]
    assert not any(spread)
    times = []
    dense = [Reconnects.is_storm(times, None, k * (2 * MINUTE_MS - 1)) for k in range(6)]
    assert dense == [False] * 5 + [True]


def test_flush__seen_and_heartbeat__survive_a_restart(run_bench: Any) -> None:
    """Every 15 s what was seen is stored; before that nothing is written for it."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.advance(20)
        await bench.beat(device)
        await bench.advance(5)
        assert await bench.rows("SELECT last_seen_ms FROM device_state") == [(None,)]
        await bench.advance(10)
        seen_ms = device.seen_ms
        assert await bench.rows("SELECT last_seen_ms FROM device_state") == [(seen_ms,)]
        await bench.start()
        again = bench.directory.by_id(device.device_id)
        assert (again.seen_ms, again.heartbeat_ms) == (seen_ms, seen_ms)
        answer = await shown(bench, again)
        assert answer["last_heartbeat"] == "2025-03-15T09:30:20Z"
        assert answer["status"] == "online"

    run_bench(test)


def test_heartbeat__nothing_changed__writes_nothing(run_bench: Any) -> None:
    """The usual heartbeat costs no write; the first and a changed one do."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device)
        await bench.rows("SELECT 1")
        before = bench.database.stats.operations
        for _ in range(10):
            await bench.beat(device)
        assert bench.database.stats.operations == before
        await bench.beat(device, "fault", "F-0411")
        assert bench.database.stats.operations == before + 1

    run_bench(test)


def test_heartbeat__fault__is_online_with_health_fault(run_bench: Any) -> None:
    """A fault in the heartbeat is health, not presence; it survives a restart as sent."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device, "fault", 411)
        for _ in range(2):
            answer = await shown(bench, device)
            assert (answer["status"], answer["health"]) == ("online", "fault")
            assert (answer["fault_code"], answer["fault_key"]) == (411, "F-0411")
            await bench.presence.flush(bench.clock.now_ms())
            await bench.start()
            device = bench.directory.by_id(device.device_id)
        await bench.beat(device)
        answer = await shown(bench, device)
        assert answer["health"] == "ok"
        assert "fault_code" not in answer

    run_bench(test)


def test_heartbeat__clock_offset__is_shown(run_bench: Any) -> None:
    """How far a device's clock runs ahead is told in seconds."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        bench.contact(device)
        now_ms = bench.clock.now_ms()
        await bench.fleet.heartbeat(device.device_no, "online", 0, now_ms - 1500, now_ms)
        assert (await shown(bench, device))["clock_offset"] == -1.5

    run_bench(test)


def test_heartbeat__unknown_device__is_not_found(run_bench: Any) -> None:
    """A device that exists no longer has no heartbeat."""

    async def test(bench: Any) -> None:
        with pytest.raises(NotFound):
            await bench.fleet.heartbeat(99, "online", 0, 0, 0)

    run_bench(test)


def test_overdue_secret__raises_an_event_once(run_bench: Any) -> None:
    """A secret past its advised life still works, and the operator is told."""

    async def test(bench: Any) -> None:
        registered = await bench.register()
        await bench.token(registered)
        bench.clock.advance(366 * 86_400)
        await bench.token(registered)
        await bench.token(registered)
        await bench.sweep()
        events = bench.stored_events()
        assert [event.event_type for event in events] == ["alarm"]
        assert "secret_overdue" in events[0].data

    run_bench(test)


def test_sweep__store_fails__tries_again_with_nothing_lost(run_bench: Any) -> None:
    """What a sweep could not store is stored by the next one."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device)
        await bench.sweep()
        bench.clock.advance(300)

        def refuse(*_: Any) -> None:
            raise RuntimeError("owed")

        bench.kind.in_tx.append(refuse)
        with pytest.raises(RuntimeError):
            await bench.sweep()
        assert device.online
        bench.kind.in_tx.clear()
        await bench.sweep()
        assert faults(bench) == ["F-0301"]
        await asyncio.sleep(0)

    run_bench(test)

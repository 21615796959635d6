"""The log of connections, what is measured from it, and the score."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.fleet.model_network import Availability, Change, NetworkFacts, Reconnections
from tellus.fleet.network import NetworkService, NetworkView
from tellus.fleet.retention import ConnectionTier
from tellus.fleet.rules_network import (
    AVAILABILITY_WORST,
    OFFLINE_MOST,
    OUTAGE_WORST_MS,
    RECONNECTS_WORST,
    health_score,
    measure,
)
from tellus.kernel.errors import NotFound

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
QUIET = Reconnections(0, 0, 0)
PERFECT = Availability(DAY_MS, DAY_MS, 0)


def facts(**changes: Any) -> NetworkFacts:
    """A device that has been online all the time."""
    return NetworkFacts(True, False, PERFECT, PERFECT, QUIET)._replace(**changes)


def share(part: float) -> Availability:
    """A day of which so much was online, in outages too short to count."""
    return Availability(1_000_000, round(1_000_000 * part), 0)


# --------------------------------------------------------------------------- measuring


def test_measure__online_with_a_gap__counts_both_sides_of_it() -> None:
    """Known is what follows the first change; the gap is the longest outage."""
    changes = [Change(100, True), Change(300, False), Change(400, True)]
    assert measure(changes, 0, 1_000) == Availability(900, 800, 100)


def test_measure__outage_from_before_the_span__is_counted_within_it() -> None:
    """What began before the span counts in it from its beginning."""
    assert measure([Change(0, False)], 600, 1_000) == Availability(400, 0, 400)
    changes = [Change(0, True), Change(500, False), Change(700, True)]
    assert measure(changes, 600, 1_000) == Availability(400, 300, 100)


def test_measure__nothing_known__is_no_availability() -> None:
    """A device that nobody ever heard of is neither available nor not."""
    assert measure([], 0, 1_000) == Availability()
    assert Availability().share is None


def test_measure__outage_written_in_two_pieces__is_one() -> None:
    """The same word said twice does not make two outages of one."""
    changes = [Change(0, True), Change(100, False), Change(300, False), Change(900, True)]
    assert measure(changes, 0, 1_000).longest_outage_ms == 800


@given(
    st.lists(st.tuples(st.integers(0, 1_000), st.booleans()), max_size=20),
    st.integers(0, 1_000),
    st.integers(0, 1_000),
)
def test_measure__any_changes__stay_within_the_span(
    pairs: list[tuple[int, bool]], one_ms: int, other_ms: int
) -> None:
    """Online is part of known, known part of the span, and pieces of a span add up to it."""
    changes = [Change(*pair) for pair in sorted(pairs)]
    from_ms, until_ms = sorted((one_ms, other_ms))
    whole = measure(changes, from_ms, until_ms)
    assert 0 <= whole.online_ms <= whole.known_ms <= until_ms - from_ms
    assert whole.longest_outage_ms <= whole.known_ms - whole.online_ms
    middle_ms = (from_ms + until_ms) // 2
    halves = measure(changes, from_ms, middle_ms), measure(changes, middle_ms, until_ms)
    assert whole.online_ms == sum(half.online_ms for half in halves)


# ----------------------------------------------------------------------------- scoring


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({}, 100),
        ({"day": Availability(), "week": Availability()}, None),
        ({"day": share(AVAILABILITY_WORST), "week": share(AVAILABILITY_WORST)}, 40),
        ({"day": share(0.5), "week": share(0.5)}, 40),
        ({"day": share(0.95), "week": share(0.95)}, 70),
        ({"day": share(1.0), "week": share(0.95)}, 85),
        ({"reconnects": Reconnections(0, RECONNECTS_WORST, RECONNECTS_WORST)}, 70),
        ({"reconnects": Reconnections(0, RECONNECTS_WORST // 2, 99)}, 85),
        ({"reconnects": Reconnections(5, 5, 5)}, 92),
        ({"reconnects": Reconnections(6, 6, 6)}, 70),
        ({"week": Availability(DAY_MS, DAY_MS, OUTAGE_WORST_MS)}, 90),
        ({"week": Availability(DAY_MS, DAY_MS, 9 * OUTAGE_WORST_MS)}, 90),
        ({"online": False}, OFFLINE_MOST),
        ({"online": False, "announced": True}, 100),
    ],
)
def test_health_score__each_part__costs_what_the_formula_says(
    changes: dict[str, Any], score: int | None
) -> None:
    """Availability earns up to 60, steadiness 30, recovery 10; unannounced silence caps it."""
    assert health_score(facts(**changes)) == score


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10_000), st.integers(0, 10**12))
def test_health_score__whatever_happened__is_between_0_and_100(
    day: float, week: float, reconnects: int, outage_ms: int
) -> None:
    """No history is so bad or so good that the score leaves its scale."""
    found = facts(
        day=share(day),
        week=share(week)._replace(longest_outage_ms=outage_ms),
        reconnects=Reconnections(reconnects, reconnects, reconnects),
    )
    score = health_score(found)
    assert score is not None
    assert 0 <= score <= 100


# ------------------------------------------------------------------------------ the log


async def view(bench: Any, device: Any, size: int = 100) -> NetworkView:
    """The device's network view as its operator has it."""
    service = NetworkService(bench.database, bench.directory, bench.presence)
    page = (0, size)
    return await service.read(device.device_id, device.operator_id, page, bench.clock.now_ms())


def kinds(found: NetworkView) -> list[str]:
    """What happened, newest first."""
    return [entry.kind.value for entry in found.entries]


def test_view__device_never_heard_of__knows_nothing(run_bench: Any) -> None:
    """Before the first request there is neither score nor history."""

    async def check(bench: Any) -> None:
        found = await view(bench, await bench.device())
        assert (found.score, found.since_ms, found.total, found.entries) == (None, None, 0, [])

    run_bench(check)


def test_view__outage_and_return__are_in_the_log_with_their_times(run_bench: Any) -> None:
    """Coming, going silent and coming back are three entries, and the return is a reconnect."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        await bench.advance(200)
        await bench.beat(device)
        begun_ms = bench.clock.now_ms()
        await bench.sweep()
        await bench.advance(400)
        silent = await view(bench, device)
        assert kinds(silent) == ["offline", "online"]
        assert silent.entries[0].time_ms == begun_ms
        assert (silent.facts.online, silent.facts.announced) == (False, False)
        assert silent.score is not None
        assert silent.score <= OFFLINE_MOST
        await bench.beat(device)
        await bench.sweep()
        back = await view(bench, device)
        assert sorted(kinds(back)[:2]) == ["online", "reconnect"]
        assert back.facts.online
        assert back.facts.week.longest_outage_ms == 400_000
        assert back.facts.reconnects == Reconnections(1, 1, 1)
        await bench.advance(30)
        await bench.beat(device, "offline")
        await bench.sweep()
        gone = await view(bench, device)
        assert (kinds(gone)[0], gone.facts.announced) == ("shutdown", True)

    run_bench(check)


def test_view__silence_no_sweep_has_seen__is_told_all_the_same(run_bench: Any) -> None:
    """The view does not wait for the log: what memory knows is in it."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        await bench.advance(200)
        await bench.beat(device)
        await bench.sweep()
        bench.clock.advance(100)
        found = await view(bench, device)
        assert kinds(found) == ["online"]
        assert not found.facts.online
        assert found.facts.day == Availability(100_000, 0, 100_000)

    run_bench(check)


def test_view__survives_a_restart_and_serves_every_node(run_bench: Any) -> None:
    """Everything is read from the store: after a restart it is the same."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        await bench.advance(200)
        for _ in range(3):
            await bench.beat(device)
            await bench.sweep()
            await bench.advance(300)
        before = await view(bench, device)
        await bench.start()
        again = await view(bench, bench.directory.by_id(device.device_id))
        assert again.entries == before.entries
        assert again.facts.reconnects == before.facts.reconnects == Reconnections(2, 2, 2)

    run_bench(check)


def test_view__store_refuses_reconnects__keeps_them_for_later(run_bench: Any) -> None:
    """A reconnect that could not be written is written with the next sweep."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device)
        await bench.sweep()
        bench.presence._tell_reconnect(device, bench.clock.now_ms())
        write = bench.database.write

        async def refuse(*_: Any) -> None:
            raise OSError

        bench.database.write = refuse
        with pytest.raises(OSError):
            await bench.sweep()
        bench.database.write = write
        assert "reconnect" not in kinds(await view(bench, device))
        await bench.sweep()
        assert kinds(await view(bench, device)).count("reconnect") == 1

    run_bench(check)


def test_view__of_another_operator__is_not_there(run_bench: Any) -> None:
    """Foreign devices look absent; what was before a device moved stays with its former owner."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        await bench.beat(device)
        await bench.sweep()
        service = NetworkService(bench.database, bench.directory, bench.presence)
        with pytest.raises(NotFound):
            await service.read(device.device_id, "opr_x", (0, 1), bench.clock.now_ms())
        device.owned_since_ms = bench.clock.now_ms() + 1
        found = await view(bench, device)
        assert (found.total, found.facts.week.online_ms) == (0, 0)

    run_bench(check)


def test_tier__entries_past_their_time__are_dropped_in_small_steps(run_bench: Any) -> None:
    """Retention finds, counts and drops what is older than it may be, and nothing else."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        await bench.advance(200)
        await bench.beat(device)
        await bench.sweep()
        await bench.advance(200)
        tier = ConnectionTier(bench.database, 1)
        now_ms = bench.clock.now_ms()
        assert (await bench.database.read(tier.plan, now_ms)).rows == 0
        later_ms = now_ms + DAY_MS
        assert (await bench.database.read(tier.plan, later_ms)).rows == 2
        assert (await tier.step(later_ms, 1)).more
        assert (await tier.step(later_ms, 9)).rows == 1
        assert await bench.database.read(tier.find_oldest) is None

    run_bench(check)

"""Series: what is read from the sums is what the sessions moved, minute by minute."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from itertools import cycle, product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tellus.energy import store_folded
from tellus.energy.model import MinuteEnergies
from tellus.energy.model_rows import MINUTE, QUARTER, StoredSession
from tellus.energy.model_series import Aggregate, Granularity, Group, Grouping, Wanted
from tellus.energy.model_sums import Overlay
from tellus.energy.queries import EnergyQueries
from tellus.energy.shapes import minutes_of, pack_shape, to_quarters
from tellus.energy.sums import add_moved, apply_moved
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import InvalidParameter, NotFound
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry.model import PastSample
from tests.databases import open_database

pytestmark = pytest.mark.usefixtures("database_kind")

OPERATOR = "op_1"
SITES = ("site_a", "site_b", "site_c")
START_MS = 1_743_123_600_000  # 2025-03-28T01:00Z: two days before clocks change in Europe
SPAN_MINUTES = 6 * 24 * 60
KWH = 1_000_000_000

Moved = dict[str, MinuteEnergies]


class Unsummed:
    """What is not in the sums, as a test says; no samples are kept."""

    def __init__(self, minutes: Moved | None = None) -> None:
        self.minutes = minutes or {}
        self.settled: list[str] = []
        self.database: Database | None = None

    async def read_settled(self, operator_id: str, work: Any, *args: Any) -> Any:
        assert self.database is not None
        self.settled.append(operator_id)
        return await self.database.read(work, *args)

    def overlay(self, tx: Tx, operator_id: str) -> Overlay:
        return Overlay(self.minutes, [], frozenset())


def session(number: int, site_id: str, minutes: MinuteEnergies) -> StoredSession:
    """A stored session with this energy."""
    return StoredSession(
        0, f"ses_{number}", number, 1, f"dvc_{number}", OPERATOR, site_id,
        min(minutes) * MINUTE_MS, (max(minutes) + 1) * MINUTE_MS, (max(minutes) + 1) * MINUTE_MS,
        None, sum(one[0] for one in minutes.values()), sum(one[1] for one in minutes.values()),
        0, None, None, 1, "counter", MINUTE, 0, pack_shape(minutes), None,
    )  # fmt: skip


def random_sessions(seed: int, count: int = 24) -> list[StoredSession]:
    """Sessions of minutes to days, in both directions, at all sites."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        first = START_MS // MINUTE_MS + rng.randrange(SPAN_MINUTES)
        length = rng.choice((1, 17, 90, 480, 1_600))
        sign = rng.choice((1, 1, 1, -1))
        minutes = {}
        for minute in range(first, first + length):
            energy = rng.randrange(1, KWH)
            minutes[minute] = (energy, 0) if sign > 0 else (0, energy)
        made.append(session(number, rng.choice(SITES), minutes))
    return made


def moved_by(sessions: Iterable[StoredSession]) -> Moved:
    """What sessions add to their scopes."""
    total: Moved = {}
    for one in sessions:
        minutes = minutes_of(one)
        add_moved(total, {one.site_id: minutes, one.operator_id: minutes})
    return total


def write(tx: Tx, sessions: list[StoredSession], sites: Iterable[str] = SITES) -> None:
    """Store sessions and add them to the sums."""
    for site_id in sites:
        tx.execute(
            "INSERT INTO sites (site_id, operator_id, name, timezone, region, active, created_ms)"
            " VALUES ($1, $2, 'Site', 'UTC', 'eu', 1, 0) ON CONFLICT (site_id) DO NOTHING",
            site_id,
            OPERATOR,
        )
    store_folded.put_sessions(tx, sessions)
    apply_moved(tx, moved_by(sessions))


def run(path: Path, check: Callable[[Database], Awaitable[None]]) -> None:
    """Run a check over an empty database."""

    async def whole() -> None:
        database = open_database(path / "tellus.db", ManualClock())
        await database.start()
        try:
            await check(database)
        finally:
            await database.stop()

    asyncio.run(whole())


def wanted(from_ms: int, to_ms: int, granularity: str = "hour", **more: Any) -> Wanted:
    """A query long after everything."""
    return Wanted(OPERATOR, Granularity(granularity), from_ms, to_ms, 2**50, **more)


@cache
def name_of(minute: int, granularity: str, zone: ZoneInfo | None) -> str:
    """What the bucket of a minute is called, by the clock on the wall."""
    moment = datetime.fromtimestamp(minute * 60, UTC)
    local = moment if zone is None else moment.astimezone(zone)
    if granularity == "day":
        return local.strftime("%Y-%m-%d")
    if granularity == "month":
        return local.strftime("%Y-%m")
    text = local.replace(minute=0).isoformat()
    return text.replace("+00:00", "Z") if zone is None else text


def expected(moved: Moved, query: Wanted, scopes: Iterable[str]) -> dict[str, list[float]]:
    """Energy in, out (kWh) and largest minute (kW) of some scopes together, by bucket."""
    first, last = query.from_ms // MINUTE_MS, query.to_ms // MINUTE_MS
    nets: defaultdict[int, int] = defaultdict(int)
    found: dict[str, list[float]] = {}
    for scope_id in scopes:
        for minute, (charge, discharge) in moved.get(scope_id, {}).items():
            if first <= minute < last:
                held = found.setdefault(name_of(minute, query.granularity, query.zone), [0, 0, 0])
                held[0] += charge
                held[1] += discharge
                nets[minute] += charge - discharge
    for minute, net in nets.items():
        held = found[name_of(minute, query.granularity, query.zone)]
        held[2] = max(held[2], abs(net))
    return {
        name: [values[0] / KWH, values[1] / KWH, round(values[2] * 60 / KWH, 6)]
        for name, values in found.items()
    }


def assert_is(labels: Iterable[str], group: Group, want: dict[str, list[float]]) -> None:
    """Compare a group's buckets with what is expected of them."""
    assert set(want) <= set(labels)
    for number, label in enumerate(labels):
        charge, discharge, peak = want.get(label, [0.0, 0.0, 0.0])
        assert group.charge_kwh[number] == charge
        assert group.discharge_kwh[number] == discharge
        largest_kw = max(peak, abs(group.avg_power_kw[number]))
        assert group.max_power_kw[number] == pytest.approx(largest_kw, abs=1.1e-6)
    assert group.total.charge_kwh == pytest.approx(sum(one[0] for one in want.values()), abs=1e-9)
    assert group.total.max_power_kw == max(group.max_power_kw)


async def ask(database: Database, unsummed: Unsummed, query: Wanted) -> Aggregate:
    """Ask as of one snapshot."""
    unsummed.database = database
    queries = EnergyQueries(unsummed, Catalogue.load(), lambda _: _read_nothing, Directory())
    return await queries.aggregate(query, lambda found: found)


def _read_nothing(tx: Tx, from_ms: int, to_ms: int) -> list[PastSample]:
    return []


ZONES = (None, "Europe/Oslo", "Asia/Kathmandu")
RANGES_MIN = (
    (0, SPAN_MINUTES),
    (24 * 60 + 15, 50 * 60 + 45),
    (30 * 60 + 7, 80 * 60 + 11),
    (60 * 30 + 3, 60 * 30 + 11),
)


@pytest.mark.parametrize("zone_name", ZONES)
def test_aggregate__random_sessions__is_the_sum_of_their_minutes(
    tmp_path: Path, zone_name: str | None
) -> None:
    """Every granularity, range, grouping and choice of sites agrees with plain addition.

    Some of the energy is not in the sums yet, and changes what is.
    """
    zone = None if zone_name is None else ZoneInfo(zone_name)
    stored, late = random_sessions(1), random_sessions(2, 12)
    moved = moved_by(stored + late)

    async def check(database: Database) -> None:
        await database.write(write, stored)
        unsummed = Unsummed(moved_by(late))
        choices = cycle((None, {"site_a"}, {"site_a", "site_c"}, None, set(SITES)))
        for granularity, (begin, end) in product(("hour", "day", "month"), RANGES_MIN):
            times = (START_MS + begin * MINUTE_MS, START_MS + end * MINUTE_MS)
            query = wanted(*times, granularity, zone=zone)
            for sites in (next(choices), next(choices)):
                chosen = sorted(sites or SITES)
                asked = query._replace(site_ids=sites and frozenset(sites))
                found = await ask(database, unsummed, asked)
                assert_is(found.labels, found.groups[0], expected(moved, query, chosen))
                asked = asked._replace(group_by=Grouping.SITE)
                grouped = await ask(database, unsummed, asked)
                assert grouped.total == found.total
                assert [group.group_id for group in grouped.groups] == chosen
                for group in grouped.groups:
                    assert_is(found.labels, group, expected(moved, query, [group.group_id]))

    run(tmp_path, check)


def test_aggregate__one_session__is_settled_first_and_averaged_over_what_is_past(
    tmp_path: Path,
) -> None:
    """Late facts are folded before anything is read; time to come does not dilute the mean."""
    steady = session(
        1,
        "site_a",
        dict.fromkeys(range(START_MS // MINUTE_MS, START_MS // MINUTE_MS + 90), (KWH, 0)),
    )

    async def check(database: Database) -> None:
        await database.write(write, [steady])
        unsummed = Unsummed()
        query = wanted(START_MS, START_MS + 3 * HOUR_MS)._replace(now_ms=START_MS + 75 * MINUTE_MS)
        found = (await ask(database, unsummed, query)).groups[0]
        assert unsummed.settled == [OPERATOR]
        assert found.charge_kwh == [60.0, 30.0, 0.0]
        assert found.avg_power_kw == [60.0, 120.0, 0.0]
        assert found.max_power_kw == [60.0, 120.0, 0.0]
        assert found.total.max_power_kw == 120.0

    run(tmp_path, check)


def test_aggregate__a_cut_quarter__is_as_fine_as_what_is_kept(tmp_path: Path) -> None:
    """Minutes tell exactly what a range cuts off; quarter-hours, kept longer, are split evenly."""
    quarter = -(-START_MS // (15 * MINUTE_MS)) * 15
    minutes = dict.fromkeys(range(quarter, quarter + 5), (3 * KWH, 0))
    coarse = pack_shape(to_quarters(minutes))
    cuts = (
        (2 * MINUTE_MS, 4 * MINUTE_MS, 6.0, 2.0),
        (0, 5 * MINUTE_MS, 15.0, 5.0),
        (6 * MINUTE_MS, 14 * MINUTE_MS, 0.0, 8.0),
        (90_000, 150_000, 3.0, 1.0),
        (30_000, 40_000, 0.5, 1 / 6),
        (14 * MINUTE_MS + 30_000, 16 * MINUTE_MS, 0.0, 0.5),
    )

    def make_coarse(tx: Tx) -> None:
        tx.execute("UPDATE energy_sessions SET resolution = $1, shape = $2", QUARTER, coarse)

    async def check(database: Database) -> None:
        await database.write(write, [session(1, "site_a", minutes)])
        for is_coarse in (False, True):
            for begin_ms, end_ms, *energies_kwh in cuts:
                query = wanted(quarter * MINUTE_MS + begin_ms, quarter * MINUTE_MS + end_ms)
                found = await ask(database, Unsummed(), query)
                want_kwh = energies_kwh[is_coarse]
                assert found.total.charge_kwh == pytest.approx(want_kwh, abs=1e-8)
            await database.write(make_coarse)

    run(tmp_path, check)


def test_aggregate__energy_without_sessions__is_split_evenly(tmp_path: Path) -> None:
    """Where nothing tells what a quarter-hour was made of, a cut takes its share of the time."""
    quarter = -(-START_MS // (15 * MINUTE_MS)) * 15

    def pour(tx: Tx) -> None:
        write(tx, [])
        apply_moved(tx, {OPERATOR: {quarter: (30 * KWH, 0)}})

    async def check(database: Database) -> None:
        await database.write(pour)
        query = wanted(quarter * MINUTE_MS + 450_000, quarter * MINUTE_MS + HOUR_MS)
        assert (await ask(database, Unsummed(), query)).total.charge_kwh == pytest.approx(15.0)

    run(tmp_path, check)


def test_aggregate__a_session_of_weeks__is_found_where_it_is_cut(tmp_path: Path) -> None:
    """However long ago a session began, its own minutes tell what a range cuts off."""
    first = START_MS // MINUTE_MS
    minutes = dict.fromkeys((first, first + 90 * 24 * 60 + 7), (KWH, 0))

    async def check(database: Database) -> None:
        await database.write(write, [session(1, "site_a", minutes)])
        begin_ms = (first + 90 * 24 * 60 + 5) * MINUTE_MS
        found = await ask(database, Unsummed(), wanted(begin_ms, begin_ms + 2 * MINUTE_MS))
        assert found.total.charge_kwh == 0.0
        found = await ask(database, Unsummed(), wanted(begin_ms, begin_ms + 3 * MINUTE_MS))
        assert found.total.charge_kwh == 1.0

    run(tmp_path, check)


def test_aggregate__wrong_questions__are_refused(tmp_path: Path) -> None:
    """An empty range, foreign sites and more than 20,000 points are no questions."""

    async def check(database: Database) -> None:
        await database.write(write, [])
        for query, error in (
            (wanted(START_MS, START_MS), InvalidParameter),
            (wanted(START_MS, START_MS + 20_001 * HOUR_MS), InvalidParameter),
            (
                wanted(START_MS, START_MS + 6_667 * HOUR_MS, group_by=Grouping.SITE),
                InvalidParameter,
            ),
            (
                wanted(START_MS, START_MS + DAY_MS, site_ids=frozenset({"site_a", "site_x"})),
                NotFound,
            ),
        ):
            with pytest.raises(error):
                await ask(database, Unsummed(), query)
        query = wanted(START_MS, START_MS + 6_666 * HOUR_MS, group_by=Grouping.SITE)
        assert len((await ask(database, Unsummed(), query)).groups) == 3

    run(tmp_path, check)

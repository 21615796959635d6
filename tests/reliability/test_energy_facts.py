"""The energy of a depot depends on the facts, not on the order or the number of their uploads."""

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.databases import POSTGRES, SQLITE, Choice, postgres_server
from tests.reliability.broken_server import start_broken
from tests.reliability.energy_facts import (
    DAY_MS,
    HOUR_MS,
    SECOND_MS,
    Plan,
    plan_charger,
    write_time,
)
from tests.reliability.energy_uploads import Chaos, Depot, Tally, make_depot, upload_in_order
from tests.reliability.lanes import Lane
from tests.server import RunningServer, running_server

CHARGERS = int(os.environ.get("TELLUS_TEST_ENERGY_CHARGERS", "6"))
STEP_MS = int(float(os.environ.get("TELLUS_TEST_ENERGY_STEP_S", "120")) * SECOND_MS)
LIVE_MS = int(float(os.environ.get("TELLUS_TEST_ENERGY_LIVE_S", "5")) * SECOND_MS)
KILLS = int(os.environ.get("TELLUS_TEST_ENERGY_KILLS", "1"))
_PATH = "/v1/operator/aggregated/energy"

HURRIED = """
import os
os.environ["TELLUS_ENERGY__TURN_S"] = "0.3"
from tellus.energy import folder, marks
marks.LATE_MS, marks._OWING_MS = 1_000, 1_500
folder.LATE_MS, folder.SETTLED_MS, folder._ROUND_MS, folder._QUIET_MS = 1_000, 4_000, 500, 300
"""
"""Folds what is a few seconds old, so that rounds come between the uploads; this is no fault."""

COUNTS_ONLY_FORWARD = """
from tellus.energy import store_marks
newest = {}
genuine = store_marks.put_marks
def put_marks(tx, spans, now_ms):
    ahead = []
    for span in spans:
        if span[3] >= newest.get(span[:2], 0):
            newest[span[:2]] = span[3]
            ahead.append(span)
    if ahead:
        genuine(tx, ahead, now_ms)
store_marks.put_marks = put_marks
"""
"""A fold that goes on with what is new, and takes no second look at what lies behind."""

pytestmark = pytest.mark.slow


@pytest.fixture(params=[SQLITE, POSTGRES])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each database in turn, as far as they are chosen."""
    chosen = request.config.getoption("--database")
    if chosen not in (request.param, "both"):
        pytest.skip(f"--database {chosen}")
    if request.param == POSTGRES:
        postgres_server()
    monkeypatch.setattr(Choice, "kind", request.param)
    return str(request.param)


@dataclass
class Outcome:
    """What two installations answered, and how it went."""

    tally: Tally
    told: dict[str, Any] = field(default_factory=dict)
    wanted: dict[str, Any] = field(default_factory=dict)
    folded: dict[str, Any] = field(default_factory=dict)
    charge_kwh: float = 0.0
    spent_s: float = 0.0

    @property
    def differing(self) -> list[str]:
        """The questions that are answered otherwise than by the installation that is right."""
        answers = (self.told, self.folded) if self.folded else (self.told,)
        return [
            asked for asked in self.wanted for one in answers if one[asked] != self.wanted[asked]
        ]

    def __str__(self) -> str:
        tally = self.tally
        return (
            f"{tally.facts} facts told ({tally.repeats} of them known already), {tally.broken}"
            f" connections lost, {tally.questions} rounds of questions meanwhile; refused:"
            f" {len(tally.refused)}; {self.charge_kwh:.0f} kWh, {len(self.wanted)} answers,"
            f" differing: {self.differing}; {self.spent_s:.0f} s"
        )


def questions(end_ms: int) -> dict[str, str]:
    """What is asked; all of it lies in the past, so that no answer depends on when."""
    day_ms = end_ms - 8 * DAY_MS
    spans = {
        "hours": ("hour", end_ms - 32 * HOUR_MS, end_ms // HOUR_MS * HOUR_MS),
        "hours up to the last second": ("hour", end_ms - 3 * HOUR_MS, end_ms),
        "days": ("day", day_ms // DAY_MS * DAY_MS, end_ms),
        "days elsewhere": ("day", day_ms, end_ms),
        "months of two years": ("month", end_ms - 500 * DAY_MS, end_ms),
    }
    asked = {}
    for name, (granularity, start_ms, until_ms) in spans.items():
        more = "&timezone=Asia/Kathmandu" if name == "days elsewhere" else ""
        asked[name] = (
            f"{_PATH}?granularity={granularity}&start_time={write_time(start_ms)}"
            f"&end_time={write_time(until_ms)}{more}"
        )
    return asked


async def read_answers(depot: Depot, end_ms: int) -> dict[str, Any]:
    """The bytes of all answers: of the operator, of each site, and divided by site."""
    answers: dict[str, Any] = {}
    async with Lane(depot.port, depot.client.token) as lane:
        for name, target in questions(end_ms).items():
            answers[name] = await _ask(lane, target)
            for number, site_id in enumerate(depot.site_ids):
                answers[f"{name} of site {number}"] = await _ask(
                    lane, f"{target}&site_ids={site_id}"
                )
            by_site = await _ask(lane, f"{target}&group_by=site")
            for number, site_id in enumerate(depot.site_ids):
                by_site = by_site.replace(site_id, f"site {number}")
            divided = json.loads(by_site, parse_float=str)
            for part in ("series", "groups"):
                divided[part].sort(key=json.dumps)
            answers[f"{name} by site"] = divided
    return answers


async def _ask(lane: Lane, target: str) -> str:
    reply = await lane.ask("GET", target)
    assert reply.status == 200, reply.body
    return json.dumps(reply.data)


async def tell_in_any_way(
    depot: Depot, plans: list[Plan], tally: Tally, kills: int, restart: Any
) -> None:
    """Let the chargers tell all, kill the platform in the middle and start it again."""
    chaos = Chaos(depot, plans, tally)
    now_ms = int(time.time() * SECOND_MS)

    async def ask(lane: Lane) -> None:
        for target in list(questions(now_ms).values())[:3]:
            reply = await lane.ask("GET", target)
            assert reply.status in (200, 503), reply.body

    telling = asyncio.ensure_future(chaos.run(ask))
    for number in range(kills):
        await chaos.told((number + 1) / (kills + 1))
        chaos.up.clear()
        await asyncio.to_thread(depot.server.kill)
        depot.server = await asyncio.to_thread(restart)
        chaos.up.set()
    await telling


def compare(folder: Path, broken: str, *, chargers: int, kills: int, waits: bool) -> Outcome:
    """Tell one installation in any way and another in order, and ask both the same."""
    began_s = time.monotonic()
    outcome = Outcome(Tally())
    data_dir = folder / "any" / "data"
    data_dir.parent.mkdir()
    server = start_broken(data_dir, HURRIED + broken)
    port = server.base_url.rpartition(":")[2]
    depot = make_depot(server, chargers)
    try:
        now_ms = int(time.time() * SECOND_MS)
        plans = [plan_charger(number, now_ms, STEP_MS, LIVE_MS) for number in range(chargers)]
        end_ms = now_ms + LIVE_MS + SECOND_MS

        def restart() -> RunningServer:
            return start_broken(data_dir, HURRIED + broken, "--port", port)

        asyncio.run(tell_in_any_way(depot, plans, outcome.tally, kills, restart))
        time.sleep(max(0.0, end_ms / SECOND_MS + 0.1 - time.time()))
        outcome.told = asyncio.run(read_answers(depot, end_ms))
        outcome.wanted = _read_in_order(folder, plans, end_ms, outcome)
        if waits:
            _wait_until_folded(depot, end_ms)
            outcome.folded = asyncio.run(read_answers(depot, end_ms))
    finally:
        depot.server.kill()
    outcome.spent_s = time.monotonic() - began_s
    return outcome


def _read_in_order(
    folder: Path, plans: list[Plan], end_ms: int, outcome: Outcome
) -> dict[str, Any]:
    (folder / "order").mkdir()
    with running_server(folder / "order" / "data") as server:
        depot = make_depot(server, len(plans))
        tally = Tally()
        asyncio.run(upload_in_order(depot, plans, tally))
        assert not tally.refused, tally.refused[:3]
        assert not tally.repeats
        answers = asyncio.run(read_answers(depot, end_ms))
    outcome.charge_kwh = json.loads(answers["months of two years"])["total"]["charge_energy"]
    return answers


def _wait_until_folded(depot: Depot, end_ms: int) -> None:
    """Wait until rounds have folded all that was told."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        behind_s = time.time() - end_ms / SECOND_MS
        if _lag_s(depot.server) < behind_s:
            return
        time.sleep(0.2)
    raise AssertionError("rounds do not get on")


def _lag_s(server: RunningServer) -> float:
    text = httpx.get(f"{server.base_url}/metrics").text
    line = next(
        one for one in text.splitlines() if one.startswith("tellus_energy_fold_lag_seconds ")
    )
    return float(line.split()[-1])


def test_energy__facts_in_any_order_twice_and_through_kills__is_that_of_the_facts(
    kind: str, tmp_path: Path
) -> None:
    """Back-fill, repeats, jumping clocks, any order and two kills change no byte of any answer."""
    outcome = compare(tmp_path, "", chargers=CHARGERS, kills=KILLS, waits=True)
    print(f"\n{kind}: {outcome}")
    assert outcome.tally.refused == []
    assert outcome.tally.broken > 0
    assert outcome.tally.repeats > 0
    assert outcome.charge_kwh > 0
    assert outcome.differing == []


def test_energy_harness__fold_that_depends_on_order__is_caught(tmp_path: Path) -> None:
    """The comparison sees a fold that takes no second look at what lies behind."""
    outcome = compare(tmp_path, COUNTS_ONLY_FORWARD, chargers=2, kills=0, waits=False)
    print(f"\nplanted: {outcome}")
    assert outcome.tally.refused == []
    assert outcome.differing != []

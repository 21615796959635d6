"""A fleet over real sockets, against a small stand-in for the platform."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tellus.simulator.credentials import CredentialStore
from tellus.simulator.device import ChargerSpec
from tellus.simulator.figures import default_figures
from tellus.simulator.fleet import FleetConfig, run_fleet
from tellus.simulator.history import Period, fleet_history
from tellus.simulator.messages import Kind
from tellus.simulator.report import FleetReport
from tellus.simulator.roster import build_roster
from tellus.simulator.upload import upload_history
from tests.invariants import DeviceFacts, check_all
from tests.unit.simulator.builders import HOUR_MS, START_MS
from tests.unit.simulator.stand_in import Serving, StandIn

Script = Callable[[asyncio.Event], Awaitable[None]]


async def drive(stand_in: StandIn, script: Script | None = None, **options: object) -> FleetReport:
    """Run a fleet against a stand-in; ``script`` acts meanwhile and may stop it."""
    async with Serving(stand_in) as server:
        stop = asyncio.Event()
        settings = {
            "scenario": "busy",
            "start_rate_per_s": 1000.0,
            "time_scale": 10.0,
            "duration_s": 2.5,
            **options,
        }
        config = FleetConfig(server.base_url, **settings)
        acting = asyncio.create_task(script(stop)) if script is not None else None
        report = await run_fleet(config, stop)
        if acting is not None:
            await acting
        return report


async def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait until something is so."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.02)


def _facts_of_roster(count: int, seed: int) -> dict[str, DeviceFacts]:
    models = {spec.sn: default_figures().model(spec.model) for spec in build_roster(count, seed)}
    return {sn: DeviceFacts(one.kind, one.rated_kw, 14.0, 22.0) for sn, one in models.items()}


def _check_stored(stand_in: StandIn, count: int, seed: int) -> list:
    return check_all(
        _facts_of_roster(count, seed),
        stand_in.of("telemetry"),
        stand_in.of("event"),
        stand_in.of("charging_record"),
    )


def test_fleet__a_short_fast_run__everything_acknowledged_is_stored_and_sound(
    tmp_path: Path,
) -> None:
    """What the fleet counts as acknowledged is what the server holds, and it is sound physics."""
    stand_in, ledger = StandIn(), tmp_path / "ledger.jsonl"
    report = asyncio.run(drive(stand_in, chargers=8, ledger_file=ledger, seed=3, duration_s=4.0))
    assert report.is_clean
    assert report.kinds["register"].acknowledged == 8
    assert report.sessions == len(stand_in.of("charging_record")) > 0
    for name in ("telemetry", "event", "charging_record"):
        assert report.kinds[name].acknowledged == len(stand_in.of(name)) > 0
    stored_kwh = sum(one["energy"] for one in stand_in.of("charging_record"))
    assert report.energy_kwh == pytest.approx(stored_kwh, abs=1e-6)
    for device in report.devices:
        assert device.telemetry == len(stand_in.of("telemetry", device.sn))
    assert _check_stored(stand_in, 8, 3) == []
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len(lines) == sum(len(stand_in.of(k)) for k in ("telemetry", "event", "charging_record"))
    newest = max(one["timestamp"] for one in stand_in.of("telemetry"))
    assert datetime.fromisoformat(newest) <= datetime.now(UTC)
    assert [one["status"] for one in stand_in.of("heartbeat")][-8:] == ["offline"] * 8


def test_fleet__server_out_of_order_for_a_while__replays_everything_under_its_own_time() -> None:
    """After an outage the store holds what it would without one: nothing lost, times kept."""
    stand_in = StandIn()

    async def outage(stop: asyncio.Event) -> None:
        await until(lambda: len(stand_in.of("telemetry")) > 3)
        stand_in.outage = True
        await asyncio.sleep(1.5)
        stand_in.outage = False

    report = asyncio.run(drive(stand_in, outage, chargers=3, seed=3, duration_s=6.0))
    assert report.is_clean
    assert report.kinds["telemetry"].retried + report.kinds["event"].retried > 0
    assert _check_stored(stand_in, 3, 3) == []
    for spec in build_roster(3, 3):
        times = [one["timestamp"] for one in stand_in.of("telemetry", spec.sn)]
        assert len(times) == len(set(times)) or spec.connector_count > 1


def test_fleet__answer_lost_after_the_commit__sends_again_and_counts_once() -> None:
    """A lost answer leads to a second, identical upload: natural keys make that safe."""
    stand_in = StandIn(answers_lost=3)
    report = asyncio.run(drive(stand_in, chargers=2, seed=3))
    assert report.is_clean
    uploads = [json.dumps(one, sort_keys=True) for one in stand_in.of("telemetry")]
    uploads += [json.dumps(one, sort_keys=True) for one in stand_in.of("event")]
    taken = report.kinds["telemetry"].acknowledged + report.kinds["event"].acknowledged
    assert taken == len(set(uploads))
    assert len(uploads) <= taken + 3


def test_fleet__token_expires__is_renewed_once_and_the_message_is_repeated() -> None:
    """A 401 leads to one new token, and the refused message goes out again."""
    stand_in = StandIn()

    async def expire(stop: asyncio.Event) -> None:
        await until(lambda: len(stand_in.of("telemetry")) > 2)
        stand_in.tokens.clear()

    report = asyncio.run(drive(stand_in, expire, chargers=2, poll=False))
    assert report.is_clean
    assert stand_in.requests["token"] == 4
    assert stand_in.requests["register"] == 2


def test_fleet__asked_to_slow_down__waits_as_told() -> None:
    """429 with a wait is obeyed and is no failure."""
    stand_in = StandIn(slow_downs=2)
    report = asyncio.run(drive(stand_in, chargers=1))
    assert report.is_clean
    assert stand_in.slow_downs == 0


def test_fleet__messages_refused_for_good__are_counted_and_dropped() -> None:
    """A 400 is final: counted as failed, told in the report, not repeated."""
    stand_in = StandIn(refuse_events=True)
    report = asyncio.run(drive(stand_in, chargers=2))
    assert not report.is_clean
    assert report.kinds["event"].failed == report.kinds["event"].sent > 0
    assert stand_in.requests["event"] == report.kinds["event"].sent
    assert "1001" in report.errors[0]
    assert report.kinds["telemetry"].failed == 0


def test_fleet__remote_start_and_stop__are_polled_obeyed_and_reported() -> None:
    """A start polled by a charger leads to a session, a stop ends it; each reports its end."""
    stand_in = StandIn()
    spec = ChargerSpec(sn="DEMO-1", model="TP-AC22", scenario="quiet")

    async def operate(stop: asyncio.Event) -> None:
        await until(lambda: stand_in.requests["command_poll"] > 0)
        start = {"command_id": "c1", "command": "start_charging", "params": {"connector_id": 1}}
        for _ in range(2):
            await stand_in.queue("DEMO-1", 1).put(start)
        await until(lambda: any(one["state"] == "charging" for one in stand_in.of("telemetry")))
        end = {"command_id": "c2", "command": "stop_charging", "params": {"connector_id": 1}}
        stand_in.heartbeat_commands["DEMO-1"] = [end]
        await until(lambda: len(stand_in.of("charging_record")) == 1)
        await until(lambda: len(stand_in.of("command_status")) >= 5)
        stop.set()

    report = asyncio.run(
        drive(stand_in, operate, chargers=[spec], duration_s=40.0, heartbeat_s=1.0, time_scale=1.0)
    )
    statuses = [(one["command_id"], one["status"]) for one in stand_in.of("command_status")]
    assert sorted(set(statuses)) == [
        ("c1", "accepted"), ("c1", "completed"), ("c2", "accepted"), ("c2", "completed"),
    ]  # fmt: skip
    assert report.commands == {
        "received": 3, "duplicates": 1, "start_charging": 1, "stop_charging": 1,
    }  # fmt: skip


def test_fleet__registered_before__comes_back_with_its_state_file_or_says_why_not(
    tmp_path: Path,
) -> None:
    """A second run uses the stored credentials; without them a 409 is told in plain words."""
    stand_in, state = StandIn(), tmp_path / "state.json"
    first = asyncio.run(drive(stand_in, chargers=2, duration_s=1.0, state_file=state))
    again = asyncio.run(drive(stand_in, chargers=2, duration_s=1.0, state_file=state))
    lost = asyncio.run(drive(stand_in, chargers=2, duration_s=1.0))
    assert first.is_clean
    assert again.is_clean
    assert stand_in.requests["register"] == 4
    assert not lost.is_clean
    assert lost.chargers_refused == 2
    assert "state file" in lost.errors[0]


def test_fleet__platform_set_up_anew__registers_again(tmp_path: Path) -> None:
    """Stored credentials that a fresh platform does not know are replaced."""
    state = tmp_path / "state.json"
    asyncio.run(drive(StandIn(), chargers=1, duration_s=1.0, state_file=state))
    fresh = StandIn()
    report = asyncio.run(drive(fresh, chargers=1, duration_s=1.0, state_file=state))
    assert report.kinds["register"].acknowledged == 1
    assert report.chargers_refused == 0
    assert len(fresh.of("heartbeat")) > 0


def test_fleet__enrolment_token__goes_along_with_the_registration() -> None:
    """The enrolment token is the bearer of the registration."""
    stand_in = StandIn()
    asyncio.run(drive(stand_in, chargers=1, duration_s=0.5, enrolment_token="enrol-me"))
    assert stand_in.registration_bearers == ["Bearer enrol-me"]


def test_fleet__stopped_in_the_middle__ends_with_every_session_recorded() -> None:
    """A stop closes the sessions, sends their records and says goodbye."""
    stand_in = StandIn()

    async def stop_soon(stop: asyncio.Event) -> None:
        await until(lambda: sum(one["state"] == "charging" for one in stand_in.of("telemetry")) > 9)
        stop.set()

    report = asyncio.run(drive(stand_in, stop_soon, chargers=6, seed=3, duration_s=60.0))
    assert report.is_clean
    assert _check_stored(stand_in, 6, 3) == []


def test_fleet__faster_than_single_uploads_allow__is_refused_without_batches() -> None:
    """A configuration that would break the rate limits is refused with the way out."""
    with pytest.raises(ValueError, match="batch replay"):
        FleetConfig("http://127.0.0.1:1", time_scale=60.0).check()
    FleetConfig("http://127.0.0.1:1", time_scale=60.0, batch_replay=True).check()
    with pytest.raises(KeyError, match="sandbox"):
        FleetConfig("http://127.0.0.1:1", scenario="nowhere").check()
    with pytest.raises(KeyError, match="Nowhere"):
        FleetConfig("http://127.0.0.1:1", timezone="Europe/Nowhere").check()


def test_fleet__sixty_times_faster__uses_the_batch_endpoints() -> None:
    """Backlogs of a fast run go out in batches, and everything arrives."""
    stand_in = StandIn()
    report = asyncio.run(
        drive(stand_in, chargers=3, time_scale=60.0, batch_replay=True, seed=3, duration_s=4.0)
    )
    assert report.is_clean
    assert stand_in.requests["telemetry batch"] > 0
    assert _check_stored(stand_in, 3, 3) == []


def test_fleet__answers_that_make_no_sense__are_tried_again() -> None:
    """A batch answered with too few outcomes and a command without its id stop nobody."""
    stand_in = StandIn(short_batches=1)

    async def garble(stop: asyncio.Event) -> None:
        await until(lambda: stand_in.requests["command_poll"] > 0)
        await stand_in.queue("TPS0003-00001", 1).put({"command": "start_charging"})

    report = asyncio.run(
        drive(stand_in, garble, chargers=2, time_scale=60.0, batch_replay=True, seed=3)
    )
    assert report.is_clean
    assert stand_in.short_batches == 0
    assert report.kinds["command_poll"].retried > 0
    stored = {json.dumps(one, sort_keys=True) for one in stand_in.of("telemetry")}
    assert len(stored) == report.kinds["telemetry"].acknowledged


def test_upload__history__arrives_whole_through_batches(tmp_path: Path) -> None:
    """A computed past is uploaded with one registration each, and the server holds all of it."""
    stand_in, store = StandIn(), CredentialStore(tmp_path / "state.json")
    period = Period(START_MS - 48 * HOUR_MS, START_MS)
    histories = list(fleet_history(build_roster(4, 3), period, 3))

    async def upload() -> FleetReport:
        async with Serving(stand_in) as server:
            return await upload_history(server.base_url, histories, store, asyncio.Event())

    report = asyncio.run(upload())
    assert report.is_clean
    assert stand_in.requests["register"] == 4
    for kind, name in ((Kind.RECORD, "charging_record"), (Kind.TELEMETRY, "telemetry")):
        wanted = sum(len(one.of(kind)) for one in histories)
        assert report.kinds[name].acknowledged == len(stand_in.of(name)) == wanted > 0
    assert stand_in.requests["heartbeat"] == stand_in.requests["command_poll"] == 0
    assert _check_stored(stand_in, 4, 3) == []


def test_upload__server_without_batches__falls_back_to_single_uploads() -> None:
    """Against a server of the published contract alone, backlogs go out one by one."""
    stand_in = StandIn(knows_batches=False)
    report = asyncio.run(drive(stand_in, chargers=1, batch_replay=True))
    assert report.kinds["telemetry"].failed == 0
    assert len(stand_in.of("telemetry")) == report.kinds["telemetry"].acknowledged > 0

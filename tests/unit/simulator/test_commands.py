from __future__ import annotations

import pytest

from tellus.simulator.device import ChargerTwin
from tellus.simulator.messages import Kind
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, build_twin, command


def _reports(twin: ChargerTwin) -> list[tuple[str, str]]:
    return [(one["command_id"], one["status"]) for one in bodies(twin.outbox, Kind.COMMAND_STATUS)]


def test_start__no_vehicle_in_the_sandbox__one_arrives_and_charges_for_the_duration() -> None:
    """A remote start on a free connector brings a vehicle within seconds and ends on time."""
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(
        command("start_charging", connector_id=2, duration=60, transaction_id="tx"), 1, START_MS
    )
    twin.advance(START_MS + HOUR_MS)
    events = bodies(twin.outbox, Kind.EVENT)
    assert {one["connector_id"] for one in events} == {2}
    assert events[0]["timestamp"] < "2025-03-13T10:00:06"
    assert events[1]["data"] == {"method": "remote"}
    assert events[2]["data"]["transaction_id"] == "tx"
    assert _reports(twin) == [("cmd_1", "accepted"), ("cmd_1", "completed")]
    done = bodies(twin.outbox, Kind.COMMAND_STATUS)[1]
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert done["details"] == {
        "energy_delivered": record["energy"],
        "duration": 60,
        "stop_reason": "time_limit",
    }
    assert record["transaction_id"] == "tx"


def test_start__no_vehicle_at_a_real_site__is_rejected() -> None:
    """Where no vehicle comes by itself, a remote start without one is refused."""
    twin = build_twin("TP-DC180", "public")
    twin.execute(command("start_charging", connector_id=1), 1, START_MS)
    assert _reports(twin) == [("cmd_1", "rejected")]


def test_start__delivered_again__has_one_effect_and_repeats_its_last_report() -> None:
    """The same command id has one effect; each repeat answers with the newest status."""
    twin = build_twin("TP-AC22", "quiet")
    start = command("start_charging", connector_id=1, duration=30)
    twin.execute(start, 1, START_MS)
    twin.execute(start, 1, START_MS)
    twin.advance(START_MS + HOUR_MS)
    twin.execute(start, 1, START_MS)
    assert [status for _, status in _reports(twin)] == [
        "accepted", "accepted", "completed", "completed",
    ]  # fmt: skip
    assert len(bodies(twin.outbox, Kind.RECORD)) == 1
    assert (twin.desk.received, twin.desk.duplicates) == (3, 2)
    assert twin.desk.effects == {"start_charging": 1}


def test_start__while_charging__is_rejected() -> None:
    """A connector that charges cannot be started again."""
    twin = build_twin("TP-AC22", "quiet")
    twin.execute(command("start_charging", connector_id=1), 1, START_MS)
    twin.execute(command("start_charging", "cmd_2", connector_id=1), 1, START_MS)
    twin.advance(START_MS + 60_000)
    twin.execute(command("start_charging", "cmd_3", connector_id=1), 1, START_MS)
    assert _reports(twin) == [("cmd_1", "accepted"), ("cmd_2", "rejected"), ("cmd_3", "rejected")]


def test_stop__while_charging__ends_the_session_and_completes_both_commands() -> None:
    """A remote stop is accepted, ends the session as `remote`, and completes with its energy."""
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(command("start_charging", connector_id=1), 1, START_MS)
    twin.advance(START_MS + 120_000)
    twin.execute(command("stop_charging", "cmd_2", connector_id=1, reason="tired"), 1, START_MS)
    twin.advance(START_MS + 130_000)
    assert _reports(twin) == [
        ("cmd_1", "accepted"),
        ("cmd_2", "accepted"),
        ("cmd_1", "completed"),
        ("cmd_2", "completed"),
    ]
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert record["stop_reason"] == "remote"
    assert record["details"] == {"requested_reason": "tired"}
    details = bodies(twin.outbox, Kind.COMMAND_STATUS)[-1]["details"]
    assert details["energy_delivered"] == record["energy"] > 0


def test_stop__before_charging_began__cancels_the_start() -> None:
    """A stop during the handshake fails the start and completes with nothing delivered."""
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(command("start_charging", connector_id=1), 1, START_MS)
    twin.execute(command("stop_charging", "cmd_2", connector_id=1), 1, START_MS)
    twin.advance(START_MS + HOUR_MS)
    assert _reports(twin) == [
        ("cmd_1", "accepted"),
        ("cmd_2", "accepted"),
        ("cmd_1", "failed"),
        ("cmd_2", "completed"),
    ]
    assert bodies(twin.outbox, Kind.RECORD) == []
    assert bodies(twin.outbox, Kind.EVENT) == []


def test_stop__nothing_to_stop__is_rejected() -> None:
    """A stop on a free connector is refused."""
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(command("stop_charging", connector_id=1), 1, START_MS)
    assert _reports(twin) == [("cmd_1", "rejected")]


@pytest.mark.parametrize(
    ("name", "params", "word"),
    [
        ("unlock_everything", {}, "does not know"),
        ("start_charging", {"connector_id": 7}, "no connector 7"),
        ("start_charging", {"charge_power": -1}, "charge_power"),
        ("start_charging", {"charge_power": "much"}, "charge_power"),
        ("start_charging", {"duration": 0}, "duration"),
        ("start_charging", {"duration": True}, "duration"),
        ("start_charging", {"target_soc": 101}, "target_soc"),
    ],
)
def test_command__that_cannot_be_obeyed__is_rejected_with_the_reason(
    name: str, params: dict, word: str
) -> None:
    """Unknown commands, connectors and limits are refused in words, and have no effect."""
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(command(name, **params), 1, START_MS)
    answer = bodies(twin.outbox, Kind.COMMAND_STATUS)
    assert [one["status"] for one in answer] == ["rejected"]
    assert word in answer[0]["message"]
    assert twin.desk.effects == {"rejected": 1}


@pytest.mark.parametrize(
    ("expiry", "status"),
    [
        ("2025-03-13T09:59:59Z", "rejected"),
        ("2025-03-13T10:00:01Z", "accepted"),
        ("2025-03-13T12:00:00", "accepted"),
        ("some day", "accepted"),
    ],
)
def test_command__with_an_expiry__is_obeyed_only_before_it(expiry: str, status: str) -> None:
    """An expired command has no effect; an unreadable expiry does not bind."""
    twin = build_twin("TP-DC180", "quiet")
    twin.execute(command("start_charging", expiry=expiry, connector_id=1), 1, START_MS)
    assert _reports(twin)[0] == ("cmd_1", status)


def test_desk__more_commands_than_it_remembers__forgets_the_oldest() -> None:
    """The last 256 command ids are remembered, no more."""
    twin = build_twin("TP-DC180", "quiet")
    for number in range(257):
        twin.execute(command("stop_charging", f"cmd_{number}", connector_id=1), 1, START_MS)
    twin.execute(command("stop_charging", "cmd_256", connector_id=1), 1, START_MS)
    assert twin.desk.duplicates == 1
    twin.execute(command("stop_charging", "cmd_0", connector_id=1), 1, START_MS)
    assert twin.desk.duplicates == 1


def test_ac_limit_below_six_ampere__pauses_instead_of_creeping() -> None:
    """A power limit that means less than 6 A pauses the charge and is shown as paused."""
    twin = build_twin("TP-AC22", "quiet", 2)
    twin.execute(command("start_charging", connector_id=1, charge_power=1.0), 1, START_MS)
    twin.advance(START_MS + 60_000)
    frame = bodies(twin.outbox, Kind.TELEMETRY)[-1]
    assert (frame["state"], frame["power"], frame["detail_state"]) == ("charging", 0.0, "paused")


def test_target_soc__vehicle_that_tells_none__charges_on() -> None:
    """A target charge cannot bind a vehicle that does not report its charge."""
    for seed in range(200):
        twin = build_twin("TP-AC22", "quiet", seed)
        twin.execute(command("start_charging", connector_id=1, target_soc=10), 1, START_MS)
        if twin.connectors[0].visit.vehicle.reports_soc:
            continue
        twin.advance(START_MS + 120_000)
        assert twin.connectors[0].session is not None
        assert "soc" not in bodies(twin.outbox, Kind.TELEMETRY)[-1]
        return
    pytest.fail("no vehicle without a report came in 200 seeds")

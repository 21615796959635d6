from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from tellus.simulator.device import ChargerSpec, ChargerTwin
from tellus.simulator.figures import CommandFaults, default_figures
from tellus.simulator.messages import Kind
from tests.unit.simulator.builders import HOUR_MS, START_MS, bodies, command


def faulty(seed: int = 1, **faults: object) -> ChargerTwin:
    """Return a charger whose commands fare as given."""
    scenario = msgspec.structs.replace(
        default_figures().scenario("quiet"), command_faults=CommandFaults(**faults)
    )
    return ChargerTwin(ChargerSpec(sn="SN-1", model="TP-DC180"), scenario, seed, START_MS)


def statuses(twin: ChargerTwin, command_id: str = "cmd_1") -> list[str]:
    """Return the statuses reported for a command, in order."""
    found = bodies(twin.outbox, Kind.COMMAND_STATUS)
    return [one["status"] for one in found if one["command_id"] == command_id]


def start(twin: ChargerTwin, command_id: str = "cmd_1") -> None:
    """Tell connector 1 to charge."""
    twin.execute(command("start_charging", command_id, connector_id=1), 1, twin.time_ms)


def test_reject__by_share__refuses_without_effect() -> None:
    """With a share of 1 every command is refused."""
    twin = faulty(reject_ratio=1.0)
    start(twin)
    assert statuses(twin) == ["rejected"]
    assert twin.desk.effects == {"rejected": 1}
    assert twin.desk.effects_by_id == {}


def test_slow__answer_comes_late__and_repeats_meanwhile_have_no_effect() -> None:
    """A dawdling charger takes effect once, however often the command comes before its answer."""
    twin = faulty(slow_ratio=1.0, slow_s=(10.0, 10.0))
    start(twin)
    twin.advance(START_MS + 5_000)
    start(twin)
    assert statuses(twin) == []
    twin.advance(START_MS + 10_000)
    assert statuses(twin) == ["accepted"]
    assert twin.desk.effects_by_id == {"cmd_1": 1}


def test_slow__expired_meanwhile__is_refused() -> None:
    """A command that expires before the charger gets to it has no effect."""
    twin = faulty(slow_ratio=1.0, slow_s=(10.0, 10.0))
    order = command("start_charging", expiry="2025-03-13T10:00:05Z", connector_id=1)
    twin.execute(order, 1, START_MS)
    twin.advance(START_MS + 11_000)
    assert statuses(twin) == ["rejected"]


def test_lost_report__is_sent_again__later_and_unchanged() -> None:
    """A report that was lost goes out 10 s later, under its own time."""
    twin = faulty(lost_report_ratio=1.0)
    twin.execute(command("clear_cache"), 1, START_MS)
    assert statuses(twin) == []
    twin.advance(START_MS + 10_000)
    assert statuses(twin) == ["accepted", "completed"]
    sent = bodies(twin.outbox, Kind.COMMAND_STATUS)
    assert {one["timestamp"] for one in sent} == {"2025-03-13T10:00:00.000Z"}


def test_duplicate_reports__are_identical() -> None:
    """Each report goes out twice, the same."""
    twin = faulty(duplicate_report_ratio=1.0)
    twin.execute(command("clear_cache"), 1, START_MS)
    sent = bodies(twin.outbox, Kind.COMMAND_STATUS)
    assert [one["status"] for one in sent] == ["accepted", "accepted", "completed", "completed"]
    assert sent[0] == sent[1]


def test_power_cut__between_acceptance_and_completion__fails_after_the_boot() -> None:
    """What had begun is failed once the charger is back; it does not take effect again."""
    twin = faulty(power_cut_ratio=1.0, power_cut_after_s=(3.0, 3.0))
    test = command("run_self_test")
    twin.execute(test, 1, START_MS)
    twin.advance(START_MS + 60_000)
    assert twin.power_state.is_dark
    assert statuses(twin) == ["accepted"]
    twin.advance(START_MS + 100_000)
    assert statuses(twin) == ["accepted", "failed"]
    assert not twin.connectors[0].is_out_of_service
    twin.execute(test, 1, twin.time_ms)
    assert statuses(twin) == ["accepted", "failed", "failed"]
    assert twin.desk.effects_by_id == {"cmd_1": 1}


def test_power_cut__in_a_session__closes_the_books_and_a_reboot_still_completes() -> None:
    """The session has its record; a reboot that was on its way when it struck completes."""
    twin = faulty()
    start(twin)
    twin.advance(START_MS + 120_000)
    twin.execute(command("reboot", "cmd_r"), 1, twin.time_ms)
    twin.power_state.cut_power(twin.time_ms)
    twin.settle()
    twin.advance(START_MS + 10 * 60_000)
    record = bodies(twin.outbox, Kind.RECORD)[0]
    assert record["stop_reason"] == "power_loss"
    assert statuses(twin, "cmd_r") == ["accepted", "completed"]
    assert statuses(twin) == ["accepted", "completed"]


@pytest.mark.parametrize("way", ["reboot", "soft_reset", "power_cut"])
def test_command__known_before_a_restart__has_no_second_effect_after_it(way: str) -> None:
    """What was done is remembered over a restart: the command again repeats its last report."""
    twin = faulty()
    order = command("clear_cache")
    twin.execute(order, 1, START_MS)
    if way == "power_cut":
        twin.power_state.cut_power(twin.time_ms)
        twin.settle()
    else:
        twin.execute(command(way, "cmd_r"), 1, twin.time_ms)
    twin.advance(START_MS + 10 * 60_000)
    assert twin.power_state.boots == 1
    twin.execute(order, 1, twin.time_ms)
    assert statuses(twin) == ["accepted", "completed", "completed"]
    assert twin.desk.effects_by_id["cmd_1"] == 1
    assert twin.desk.duplicates == 1


def test_command__while_the_charger_is_down__is_lost_and_may_come_again() -> None:
    """A charger that restarts hears nothing: the command has its effect when it comes again."""
    twin = faulty()
    twin.power_state.cut_power(twin.time_ms)
    twin.settle()
    start(twin)
    twin.advance(START_MS + 100_000)
    assert statuses(twin) == []
    assert twin.desk.received == 0
    start(twin)
    assert statuses(twin) == ["accepted"]


@pytest.mark.parametrize("seed", range(3))
def test_faulty_scenario__everything_at_once__has_no_effect_twice_and_answers_all(
    seed: int,
) -> None:
    """Delivered up to four times under all faults, each command has at most one effect.

    Every one is answered in the end.
    """
    scenario = default_figures().scenario("faulty")
    twin = ChargerTwin(ChargerSpec(sn="SN-1", model="TP-DC180-V2G"), scenario, seed, START_MS)
    names = (
        "start_charging",
        "stop_charging",
        "run_self_test",
        "clear_cache",
        "reboot",
        "discharge",
    )
    sent = []
    for number in range(60):
        name = names[number % len(names)]
        params = {"connector_id": 1 + number % 2}
        params |= {"discharge_power": 10.0, "duration": 60} if name == "discharge" else {}
        sent.append(command(name, f"cmd_{number}", **params))
        for again in range(1 + number % 4):
            if not twin.power_state.is_dark:
                twin.execute(sent[-1], 1, twin.time_ms)
            twin.advance(twin.time_ms + 1000 * (7 + 20 * again))
    twin.advance(twin.time_ms + HOUR_MS // 2)
    twin.shut_down()
    assert set(twin.desk.effects_by_id.values()) == {1}
    heard = set(twin.desk.known_ids)
    answered = Counter(one["command_id"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)
                       if one["status"] != "accepted")  # fmt: skip
    assert heard <= set(answered)
    assert len(heard) > 30

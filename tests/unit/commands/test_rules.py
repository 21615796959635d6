"""The table of transitions, and what follows from it, case by case."""

from typing import Any

import pytest
from msgspec.structs import replace

from tellus.commands import rules
from tellus.commands.model import (
    FIRMWARE_UPGRADE,
    KINDS,
    SET_POWER_LIMIT,
    START,
    STOP,
    Command,
    Delivery,
    Effect,
    Phase,
    Report,
    Signal,
)

NOW_MS = 1_742_031_000_000
REPORTS = (Signal.ACCEPTED, Signal.REJECTED, Signal.COMPLETED, Signal.FAILED)
TERMINAL = (Phase.COMPLETED, Phase.FAILED)


def make_command(name: str = START, **changes: Any) -> Command:
    """Return a command as it is right after it was issued."""
    lifetime_ms = KINDS[name].expires_after_ms
    values = {
        "command_id": f"cmd_{name}",
        "device_no": 1,
        "device_id": "dvc_1",
        "connector_id": 1,
        "operator_id": "op_1",
        "client_id": "cl_1",
        "command": name,
        "params": "{}",
        "transaction_id": None,
        "created_ms": NOW_MS,
        "updated_ms": NOW_MS,
        "expires_ms": NOW_MS + lifetime_ms,
    }
    return Command(**(values | changes))


def make_report(status: Signal, **changes: Any) -> Report:
    """Return a report that arrived a second after the command was issued."""
    values = {
        "command_id": "cmd",
        "status": status,
        "time_ms": NOW_MS + 900,
        "received_ms": NOW_MS + 1_000,
        "effect": Effect.APPLIED,
        "message": None,
        "details": None,
    }
    return Report(**(values | changes))


def hand_out(command: Command, times: int) -> Command:
    """Return the command after that many leases, each when the last had run out."""
    for k in range(times):
        command = rules.hand_out(command, NOW_MS + k * command.lease_ms)
    return command


def test_transitions__terminal_phases__have_no_way_out() -> None:
    """What the charger ended stays ended; only what the platform ended can be corrected."""
    assert not [key for key in rules.TRANSITIONS if key[0] in TERMINAL]
    corrected = {rules.TRANSITIONS[Phase.LAPSED, signal] for signal in REPORTS}
    assert corrected == {Phase.ACCEPTED, Phase.COMPLETED, Phase.FAILED}


def test_transitions__lapsed__is_reached_from_accepted_in_one_way() -> None:
    """An accepted command is given up for its charger's silence alone, all else while queued."""
    ways = {key for key, phase in rules.TRANSITIONS.items() if phase is Phase.LAPSED}
    from_accepted = {signal for phase, signal in ways if phase is not Phase.QUEUED}
    assert from_accepted == {Signal.NO_RESPONSE}
    assert {phase for phase, _ in ways} == {Phase.QUEUED, Phase.ACCEPTED}


def test_is_abandonable__what_a_late_report_corrected__is_not_given_up_again() -> None:
    """A failure that the platform declared is corrected once at most."""
    accepted = make_command(FIRMWARE_UPGRADE, phase=Phase.ACCEPTED)
    assert rules.is_abandonable(accepted)
    silent = rules.lapse(accepted, Signal.NO_RESPONSE, NOW_MS + 1)
    assert silent.result == {"reason": "no_response"}
    corrected, effect = rules.apply_report(silent, make_report(Signal.ACCEPTED))
    assert (corrected.phase, effect) == (Phase.ACCEPTED, Effect.LATE)
    assert not rules.is_abandonable(corrected)


@pytest.mark.parametrize(
    ("phase", "status", "following", "effect"),
    [
        (Phase.QUEUED, Signal.ACCEPTED, Phase.ACCEPTED, Effect.APPLIED),
        (Phase.QUEUED, Signal.COMPLETED, Phase.COMPLETED, Effect.APPLIED),
        (Phase.QUEUED, Signal.REJECTED, Phase.FAILED, Effect.APPLIED),
        (Phase.QUEUED, Signal.FAILED, Phase.FAILED, Effect.APPLIED),
        (Phase.ACCEPTED, Signal.ACCEPTED, Phase.ACCEPTED, Effect.REPEAT),
        (Phase.ACCEPTED, Signal.COMPLETED, Phase.COMPLETED, Effect.APPLIED),
        (Phase.ACCEPTED, Signal.FAILED, Phase.FAILED, Effect.APPLIED),
        (Phase.COMPLETED, Signal.ACCEPTED, Phase.COMPLETED, Effect.REPEAT),
        (Phase.COMPLETED, Signal.COMPLETED, Phase.COMPLETED, Effect.REPEAT),
        (Phase.COMPLETED, Signal.FAILED, Phase.COMPLETED, Effect.CONTRADICTION),
        (Phase.COMPLETED, Signal.REJECTED, Phase.COMPLETED, Effect.CONTRADICTION),
        (Phase.FAILED, Signal.COMPLETED, Phase.FAILED, Effect.CONTRADICTION),
        (Phase.FAILED, Signal.REJECTED, Phase.FAILED, Effect.REPEAT),
        (Phase.LAPSED, Signal.ACCEPTED, Phase.ACCEPTED, Effect.LATE),
        (Phase.LAPSED, Signal.COMPLETED, Phase.COMPLETED, Effect.LATE),
        (Phase.LAPSED, Signal.FAILED, Phase.FAILED, Effect.LATE),
    ],
)
def test_apply_report__phase_and_status__decide(
    phase: Phase, status: Signal, following: Phase, effect: Effect
) -> None:
    """Every report has one effect, and contradictions are marked without moving anything."""
    moved, did = rules.apply_report(make_command(phase=phase), make_report(status))
    assert (moved.phase, did) == (following, effect)
    assert moved.contradicted is (effect is Effect.CONTRADICTION)


def test_apply_report__every_phase_and_report__is_decided() -> None:
    """No combination is forgotten: each moves, agrees or contradicts."""
    for phase in Phase:
        for status in REPORTS:
            moved, effect = rules.apply_report(make_command(phase=phase), make_report(status))
            assert (moved.phase != phase) <= (effect in (Effect.APPLIED, Effect.LATE))


@pytest.mark.parametrize(
    ("phase", "report", "result"),
    [
        (Phase.QUEUED, make_report(Signal.ACCEPTED, message="ok", details={"a": 1}), None),
        (Phase.ACCEPTED, make_report(Signal.COMPLETED, details={"energy": 7.0}), {"energy": 7.0}),
        (Phase.QUEUED, make_report(Signal.FAILED, message="no car"), {"message": "no car"}),
        (Phase.QUEUED, make_report(Signal.REJECTED), {"reason": "rejected"}),
        (Phase.LAPSED, make_report(Signal.ACCEPTED), {"late": True}),
        (Phase.LAPSED, make_report(Signal.COMPLETED, details={"late": 1}), {"late": True}),
    ],
)
def test_apply_report__result__is_what_the_charger_said_under_our_words(
    phase: Phase, report: Report, result: dict[str, Any] | None
) -> None:
    """Details and message of the end are the result; ``reason`` and ``late`` are ours."""
    before = make_command(
        phase=phase, result={"reason": "expired"} if phase is Phase.LAPSED else None
    )
    assert rules.apply_report(before, report)[0].result == result


@pytest.mark.parametrize(
    "reason", ["rejected", "expired", "no_response", "superseded", "cancelled"]
)
def test_apply_report__charger_that_speaks_for_the_platform__is_not_repeated(reason: str) -> None:
    """No charger can pass its failure off as a judgement of the platform, nor as a late one."""
    said = make_report(Signal.FAILED)._replace(
        details={"reason": reason, "late": True, "module": 3}, message="broken"
    )
    failed, _ = rules.apply_report(make_command(), said)
    assert failed.result == {"module": 3, "message": "broken"}
    odd = make_report(Signal.FAILED)._replace(details={"reason": ["expired"]}, message=None)
    assert rules.apply_report(make_command(), odd)[0].result == {"reason": ["expired"]}


def test_apply_report__end_after_a_late_acceptance__stays_late() -> None:
    """That a command was once given up is still told when it completes."""
    lapsed = make_command(phase=Phase.LAPSED, result={"reason": "expired"})
    accepted, _ = rules.apply_report(lapsed, make_report(Signal.ACCEPTED))
    completed, effect = rules.apply_report(accepted, make_report(Signal.COMPLETED))
    assert (completed.result, effect) == ({"late": True}, Effect.APPLIED)


@pytest.mark.parametrize(
    ("command", "moment_ms", "signal"),
    [
        (make_command(), 120_000, Signal.EXPIRED),
        (make_command(STOP), 3_600_000, Signal.EXPIRED),
        (hand_out(make_command(), 2), 120_000, Signal.EXPIRED),
        (hand_out(make_command(), 3), 90_000, Signal.NO_RESPONSE),
        (hand_out(make_command(STOP), 9), 3_600_000, Signal.EXPIRED),
        (
            replace(hand_out(make_command(), 1), superseded_by="cmd_x"),
            30_000,
            Signal.SUPERSEDED,
        ),
    ],
)
def test_lapse_of__ways_to_end__the_first_counts(
    command: Command, moment_ms: int, signal: Signal
) -> None:
    """A queued command ends at its expiry, after its third lease, or once superseded on its way."""
    assert rules.lapse_of(command) == (NOW_MS + moment_ms, signal)
    before = rules.settle(command, NOW_MS + moment_ms - 1)
    after = rules.settle(command, NOW_MS + moment_ms)
    assert before is command
    assert (after.phase, after.result) == (Phase.LAPSED, {"reason": signal.value})
    assert after.updated_ms == NOW_MS + moment_ms


def test_settle__accepted_command__never_expires() -> None:
    """What the charger took on is its to end."""
    accepted = make_command(phase=Phase.ACCEPTED)
    assert rules.settle(accepted, NOW_MS + 10**12) is accepted


def test_supersede__stop__ends_what_never_left_and_holds_back_what_did() -> None:
    """A start must not follow the stop that came after it; other connectors are not concerned."""
    waiting = make_command(command_id="a")
    leased = hand_out(make_command(command_id="b"), 1)
    elsewhere = make_command(command_id="c", connector_id=2)
    stop = make_command(STOP, created_ms=NOW_MS + 10)
    changed = {
        command.command_id: command
        for command in rules.supersede([waiting, leased, elsewhere], stop)
    }
    assert set(changed) == {"a", "b"}
    assert changed["a"].phase is Phase.LAPSED
    assert (changed["b"].phase, changed["b"].superseded_by) == (Phase.QUEUED, "cmd_stop_charging")
    assert rules.due_of(changed["b"]) is None
    assert rules.supersede([waiting, leased], make_command(created_ms=NOW_MS + 10)) == []


@pytest.mark.parametrize("name", [SET_POWER_LIMIT, FIRMWARE_UPGRADE, STOP])
def test_supersede__newer_of_the_same__ends_the_older(name: str) -> None:
    """Of what describes a state to reach only the newest counts."""
    older = make_command(name, command_id="a")
    (changed,) = rules.supersede([older], make_command(name, created_ms=NOW_MS + 10))
    assert (changed.phase, changed.result) == (Phase.LAPSED, {"reason": "superseded"})


def test_firmware_upgrade__unanswered__comes_hourly_and_three_times() -> None:
    """A charger at work is not asked every half minute; its third silent hour ends the attempt."""
    upgrade = make_command(FIRMWARE_UPGRADE)
    assert upgrade.delivery is Delivery.EDGE
    for k in range(3):
        now_ms = NOW_MS + k * 3_600_000
        assert rules.choose([upgrade], None, now_ms - 1) == [] or k == 0
        assert rules.choose([upgrade], None, now_ms) == [upgrade]
        upgrade = rules.hand_out(upgrade, now_ms)
    assert rules.lapse_of(upgrade) == (NOW_MS + 3 * 3_600_000, Signal.NO_RESPONSE)
    assert rules.choose([upgrade], None, NOW_MS + 9 * 3_600_000) == []


def test_firmware_upgrade__charger_away_for_days__is_counted_by_contact() -> None:
    """Time without a contact uses up no delivery; only seven days do."""
    upgrade = rules.hand_out(make_command(FIRMWARE_UPGRADE), NOW_MS)
    days_ms = 5 * 86_400_000
    assert rules.settle(upgrade, NOW_MS + days_ms) is upgrade
    assert rules.choose([upgrade], None, NOW_MS + days_ms) == [upgrade]
    assert rules.lapse_of(upgrade) == (NOW_MS + 7 * 86_400_000, Signal.EXPIRED)

"""The decisions about controls, as tables."""

from collections.abc import Mapping

import pytest

from tellus.commands.model import Phase as CommandPhase
from tellus.flexibility import rules
from tellus.flexibility.model import Gone, Held, Outcome, Sent, Share, Stage, State, Step, Target

NOW_MS = 1_000_000
HOUR_MS = 3_600_000


def target(
    *,
    stage: Stage = Stage.TOLD,
    command_id: str | None = "cmd_1",
    gone: Gone | None = None,
    limit_kw: float | None = 10.0,
    applied: bool = False,
    connector_id: int = 1,
    begin_ms: int = NOW_MS - 1,
    offset_ms: int = 0,
) -> Target:
    """A target that runs for an hour from now."""
    return Target(
        control_no=1,
        device_no=1,
        connector_id=connector_id,
        device_id="dvc_1",
        offset_ms=offset_ms,
        begin_ms=begin_ms,
        until_ms=NOW_MS + HOUR_MS,
        limit_kw=limit_kw,
        gone=gone,
        stage=stage,
        applied=applied,
        command_id=command_id,
    )


def sent(
    phase: str, reason: str | None = None, message: str = "", expires_ms: int = NOW_MS + 1
) -> Sent:
    """A command that stands so."""
    said = {"reason": reason, "message": message or None}
    result = {name: text for name, text in said.items() if text is not None} or None
    return Sent(CommandPhase(phase), expires_ms, NOW_MS, result)


def held(
    one: Target,
    carrying: Sent | None = None,
    lifting: Sent | None = None,
    cancelled_ms: int | None = None,
) -> Held:
    """A target with what became of it."""
    return Held(one, "ctl_1", "op_1", "cl_1", cancelled_ms, carrying, lifting)


@pytest.mark.parametrize(
    ("ratings_kw", "unit_kw", "percent", "limits_kw"),
    [
        ({1: 22.0}, 22.0, 50, {1: 11.0}),
        ({1: 180.0, 2: 180.0}, 180.0, 50, {1: 45.0, 2: 45.0}),
        ({1: 180.0, 2: 180.0}, 180.0, 100, {1: 90.0, 2: 90.0}),
        ({1: 60.0, 2: 60.0}, 180.0, 50, {1: 30.0, 2: 30.0}),
        ({1: 150.0, 2: 50.0}, 100.0, 50, {1: 37.5, 2: 12.5}),
        ({1: 10.0, 2: 10.0, 3: 10.0}, 10.0, 100, {1: 3.333, 2: 3.333, 3: 3.333}),
        ({1: 22.0}, 22.0, 7, {1: 1.54}),
        ({1: 40.0, 2: None}, 40.0, 50, {1: 20.0, 2: None}),
        ({1: None}, None, 50, {1: None}),
        ({1: None}, None, 0, {1: 0.0}),
        ({}, 22.0, 50, {0: None}),
    ],
)
def test_share_out__ratings_of_a_unit__never_exceeds_the_percentage_of_it(
    ratings_kw: Mapping[int, float | None],
    unit_kw: float | None,
    percent: int,
    limits_kw: Mapping[int, float | None],
) -> None:
    """Each its percentage, less where the unit cannot feed all; unknown stays unknown."""
    shares = rules.share_out(ratings_kw, unit_kw, percent)
    assert shares == [Share(*item) for item in limits_kw.items()]


def test_stagger__over_its_time__is_even() -> None:
    """The first begins at once, the others at equal distances within the time."""
    assert [rules.stagger(k, 4, 40_000) for k in range(4)] == [0, 10_000, 20_000, 30_000]
    assert [rules.stagger(k, 3, 0) for k in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("one", "step"),
    [
        (held(target(stage=Stage.DUE, command_id=None)), Step.TELL),
        (held(target(stage=Stage.DUE, limit_kw=None, command_id=None)), Step.FINISH),
        (held(target(), sent("queued")), Step.WAIT),
        (held(target(), sent("queued", expires_ms=NOW_MS)), Step.AWAIT_RETURN),
        (held(target(), sent("lapsed", "expired")), Step.AWAIT_RETURN),
        (held(target(), sent("lapsed", "cancelled")), Step.FINISH),
        (held(target(), sent("failed", "rejected")), Step.FINISH),
        (held(target(), sent("completed")), Step.FINISH),
        (held(target(), sent("completed"), sent("lapsed", "expired")), Step.AWAIT_RETURN),
        (held(target(stage=Stage.DUE), sent("completed"), None, NOW_MS), Step.TELL),
        (held(target(stage=Stage.DUE, command_id=None), None, None, NOW_MS), Step.FINISH),
        (held(target(stage=Stage.DUE, gone=Gone.MOVED), sent("completed")), Step.TELL),
        (held(target(stage=Stage.DUE, gone=Gone.DELETED), sent("completed")), Step.FINISH),
    ],
)
def test_next_step__of_an_absent_charger__follows_its_command(one: Held, step: Step) -> None:
    """What is due is told, what expired waits for its charger, what is answered is done."""
    assert rules.next_step(one, NOW_MS, online=False) is step
    again = Step.TELL if step is Step.AWAIT_RETURN else step
    assert rules.next_step(one, NOW_MS, online=True) is again
    assert rules.next_step(one, NOW_MS + HOUR_MS, online=True) is Step.FINISH


@pytest.mark.parametrize(
    ("one", "state", "outcome"),
    [
        (held(target(command_id=None)), "executing", Outcome("queued")),
        (held(target(), sent("queued")), "executing", Outcome("queued")),
        (held(target(), sent("queued")), "ended", Outcome("failed", "expired")),
        (held(target(), sent("queued")), "cancelled", Outcome("failed", "cancelled")),
        (held(target(), sent("accepted")), "executing", Outcome("accepted")),
        (held(target(), sent("accepted")), "ended", Outcome("accepted")),
        (held(target(), sent("completed")), "cancelled", Outcome("completed")),
        (held(target(), sent("lapsed", "expired")), "executing", Outcome("queued")),
        (held(target(), sent("lapsed", "superseded")), "cancelled", Outcome("failed", "cancelled")),
        (held(target(), sent("lapsed", "cancelled")), "executing", Outcome("failed", "cancelled")),
        (held(target(), sent("failed", "rejected")), "executing", Outcome("failed", "rejected")),
        (held(target(), sent("failed", None, "No")), "ended", Outcome("failed", None, "No")),
        (held(target(applied=True), sent("queued")), "executing", Outcome("completed")),
        (held(target(limit_kw=None)), "executing", Outcome("failed", "unknown_rating")),
        (held(target(gone=Gone.MOVED), sent("queued")), "executing", Outcome("failed", "moved")),
        (held(target(gone=Gone.MOVED), sent("completed")), "executing", Outcome("completed")),
        (held(target(connector_id=0)), "executing", Outcome("failed", "no_connectors")),
    ],
)
def test_outcome_at__a_connector__is_that_of_its_newest_command(
    one: Held, state: State, outcome: Outcome
) -> None:
    """What the charger said counts, and what the platform gave up only when the control is over."""
    assert rules.outcome_at(one, state, NOW_MS) == outcome


@pytest.mark.parametrize(
    ("statuses", "state", "verdict"),
    [
        (["queued", "queued"], "executing", Outcome("queued")),
        ([], "executing", Outcome("queued")),
        (["queued", "failed"], "executing", Outcome("accepted")),
        (["completed", "completed"], "executing", Outcome("accepted")),
        (["failed", "failed"], "executing", Outcome("accepted")),
        (["completed", "failed"], "ended", Outcome("completed")),
        (["failed", "accepted"], "ended", Outcome("failed", "expired")),
        ([], "ended", Outcome("failed", "expired")),
        (["completed", "failed"], "cancelled", Outcome("completed", "cancelled")),
        (["failed"], "cancelled", Outcome("failed", "cancelled")),
    ],
)
def test_tally__of_a_control__is_the_published_rule(
    statuses: list[str], state: State, verdict: Outcome
) -> None:
    """Queued while all are, accepted until the end, then completed if any is, else failed."""
    reasons = {"failed": "expired"}
    tally = rules.Tally()
    for one in statuses:
        tally.add(Outcome(one, reasons.get(one)))  # type: ignore[arg-type]
    assert tally.judge(state) == verdict


@pytest.mark.parametrize(
    ("statuses", "combined"),
    [
        (["queued", "queued"], "queued"),
        (["queued", "completed"], "accepted"),
        (["accepted", "completed"], "accepted"),
        (["completed", "completed"], "completed"),
        (["completed", "failed"], "failed"),
    ],
)
def test_combine__connectors_of_a_charger__have_done_it_together(
    statuses: list[str], combined: str
) -> None:
    """A charger has completed when all its connectors have, and failed when one has."""
    outcomes = [Outcome(one) for one in statuses]  # type: ignore[arg-type]
    assert rules.combine(outcomes).status == combined


def test_limits_in_force__begun_cancelled_and_gone__count_as_they_should() -> None:
    """A limit holds from its begin to its end, or to its turn after a cancellation."""
    running = held(target())
    cases = [
        (running, [NOW_MS + HOUR_MS]),
        (held(target(begin_ms=NOW_MS + 1)), []),
        (held(target(gone=Gone.MOVED)), []),
        (held(target(limit_kw=None)), []),
        (held(target(), cancelled_ms=NOW_MS), []),
        (held(target(offset_ms=5), cancelled_ms=NOW_MS), [NOW_MS + 5]),
        (held(target(offset_ms=5, begin_ms=NOW_MS), cancelled_ms=NOW_MS), []),
        (held(target(offset_ms=2 * HOUR_MS), cancelled_ms=NOW_MS), [NOW_MS + HOUR_MS]),
    ]
    for one, ends in cases:
        limits = rules.limits_in_force([one], "op_1", NOW_MS)
        assert [limit.until_ms for limit in limits] == ends
    assert rules.limits_in_force([running], "op_2", NOW_MS) == []
    assert rules.limits_in_force([running], "op_1", NOW_MS + HOUR_MS) == []

"""What comes next in a run: every branch by table, and every run ends whatever is observed."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.runbooks.library import RunbookCatalogue, outcomes_of
from tellus.runbooks.model import (
    Action,
    ActionKind,
    CheckResult,
    CommandSeen,
    Observation,
    Position,
    RunStatus,
    Stage,
)
from tellus.runbooks.model_catalogue import ANSWERS, Branch, Runbook, Step, StepKind, Verdict
from tellus.runbooks.rules_engine import (
    COMMAND_PATIENCE_MS,
    LOOK_AGAIN_MS,
    NOT_CONFIRMED,
    find_branch,
    first_stage,
    next_action,
)

LIBRARY: Final = RunbookCatalogue.load(FaultDictionary.load())
RUNBOOKS: Final = list(LIBRARY)
BRANCHES: Final = [
    (runbook, step, branch)
    for runbook in RUNBOOKS
    for step in runbook.steps
    for branch in step.branches
]
NOW_MS: Final = 1_000_000
_LEAVES: Final = {ActionKind.JUMP, ActionKind.HAND_OVER, ActionKind.END}


def at(runbook: Runbook, step: Step, stage: Stage, part: int = 0) -> Position:
    """A run at a step."""
    return Position(runbook.place_of(step.id), stage, part, NOW_MS)


def finding_of(branch: Branch) -> str | None:
    """The finding that takes a branch."""
    return None if branch.finding is UNSET else branch.finding


def leave(runbook: Runbook, step: Step, branch: Branch) -> Action:
    """The action after the outcome of a branch, by the way on which a run gets to it."""
    late_ms = NOW_MS + (step.wait_s + step.patience_s) * 1000
    asks = step.kind is StepKind.MANUAL or branch.on is Verdict.NOT_POSSIBLE
    if step.kind is StepKind.COMMAND and not asks:
        result = CheckResult(branch.on, finding_of(branch), {})
        return next_action(runbook, at(runbook, step, Stage.VERIFY), Observation(late_ms, result))
    if asks:
        stage = Stage.QUESTION if step.question is not UNSET else Stage.CONFIRM
        seen = Observation(NOW_MS, answer=branch.on)
        return next_action(runbook, at(runbook, step, stage), seen)
    result = CheckResult(branch.on, finding_of(branch), {})
    return next_action(runbook, at(runbook, step, Stage.CHECK), Observation(NOW_MS, result))


@pytest.mark.parametrize(
    ("runbook", "step", "branch"),
    BRANCHES,
    ids=[f"{r.slug}.{s.id}.{b.on}.{finding_of(b) or 'any'}" for r, s, b in BRANCHES],
)
def test_next_action__outcome_of_a_branch__goes_where_it_leads(
    runbook: Runbook, step: Step, branch: Branch
) -> None:
    """Each branch of each runbook can be taken, and leads to its step, runbook or end."""
    action = leave(runbook, step, branch)
    assert action.verdict is branch.on
    assert action.finding in {finding_of(branch), NOT_CONFIRMED}
    if branch.goto is not UNSET:
        assert (action.kind, action.to_n) == (ActionKind.JUMP, runbook.place_of(branch.goto))
    elif branch.runbook is not UNSET:
        assert (action.kind, action.runbook) == (ActionKind.HAND_OVER, branch.runbook)
    else:
        assert branch.end is not UNSET
        assert (action.kind, action.status) == (ActionKind.END, RunStatus(branch.end.value))
        assert action.conclusion == branch.conclusion
    assert action.advice == (None if branch.advice is UNSET else branch.advice)


def step_of(slug: str, step_id: str) -> tuple[Runbook, Step]:
    """A step and its runbook."""
    runbook = LIBRARY.find(slug)
    assert runbook is not None
    return runbook, runbook.steps[runbook.place_of(step_id) - 1]


def told(status: str, now_ms: int = NOW_MS) -> Observation:
    """What is known of the awaited command."""
    return Observation(now_ms, command=CommandSeen(status))


def said(answer: Verdict) -> Observation:
    """What a person answered."""
    return Observation(NOW_MS, answer=answer)


def heard(now_ms: int, listening_ms: int) -> Observation:
    """What is known of a charger that is silent, by a platform that listens since then."""
    return Observation(now_ms, FAIL, listening_ms=listening_ms)


DONE: Final = ("end", RunStatus.RESOLVED)
SOON: Final = ("wait", NOW_MS + LOOK_AGAIN_MS)
REBOOT: Final = step_of("charger-faulting-on-power-up", "controlled-reboot")
CYCLE: Final = step_of("connector-stuck-in-preparing", "state-cycling")
RESET: Final = step_of("connector-stuck-in-preparing", "reset-connector")
COOLING: Final = step_of("charger-faulting-on-power-up", "cooling")
SUPPLY: Final = step_of("charger-faulting-on-power-up", "supply-power")
LATE_MS: Final = NOW_MS + COMMAND_PATIENCE_MS
PASS: Final = CheckResult(Verdict.PASSED, None, {})
FAIL: Final = CheckResult(Verdict.FAILED, "x", {})
DARK: Final = CheckResult(Verdict.INCONCLUSIVE, "x", {})

TABLE: Final = [
    # place, stage, command, observation, what comes next
    (SUPPLY, Stage.CHECK, 0, Observation(NOW_MS), ("check", "supply_phases")),
    (SUPPLY, Stage.CHECK, 0, Observation(NOW_MS, DARK), ("enter", Stage.QUESTION)),
    (SUPPLY, Stage.QUESTION, 0, Observation(NOW_MS), ("ask", False)),
    (COOLING, Stage.QUESTION, 0, Observation(NOW_MS), ("ask", True)),
    (REBOOT, Stage.CONFIRM, 0, Observation(NOW_MS), ("ask", False)),
    (REBOOT, Stage.CONFIRM, 0, said(Verdict.PASSED), ("enter", Stage.SEND)),
    (REBOOT, Stage.CONFIRM, 0, said(Verdict.FAILED), ("enter", Stage.QUESTION)),
    (CYCLE, Stage.CONFIRM, 0, said(Verdict.FAILED), ("jump", 4)),
    (REBOOT, Stage.SEND, 0, Observation(NOW_MS), ("issue", "reboot")),
    (CYCLE, Stage.SEND, 1, Observation(NOW_MS), ("issue", "start_charging")),
    (REBOOT, Stage.AWAIT, 0, Observation(NOW_MS), SOON),
    (REBOOT, Stage.AWAIT, 0, told("queued"), SOON),
    (REBOOT, Stage.AWAIT, 0, told("accepted"), ("enter", Stage.SETTLE)),
    (REBOOT, Stage.AWAIT, 0, told("failed"), ("enter", Stage.QUESTION)),
    (RESET, Stage.AWAIT, 0, told("accepted"), SOON),
    (RESET, Stage.AWAIT, 0, told("accepted", LATE_MS), ("enter", Stage.QUESTION)),
    (RESET, Stage.AWAIT, 0, told("completed"), ("enter", Stage.SETTLE)),
    (CYCLE, Stage.AWAIT, 0, told("failed"), ("enter", Stage.SEND)),
    (CYCLE, Stage.AWAIT, 1, told("failed"), ("jump", 4)),
    (CYCLE, Stage.AWAIT, 1, told("completed"), ("enter", Stage.SETTLE)),
    (REBOOT, Stage.QUESTION, 0, said(Verdict.PASSED), ("enter", Stage.SETTLE)),
    (REBOOT, Stage.SETTLE, 0, Observation(NOW_MS + 89_999), ("wait", NOW_MS + 90_000)),
    (REBOOT, Stage.SETTLE, 0, Observation(NOW_MS + 90_000), ("enter", Stage.VERIFY)),
    (REBOOT, Stage.VERIFY, 0, Observation(NOW_MS), ("check", "back_online")),
    (REBOOT, Stage.VERIFY, 0, Observation(NOW_MS, FAIL), SOON),
    (REBOOT, Stage.VERIFY, 0, Observation(NOW_MS + 60_000, FAIL), ("jump", 5)),
    (REBOOT, Stage.VERIFY, 0, Observation(NOW_MS, PASS), ("end", RunStatus.RESOLVED)),
    (REBOOT, Stage.VERIFY, 0, heard(NOW_MS + 60_000, NOW_MS - 90_000), ("jump", 5)),
    (REBOOT, Stage.VERIFY, 0, heard(NOW_MS + 60_000, NOW_MS + 1_000), ("wait", NOW_MS + 61_000)),
    (REBOOT, Stage.VERIFY, 0, heard(NOW_MS + 61_000, NOW_MS + 1_000), ("jump", 5)),
    (REBOOT, Stage.VERIFY, 0, Observation(NOW_MS, PASS, listening_ms=NOW_MS), DONE),
    (RESET, Stage.VERIFY, 0, Observation(NOW_MS, DARK), SOON),
    (RESET, Stage.VERIFY, 0, Observation(NOW_MS + 59_500, FAIL), ("wait", NOW_MS + 60_000)),
    (RESET, Stage.VERIFY, 0, Observation(NOW_MS + 60_000, FAIL), ("jump", 6)),
    (RESET, Stage.VERIFY, 0, Observation(NOW_MS + 60_000, DARK), ("jump", 6)),
]  # fmt: skip


def gist(action: Action) -> tuple[str, object]:
    """An action in two words."""
    said = {
        ActionKind.CHECK: action.check,
        ActionKind.ASK: action.paused,
        ActionKind.ISSUE: action.command,
        ActionKind.WAIT: action.until_ms,
        ActionKind.ENTER: action.stage,
        ActionKind.JUMP: action.to_n,
        ActionKind.HAND_OVER: action.runbook,
        ActionKind.END: action.status,
    }
    return action.kind.value, said[action.kind]


@pytest.mark.parametrize(("place", "stage", "part", "seen", "wanted"), TABLE)
def test_next_action__stage_and_observation__say_what_follows(
    place: tuple[Runbook, Step],
    stage: Stage,
    part: int,
    seen: Observation,
    wanted: tuple[str, object],
) -> None:
    """Confirmed before it is sent, awaited, given its time, judged: in this order and no other."""
    runbook, step = place
    assert gist(next_action(runbook, at(runbook, step, stage, part), seen)) == wanted


def test_find_branch__every_outcome_of_every_step__has_one() -> None:
    """Whatever a step can come to leads somewhere, also a finding that no branch names."""
    for runbook in RUNBOOKS:
        for step in runbook.steps:
            for verdict in outcomes_of(step):
                assert find_branch(step, verdict, "something new").on is verdict


VERDICTS = st.sampled_from(sorted(Verdict))
RESULTS = st.builds(
    CheckResult,
    VERDICTS,
    st.one_of(
        st.none(), st.sampled_from(["F-0204", "F-0421", "v2g", "not_delivered", "recurring", "?"])
    ),
    st.just({}),
)
WORLD = st.fixed_dictionaries(
    {
        "results": st.lists(RESULTS, min_size=1, max_size=8),
        "answers": st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=8),
        "commands": st.lists(
            st.sampled_from(["queued", "accepted", "completed", "failed"]), min_size=1, max_size=8
        ),
    }
)


def collect_only(result: CheckResult, step: Step) -> CheckResult:
    """A result that the step's check can give: collecting always passes, judging never declines."""
    if step.check == "collect":
        return PASS
    if result.verdict is Verdict.NOT_POSSIBLE:
        return FAIL
    return result


@settings(max_examples=400)
@given(runbook=st.sampled_from(RUNBOOKS), world=WORLD)
def test_run__whatever_is_observed__ends(runbook: Runbook, world: dict[str, list]) -> None:
    """From the first step a run ends after a bounded number of moves; no step comes twice."""
    now_ms, moves, turns = 0, 0, 0
    run = Position(1, first_stage(runbook.steps[0]), 0, 0)
    visited = [1]
    while True:
        step = runbook.steps[run.n - 1]
        seen = Observation(
            now_ms, command=CommandSeen(world["commands"][turns % len(world["commands"])])
        )
        action = next_action(runbook, run, seen)
        if action.kind is ActionKind.CHECK:
            result = collect_only(world["results"][turns % len(world["results"])], step)
            action = next_action(runbook, run, Observation(now_ms, result))
        elif action.kind is ActionKind.ASK:
            answer = world["answers"][turns % len(world["answers"])]
            action = next_action(runbook, run, Observation(now_ms, answer=answer))
        turns += 1
        moves += 1
        assert moves < 5_000, (run, action)
        if action.kind is ActionKind.WAIT:
            assert action.until_ms is not None
            assert action.until_ms > now_ms, "a wait is for later"
            now_ms = action.until_ms
        elif action.kind is ActionKind.ISSUE:
            run = Position(run.n, Stage.AWAIT, run.part, now_ms)
        elif action.kind is ActionKind.ENTER:
            assert action.stage is not None
            run = Position(run.n, action.stage, action.part, now_ms)
        elif action.kind is ActionKind.JUMP:
            assert action.to_n is not None
            assert action.to_n not in visited
            visited.append(action.to_n)
            run = Position(action.to_n, first_stage(runbook.steps[action.to_n - 1]), 0, now_ms)
        else:
            assert action.kind in _LEAVES
            assert action.status is not None
            return

"""What comes next in a run: pure, from the runbook, where the run is, and what is known.

A step goes through its stages, gets a verdict, and one of its branches says where that leads. No
step can be reached from itself (the library sees to that), each stage ends by an answer or by time,
so every run ends (rule B1).
"""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import UNSET

from tellus.kernel.units import SECOND_MS
from tellus.runbooks.model import (
    Action,
    ActionKind,
    CheckResult,
    Observation,
    Position,
    RunStatus,
    Stage,
)
from tellus.runbooks.model_catalogue import (
    Branch,
    DoneOn,
    Runbook,
    Step,
    StepKind,
    Verdict,
)

LOOK_AGAIN_MS: Final = SECOND_MS
"""How often a run that waits for a charger is looked at."""

COMMAND_PATIENCE_MS: Final = 300 * SECOND_MS
"""How long an accepted command may go without its end."""

LISTEN_MS: Final = 60 * SECOND_MS
"""How long a charger is listened for after a restart, before its silence counts (rule B2)."""

COMMAND_FAILED: Final = "command_failed"
NOT_CONFIRMED: Final = "not_confirmed"


def first_stage(step: Step) -> Stage:
    """Return the stage that a step begins with."""
    if step.kind is StepKind.AUTOMATIC:
        return Stage.CHECK
    if step.kind is StepKind.MANUAL:
        return Stage.QUESTION
    return Stage.CONFIRM if step.confirm is not UNSET else Stage.SEND


def next_action(runbook: Runbook, run: Position, observation: Observation) -> Action:
    """Say what comes next; the caller does it and asks again with what came of it."""
    step = runbook.steps[run.n - 1]
    return _AT[run.stage](runbook, step, run, observation)


def _after_check(runbook: Runbook, step: Step, _run: Position, seen: Observation) -> Action:
    if seen.result is None:
        return _check(step)
    if seen.result.verdict is Verdict.INCONCLUSIVE and step.question is not UNSET:
        return Action(kind=ActionKind.ENTER, stage=Stage.QUESTION)
    return _leave(runbook, step, seen.result.verdict, seen.result.finding)


def _after_question(runbook: Runbook, step: Step, _run: Position, seen: Observation) -> Action:
    if seen.answer is None:
        question = step.text if step.question is UNSET else step.question
        return Action(kind=ActionKind.ASK, question=question, paused=step.pause)
    if step.kind is StepKind.COMMAND and seen.answer is Verdict.PASSED:
        return Action(kind=ActionKind.ENTER, stage=Stage.SETTLE)
    return _leave(runbook, step, seen.answer, None)


def _after_confirm(runbook: Runbook, step: Step, _run: Position, seen: Observation) -> Action:
    if seen.answer is None:
        question = step.text if step.confirm is UNSET else step.confirm
        return Action(kind=ActionKind.ASK, question=question, confirms=True)
    if seen.answer is Verdict.PASSED:
        return Action(kind=ActionKind.ENTER, stage=Stage.SEND)
    if step.question is not UNSET:
        return Action(kind=ActionKind.ENTER, stage=Stage.QUESTION)
    return _leave(runbook, step, Verdict.NOT_POSSIBLE, NOT_CONFIRMED)


def _to_send(_runbook: Runbook, step: Step, run: Position, _seen: Observation) -> Action:
    return Action(kind=ActionKind.ISSUE, command=step.commands[run.part].command, part=run.part)


def _after_command(runbook: Runbook, step: Step, run: Position, seen: Observation) -> Action:
    told = step.commands[run.part]
    status = seen.command.status if seen.command is not None else "queued"
    is_done = status == "completed" or (status == "accepted" and told.done_on is DoneOn.ACCEPTED)
    waited_ms = seen.now_ms - run.since_ms
    if not is_done and status in {"queued", "accepted"} and waited_ms < COMMAND_PATIENCE_MS:
        return Action(kind=ActionKind.WAIT, until_ms=seen.now_ms + LOOK_AGAIN_MS)
    if is_done or told.may_fail:
        if run.part + 1 < len(step.commands):
            return Action(kind=ActionKind.ENTER, stage=Stage.SEND, part=run.part + 1)
        return Action(kind=ActionKind.ENTER, stage=Stage.SETTLE)
    if step.question is not UNSET:
        return Action(kind=ActionKind.ENTER, stage=Stage.QUESTION)
    return _leave(runbook, step, Verdict.FAILED, COMMAND_FAILED)


def _after_time(_runbook: Runbook, step: Step, run: Position, seen: Observation) -> Action:
    until_ms = run.since_ms + step.wait_s * SECOND_MS
    if seen.now_ms < until_ms:
        return Action(kind=ActionKind.WAIT, until_ms=until_ms)
    return Action(kind=ActionKind.ENTER, stage=Stage.VERIFY)


def _after_verification(runbook: Runbook, step: Step, run: Position, seen: Observation) -> Action:
    if seen.result is None:
        return _check(step)
    until_ms = run.since_ms + step.patience_s * SECOND_MS
    if seen.listening_ms > run.since_ms - step.wait_s * SECOND_MS:
        # Nobody could be heard for a part of the wait: that it was silent then says nothing.
        until_ms = max(until_ms, seen.listening_ms + LISTEN_MS)
    if seen.result.verdict is not Verdict.PASSED and seen.now_ms < until_ms:
        again_ms = min(until_ms, seen.now_ms + LOOK_AGAIN_MS)
        return Action(kind=ActionKind.WAIT, until_ms=again_ms)
    return _leave(runbook, step, *_decided(seen.result))


def _decided(result: CheckResult) -> tuple[Verdict, str | None]:
    """Return a verdict that is one: what cannot be seen to have helped has not helped."""
    if result.verdict is Verdict.INCONCLUSIVE:
        return Verdict.FAILED, result.finding
    return result.verdict, result.finding


def _check(step: Step) -> Action:
    return Action(kind=ActionKind.CHECK, check="" if step.check is UNSET else step.check)


def find_branch(step: Step, verdict: Verdict, finding: str | None) -> Branch:
    """Return where an outcome leads: the branch of its finding, else that of its verdict.

    Raises:
        LookupError: the step has no such branch; the library sees to it that none is missing.
    """
    of_verdict = [branch for branch in step.branches if branch.on is verdict]
    for branch in of_verdict:
        if finding is not None and branch.finding == finding:
            return branch
    for branch in of_verdict:
        if branch.finding is UNSET:
            return branch
    raise LookupError(f"{step.id}: nothing follows from {verdict}")


def _leave(runbook: Runbook, step: Step, verdict: Verdict, finding: str | None) -> Action:
    branch = find_branch(step, verdict, finding)
    advice = None if branch.advice is UNSET else branch.advice
    if branch.goto is not UNSET:
        to_n = runbook.place_of(branch.goto)
        return Action(
            kind=ActionKind.JUMP, verdict=verdict, finding=finding, advice=advice, to_n=to_n
        )
    conclusion = None if branch.conclusion is UNSET else branch.conclusion
    if branch.runbook is not UNSET:
        return Action(
            kind=ActionKind.HAND_OVER,
            verdict=verdict,
            finding=finding,
            advice=advice,
            runbook=branch.runbook,
            status=RunStatus.HANDED_OVER,
            conclusion=conclusion,
        )
    return Action(
        kind=ActionKind.END,
        verdict=verdict,
        finding=finding,
        advice=advice,
        status=RunStatus.ESCALATED if branch.end is UNSET else RunStatus(branch.end.value),
        cause=None if branch.cause is UNSET else branch.cause,
        conclusion=conclusion,
        escalated_to=None if branch.to is UNSET else branch.to,
    )


_AT: Final[Mapping[Stage, Callable[[Runbook, Step, Position, Observation], Action]]] = {
    Stage.CHECK: _after_check,
    Stage.QUESTION: _after_question,
    Stage.CONFIRM: _after_confirm,
    Stage.SEND: _to_send,
    Stage.AWAIT: _after_command,
    Stage.SETTLE: _after_time,
    Stage.VERIFY: _after_verification,
}

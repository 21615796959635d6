"""How a run and its steps change by what comes next: pure."""

from typing import NamedTuple

from msgspec.structs import replace

from tellus.runbooks.model import (
    Action,
    ActionKind,
    Answered,
    CheckResult,
    Links,
    Place,
    Run,
    RunStatus,
    Stage,
    StepRecord,
)
from tellus.runbooks.model_catalogue import Runbook
from tellus.runbooks.rules_engine import first_stage


class Changed(NamedTuple):
    """A run as it is now, with those of its steps that changed."""

    run: Run
    records: tuple[StepRecord, ...]


def begin(run_id: str, runbook: Runbook, place: Place, links: Links, now_ms: int) -> Changed:
    """Return a new run at its first step."""
    run = Run(
        run_id=run_id,
        slug=runbook.slug,
        operator_id=place.operator_id,
        client_id=place.client_id,
        device_no=place.device_no,
        device_id=place.device_id,
        connector_id=place.connector_id,
        alert_id=links.alert_id,
        command_id=links.command_id,
        vehicle=links.vehicle,
        from_run_id=links.from_run_id,
        status=RunStatus.RUNNING,
        n=1,
        stage=first_stage(runbook.steps[0]),
        part=0,
        since_ms=now_ms,
        due_ms=now_ms,
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    return Changed(run, (StepRecord(n=1, step_id=runbook.steps[0].id, began_ms=now_ms),))


def take(
    runbook: Runbook,
    before: Changed,
    action: Action,
    now_ms: int,
    result: CheckResult | None = None,
) -> Changed:
    """Return what becomes of a run by an action; ``before.records`` is its present step.

    ``result`` is what the step's check read, kept as the step's evidence.
    """
    run, (record,) = before.run, before.records
    if result is not None:
        record = replace(record, evidence=record.evidence | result.evidence)
    if action.kind is ActionKind.ASK:
        status = RunStatus.PAUSED if action.paused else RunStatus.ASKING
        run = replace(run, status=status, question=action.question, due_ms=None)
    elif action.kind is ActionKind.WAIT:
        run = replace(run, status=RunStatus.WAITING, question=None, due_ms=action.until_ms)
    elif action.kind is ActionKind.ENTER:
        run = _moved(run, action.stage or run.stage, action.part, now_ms)
    else:
        record = replace(
            record,
            verdict=action.verdict,
            finding=action.finding,
            advice=action.advice,
            ended_ms=now_ms,
        )
        return _left(runbook, run, record, action, now_ms)
    return Changed(replace(run, updated_ms=now_ms), (record,))


def take_answer(record: StepRecord, stage: Stage, answered: Answered) -> StepRecord:
    """Return a step with what a person said of it."""
    said = replace(record, client_id=answered.client_id, note=answered.note or record.note)
    if stage is Stage.CONFIRM:
        return replace(said, confirmed_by=answered.answered_by)
    return replace(said, answered_by=answered.answered_by)


def note_command(before: Changed, command_id: str, now_ms: int) -> Changed:
    """Return a run that waits for a command that it gave."""
    run, (record,) = before.run, before.records
    waiting = _moved(run, Stage.AWAIT, run.part, now_ms)
    run = replace(waiting, status=RunStatus.WAITING, pending_command_id=command_id)
    return Changed(run, (replace(record, command_ids=(*record.command_ids, command_id)),))


def hand_over(run: Run, next_run_id: str) -> Run:
    """Return a run that another one goes on with."""
    return replace(run, next_run_id=next_run_id)


def cancel(run: Run, cause: str, now_ms: int) -> Run:
    """Return a run that was given up."""
    return replace(
        run,
        status=RunStatus.CANCELLED,
        cause=cause,
        question=None,
        due_ms=None,
        pending_command_id=None,
        updated_ms=now_ms,
        ended_ms=now_ms,
    )


def _moved(run: Run, stage: Stage, part: int, now_ms: int) -> Run:
    return replace(
        run,
        status=RunStatus.RUNNING,
        stage=stage,
        part=part,
        since_ms=now_ms,
        due_ms=now_ms,
        question=None,
        pending_command_id=None,
        updated_ms=now_ms,
    )


def _left(runbook: Runbook, run: Run, record: StepRecord, action: Action, now_ms: int) -> Changed:
    if action.to_n is not None:
        step = runbook.steps[action.to_n - 1]
        moved = replace(_moved(run, first_stage(step), 0, now_ms), n=action.to_n)
        fresh = StepRecord(n=action.to_n, step_id=step.id, began_ms=now_ms)
        return Changed(moved, (record, fresh))
    ended = replace(
        run,
        status=action.status or RunStatus.ESCALATED,
        cause=action.cause,
        conclusion=action.conclusion,
        escalated_to=action.escalated_to,
        question=None,
        due_ms=None,
        pending_command_id=None,
        updated_ms=now_ms,
        ended_ms=now_ms,
    )
    return Changed(ended, (record,))

"""Runbooks and runs in the shapes in which operators send and see them."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.fleet.model import ConnectorId
from tellus.kernel.paging import PageQuery
from tellus.kernel.units import to_text
from tellus.runbooks.model import Photo, Run, RunStatus, Stage, StepRecord
from tellus.runbooks.model_catalogue import ANSWERS, Runbook, Step, Verdict
from tellus.runbooks.service import RunView

Word = Annotated[str, Meta(min_length=1, max_length=128)]


class RunbooksQuery(PageQuery, frozen=True, kw_only=True):
    """Which runbooks to list: those for a model."""

    model: Word | UnsetType = UNSET


class RunsQuery(PageQuery, frozen=True, kw_only=True):
    """Which runs to list; what is left out admits all. ``live`` true: those that are not over."""

    device_id: Word | UnsetType = UNSET
    status: RunStatus | UnsetType = UNSET
    alert_id: Word | UnsetType = UNSET
    live: bool | UnsetType = UNSET


class VehicleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle that will not charge or discharge, as far as it is known."""

    make: Word | UnsetType = UNSET
    model: Word | UnsetType = UNSET
    firmware: Word | UnsetType = UNSET


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the run is about: a device or one of its connectors, and what it belongs to.

    ``command_id`` is the discharge that nothing came of; without it the connector's newest.
    """

    device_id: Word
    connector_id: ConnectorId | UnsetType = UNSET
    alert_id: Word | UnsetType = UNSET
    command_id: Word | UnsetType = UNSET
    vehicle: VehicleRequest | UnsetType = UNSET


class StepRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of the step that the run is at, and who said it."""

    outcome: Verdict
    answered_by: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET


class StepItem(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a runbook: ``n`` is its place, ``branches`` say where its outcomes lead."""

    n: int
    id: str
    title: str
    text: str
    kind: str
    branches: list[dict[str, Any]]
    check: str | UnsetType = UNSET
    question: str | UnsetType = UNSET
    confirm: str | UnsetType = UNSET
    commands: list[str]
    wait_seconds: int
    pause: bool
    faults: list[str]
    collects: list[str]
    thresholds: dict[str, float]


class RunbookItem(msgspec.Struct, frozen=True, kw_only=True):
    """A runbook in a list; no ``models`` stand for all."""

    slug: str
    title: str
    symptom: str
    models: list[str]
    typical_models: list[str]
    needs_connector: bool
    needs_v2g: bool
    steps: int


class RunbookResponse(RunbookItem, frozen=True, kw_only=True):
    """A runbook with its steps in their order; the first is where a run begins."""

    steps: list[StepItem]  # type: ignore[assignment]
    latest_stable: dict[str, str]


class NextActionItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a run needs next: ``answer`` or ``confirm`` by a person, ``wait``, or ``work``.

    What is to be answered is ``question``, with ``POST …/steps/{n}``. ``until`` is when a run that
    waits is looked at again, ``command_id`` what it waits for. ``faults`` are the entries of the
    fault dictionary to work through while it is paused.
    """

    kind: str
    n: int
    title: str
    question: str | UnsetType = UNSET
    outcomes: list[Verdict] | UnsetType = UNSET
    until: str | UnsetType = UNSET
    command_id: str | UnsetType = UNSET
    faults: list[str] | UnsetType = UNSET


class RunStepItem(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a run came to: verdict, evidence, who answered what and when.

    Without ``verdict`` it is the present one. ``finding`` names what a check found, ``advice`` what
    is to be done about it. ``evidence`` is what the check read.
    """

    n: int
    id: str
    title: str
    kind: str
    began_at: str
    ended_at: str | UnsetType = UNSET
    verdict: Verdict | UnsetType = UNSET
    finding: str | UnsetType = UNSET
    advice: str | UnsetType = UNSET
    evidence: dict[str, Any]
    confirmed_by: str | UnsetType = UNSET
    answered_by: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    command_ids: list[str]


class RunItem(msgspec.Struct, frozen=True, kw_only=True):
    """A run: where it stands, and how it ended where it has."""

    run_id: str
    runbook: str
    device_id: str
    connector_id: int | UnsetType = UNSET
    alert_id: str | UnsetType = UNSET
    command_id: str | UnsetType = UNSET
    status: RunStatus
    step: int
    cause: str | UnsetType = UNSET
    conclusion: str | UnsetType = UNSET
    escalated_to: str | UnsetType = UNSET
    from_run_id: str | UnsetType = UNSET
    next_run_id: str | UnsetType = UNSET
    created_at: str
    updated_at: str
    ended_at: str | UnsetType = UNSET


class PhotoItem(msgspec.Struct, frozen=True):
    """A photo that was sent along; it is in the bundle."""

    file_id: str
    media_type: str
    size: int
    created_at: str


class RunResponse(RunItem, frozen=True, kw_only=True):
    """A run with each step that it came to, and what it needs next unless it is over."""

    vehicle: dict[str, str]
    steps: list[RunStepItem]
    photos: list[PhotoItem]
    next_action: NextActionItem | UnsetType = UNSET


class PhotoResponse(msgspec.Struct, frozen=True):
    """What was taken: size in bytes, SHA-256 in hexadecimal to compare with."""

    file_id: str
    size: int
    sha256: str


def _or_unset(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text


def to_facts(runbook: Runbook) -> dict[str, Any]:
    """Return what a list shows of a runbook."""
    return {
        "slug": runbook.slug,
        "title": runbook.title,
        "symptom": runbook.symptom,
        "models": runbook.models,
        "typical_models": runbook.typical_models,
        "needs_connector": runbook.needs_connector,
        "needs_v2g": runbook.needs_v2g,
        "steps": len(runbook.steps),
    }


def to_step_item(n: int, step: Step) -> StepItem:
    """Return a step of a runbook at its place."""
    return StepItem(
        n=n,
        id=step.id,
        title=step.title,
        text=step.text,
        kind=step.kind.value,
        branches=[msgspec.to_builtins(branch) for branch in step.branches],
        check=step.check,
        question=step.question,
        confirm=step.confirm,
        commands=[one.command for one in step.commands],
        wait_seconds=step.wait_s,
        pause=step.pause,
        faults=step.faults,
        collects=step.collects,
        thresholds=step.thresholds,
    )


def to_response(view: RunView) -> RunResponse:
    """Return a run with its steps, and what it needs next."""
    return RunResponse(
        **to_run_facts(view.run),
        vehicle=msgspec.to_builtins(view.run.vehicle),
        steps=[_run_step(view.runbook.steps[one.n - 1], one) for one in view.records],
        photos=[_photo(photo) for photo in view.photos],
        next_action=_next_action(view),
    )


def to_run_facts(run: Run) -> dict[str, Any]:
    """Return what a list shows of a run."""
    return {
        "run_id": run.run_id,
        "runbook": run.slug,
        "device_id": run.device_id,
        "connector_id": run.connector_id or UNSET,
        "alert_id": _or_unset(run.alert_id),
        "command_id": _or_unset(run.command_id),
        "status": run.status,
        "step": run.n,
        "cause": _or_unset(run.cause),
        "conclusion": _or_unset(run.conclusion),
        "escalated_to": _or_unset(run.escalated_to),
        "from_run_id": _or_unset(run.from_run_id),
        "next_run_id": _or_unset(run.next_run_id),
        "created_at": to_text(run.created_ms),
        "updated_at": to_text(run.updated_ms),
        "ended_at": UNSET if run.ended_ms is None else to_text(run.ended_ms),
    }


def _run_step(step: Step, record: StepRecord) -> RunStepItem:
    return RunStepItem(
        n=record.n,
        id=record.step_id,
        title=step.title,
        kind=step.kind.value,
        began_at=to_text(record.began_ms),
        ended_at=UNSET if record.ended_ms is None else to_text(record.ended_ms),
        verdict=UNSET if record.verdict is None else record.verdict,
        finding=_or_unset(record.finding),
        advice=_or_unset(record.advice),
        evidence=record.evidence,
        confirmed_by=_or_unset(record.confirmed_by),
        answered_by=_or_unset(record.answered_by),
        client_id=_or_unset(record.client_id),
        note=_or_unset(record.note),
        command_ids=list(record.command_ids),
    )


def _photo(photo: Photo) -> PhotoItem:
    return PhotoItem(photo.file_id, photo.media_type, photo.size, to_text(photo.created_ms))


def _next_action(view: RunView) -> NextActionItem | UnsetType:
    run = view.run
    if run.is_over:
        return UNSET
    step = view.runbook.steps[run.n - 1]
    if run.status in {RunStatus.ASKING, RunStatus.PAUSED}:
        return NextActionItem(
            kind="confirm" if run.stage is Stage.CONFIRM else "answer",
            n=run.n,
            title=step.title,
            question=_or_unset(run.question),
            outcomes=sorted(ANSWERS),
            faults=step.faults if step.pause else UNSET,
        )
    return NextActionItem(
        kind="wait" if run.status is RunStatus.WAITING else "work",
        n=run.n,
        title=step.title,
        until=UNSET if run.due_ms is None else to_text(run.due_ms),
        command_id=_or_unset(run.pending_command_id),
    )

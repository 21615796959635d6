"""Runbooks on the operator's surface: read them, run them, fetch what came of it."""

from functools import partial
from typing import Final

from tellus.consent.model import Service
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.runbooks import operator_api as runbooks
from tellus.runbooks import operator_api_items as items
from tellus.surfaces.routes import BODY_BYTES_FILE, Answer, LimitClass, Route

_RUNS: Final = "/v1/operator/runbooks/{slug}/runs"
_RUN: Final = f"{_RUNS}/{{run_id}}"
_TAG: Final = "Operator: runbooks"

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES, tag=_TAG
)
_control = partial(
    Route, "POST", audience=Audience.OPERATOR, scope="write", limit=LimitClass.CONTROL, tag=_TAG
)

OPERATOR_RUNBOOK_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/runbooks", "listRunbooks", runbooks.list_runbooks,
        query=items.RunbooksQuery, response=Page[items.RunbookItem],
        summary="List runbooks", description="What each is for, and for which models.",
    ),
    _query(
        "/v1/operator/runbooks/{slug}", "getRunbook", runbooks.get_runbook,
        response=items.RunbookResponse, summary="Read a runbook",
        description="Its steps with what each checks, asks or sends, and where that leads.",
    ),
    _control(
        _RUNS, "startRunbookRun", runbooks.start_run,
        request=items.RunRequest, response=items.RunResponse,
        service=Service.DIAGNOSTICS,
        summary="Begin a run of a runbook",
        description="The run goes on by itself until it needs a person: `next_action` says for"
        " what. 409 with `details.reason`: `model_not_covered`, `not_v2g_capable`, or"
        " `run_under_way` with the `run_id` of the one that is. Goes to the audit log.",
    ),
    _query(
        _RUNS, "listRunbookRuns", runbooks.list_runs,
        query=items.RunsQuery, response=Page[items.RunItem],
        service=Service.DIAGNOSTICS, sifts=True,
        summary="List runs of a runbook", description="Newest first.",
    ),
    _query(
        _RUN, "getRunbookRun", runbooks.get_run, response=items.RunResponse,
        service=Service.DIAGNOSTICS,
        summary="Read a run",
        description="Each step with its verdict, the evidence that was read, who answered and when;"
        " and what the run needs next.",
    ),
    _control(
        f"{_RUN}/steps/{{n}}", "answerRunbookStep", runbooks.answer_step,
        request=items.StepRequest, response=items.RunResponse,
        service=Service.DIAGNOSTICS,
        summary="Answer a step of a run",
        description="`outcome` is what was found on site, or whether a command may be sent. 409 if"
        " the run asks nothing of step `n`. To confirm what takes a charger out of service needs"
        " the scope `diagnostics`. Goes to the audit log.",
    ),
    _control(
        f"{_RUN}/cancel", "cancelRunbookRun", runbooks.cancel_run,
        response=items.RunResponse,
        service=Service.DIAGNOSTICS,
        summary="Give a run up",
        description="Nothing more is sent; commands that were sent stay sent.",
    ),
    _control(
        f"{_RUN}/photos", "uploadRunbookPhoto", runbooks.upload_photo,
        upload=True, body_bytes=BODY_BYTES_FILE, response=items.PhotoResponse,
        service=Service.DIAGNOSTICS,
        summary="Add a photo to a run",
        description="The raw bytes of a JPEG, PNG or WebP image of up to 32 MiB. A run keeps 20"
        " photos, also after its end; they are in the bundle.",
    ),
    _query(
        f"{_RUN}/bundle", "downloadRunbookBundle", runbooks.download_bundle, answer=Answer.FILE,
        service=Service.DIAGNOSTICS,
        summary="Download a run's bundle",
        description="One zip: `report.html` to read, and as data the run, the fault log, the"
        " firmware, the commands, the telemetry and component health of that time, the vehicle and"
        " the photos.",
    ),
)  # fmt: skip

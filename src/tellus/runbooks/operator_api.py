"""Runbooks and their runs as operators read, begin, answer and end them."""

from typing import Any

from msgspec import UNSET, UnsetType

from tellus.audit.model import Actor
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.files import FileAnswer
from tellus.kernel.paging import Page
from tellus.runbooks.model import Answered, Links, RunFilter, Vehicle
from tellus.runbooks.model_catalogue import ANSWERS, STEPS_MOST
from tellus.runbooks.operator_api_items import (
    PhotoResponse,
    RunbookItem,
    RunbookResponse,
    RunbooksQuery,
    RunItem,
    RunRequest,
    RunResponse,
    RunsQuery,
    StepRequest,
    VehicleRequest,
    to_facts,
    to_response,
    to_run_facts,
    to_step_item,
)
from tellus.runbooks.service import Client, RunbookService, Wanted


async def list_runbooks(
    runbooks: RunbookService, call: Call[Nothing, RunbooksQuery]
) -> Page[RunbookItem]:
    """Return a page of the runbooks, in the order of their names."""
    query = call.query
    found = [
        one for one in runbooks.library if query.model is UNSET or one.fits(query.model, v2g=True)
    ]
    page = found[query.offset : query.offset + query.size]
    return Page(len(found), query.page, query.size, [RunbookItem(**to_facts(one)) for one in page])


async def get_runbook(runbooks: RunbookService, call: Call[Nothing, Nothing]) -> RunbookResponse:
    """Return a runbook with its steps."""
    runbook = runbooks.find_runbook(call.path["slug"])
    steps = [to_step_item(n, step) for n, step in enumerate(runbook.steps, 1)]
    facts = to_facts(runbook) | {"steps": steps}
    return RunbookResponse(**facts, latest_stable=runbook.latest_stable)


async def start_run(runbooks: RunbookService, call: Call[RunRequest, Nothing]) -> RunResponse:
    """Begin a run."""
    body = call.body
    links = Links(_given(body.alert_id), _given(body.command_id), _vehicle(body.vehicle))
    connector_id = 0 if body.connector_id is UNSET else body.connector_id
    wanted = Wanted(body.device_id, connector_id, links)
    view = await runbooks.start_run(call.path["slug"], wanted, _client(call))
    return to_response(view)


async def list_runs(runbooks: RunbookService, call: Call[Nothing, RunsQuery]) -> Page[RunItem]:
    """Return a page of the operator's runs of a runbook, newest first."""
    query = call.query
    wanted = RunFilter(
        call.principal.operator_id,
        call.path["slug"],
        None,
        None if query.status is UNSET else query.status,
        _given(query.alert_id),
        None if query.live is UNSET else not query.live,
        call.withheld,
    )
    total, runs = await runbooks.list_runs(
        wanted, _given(query.device_id), query.offset, query.size
    )
    return Page(total, query.page, query.size, [RunItem(**to_run_facts(run)) for run in runs])


async def get_run(runbooks: RunbookService, call: Call[Nothing, Nothing]) -> RunResponse:
    """Return a run."""
    slug, run_id = call.path["slug"], call.path["run_id"]
    return to_response(await runbooks.read_run(slug, run_id, call.principal.operator_id))


async def answer_step(runbooks: RunbookService, call: Call[StepRequest, Nothing]) -> RunResponse:
    """Take what a person says of a step."""
    body, path = call.body, call.path
    if body.outcome not in ANSWERS:
        message = "Parameter 'outcome' must be passed, failed or not_possible"
        raise InvalidParameter(message, "outcome", body.outcome.value)
    answered = Answered(
        body.outcome, body.answered_by, call.principal.principal_id, _given(body.note)
    )
    place = (path["slug"], path["run_id"], _step_no(path["n"]))
    return to_response(await runbooks.answer(place, answered, _client(call)))


async def cancel_run(runbooks: RunbookService, call: Call[Nothing, Nothing]) -> RunResponse:
    """Give a run up."""
    return to_response(await runbooks.cancel(call.path["slug"], call.path["run_id"], _client(call)))


async def upload_photo(runbooks: RunbookService, call: Call[Nothing, Nothing]) -> PhotoResponse:
    """Keep a photo with a run."""
    if call.upload is None:
        raise TypeError("This route takes a file")
    slug, run_id = call.path["slug"], call.path["run_id"]
    file = await runbooks.add_photo(slug, run_id, call.upload, _client(call))
    return PhotoResponse(file.file_id, file.size, file.sha256)


async def download_bundle(runbooks: RunbookService, call: Call[Nothing, Nothing]) -> FileAnswer:
    """Return a run's bundle."""
    slug, run_id = call.path["slug"], call.path["run_id"]
    return await runbooks.bundle(slug, run_id, call.principal.operator_id)


def _step_no(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= STEPS_MOST:
        message = f"Parameter 'n' must be a whole number from 1 to {STEPS_MOST}"
        raise InvalidParameter(message, "n", text)
    return int(text)


def _client(call: Call[Any, Any]) -> Client:
    principal = call.principal
    by = Actor(principal.principal_id, call.request_id or None, principal.scopes)
    key = call.idempotency_key
    return Client(principal.principal_id, principal.operator_id, by, key)


def _given(text: str | UnsetType) -> str | None:
    return None if text is UNSET else text


def _vehicle(body: VehicleRequest | UnsetType) -> Vehicle:
    if body is UNSET:
        return Vehicle()
    return Vehicle(_given(body.make), _given(body.model), _given(body.firmware))

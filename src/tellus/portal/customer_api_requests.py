"""What customers ask for: as they ask it, and as operators and administrators answer it."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.consent.model import Service, bits_of, services_in
from tellus.kernel.call import Audience, Call, Nothing
from tellus.kernel.errors import MissingParameter
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.portal.customer_api import Note, actor_of, customer_of
from tellus.portal.model import (
    CustomerRequest,
    RequestFilter,
    RequestKind,
    RequestStatus,
    Verdict,
)
from tellus.portal.requests import RequestService, Wish

Identifier = Annotated[str, Meta(min_length=1, max_length=64)]


class AskChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which services a customer wants on from now on: of a charger or a consent, or both."""

    device_id: Identifier | UnsetType = UNSET
    consent_id: Identifier | UnsetType = UNSET
    services: Annotated[list[Service], Meta(max_length=5)]
    note: Note | UnsetType = UNSET


class AskErasureRequest(msgspec.Struct, frozen=True):
    """Why a customer wants a charger erased."""

    note: Note | UnsetType = UNSET


class AnswerRequest(msgspec.Struct, frozen=True):
    """How a request is answered; the customer sees the note."""

    status: Literal["accepted", "declined"]
    note: Note | UnsetType = UNSET


class RequestsQuery(PageQuery, frozen=True, kw_only=True):
    """Which requests; all by default."""

    status: RequestStatus | UnsetType = UNSET


class CustomerRequestItem(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a customer: ``change`` of services, or ``erasure`` of a charger."""

    request_id: str
    kind: RequestKind
    status: RequestStatus
    customer: str
    operator_id: str
    device_id: str | UnsetType = UNSET
    consent_id: str | UnsetType = UNSET
    services: list[Service] | UnsetType = UNSET
    note: str | UnsetType = UNSET
    created_at: str
    answered_at: str | UnsetType = UNSET
    answered_by: str | UnsetType = UNSET
    answer: str | UnsetType = UNSET
    erasure_id: str | UnsetType = UNSET


async def ask_change(
    requests: RequestService, call: Call[AskChangeRequest, Nothing]
) -> CustomerRequestItem:
    """Ask for other services."""
    body = call.body
    if body.device_id is UNSET and body.consent_id is UNSET:
        raise MissingParameter("device_id")
    wish = Wish(
        body.device_id or None, body.consent_id or None, bits_of(body.services), body.note or None
    )
    return _item(await requests.ask_change(customer_of(call), wish, actor_of(call)))


async def ask_erasure(
    requests: RequestService, call: Call[AskErasureRequest, Nothing]
) -> CustomerRequestItem:
    """Ask that a charger is erased."""
    note = call.body.note or None
    device_id = call.path["device_id"]
    return _item(await requests.ask_erasure(customer_of(call), device_id, note, actor_of(call)))


async def list_own_requests(
    requests: RequestService, call: Call[Nothing, RequestsQuery]
) -> Page[CustomerRequestItem]:
    """List what the customer asked for, newest first."""
    return await _list(requests, call, call.principal.operator_id, call.principal.customer)


async def list_requests(
    requests: RequestService, call: Call[Nothing, RequestsQuery]
) -> Page[CustomerRequestItem]:
    """List what customers ask for, newest first: an operator's own, or all."""
    return await _list(requests, call, _operator_of(call), None)


async def answer_request(
    requests: RequestService, call: Call[AnswerRequest, Nothing]
) -> CustomerRequestItem:
    """Answer a request, once."""
    verdict = Verdict(RequestStatus(call.body.status), call.body.note or None)
    request_id, operator_id = call.path["request_id"], _operator_of(call)
    return _item(await requests.answer(request_id, operator_id, verdict, actor_of(call)))


async def _list(
    requests: RequestService,
    call: Call[Nothing, RequestsQuery],
    operator_id: str | None,
    customer: str | None,
) -> Page[CustomerRequestItem]:
    query = call.query
    wanted = RequestFilter(operator_id, customer, query.status or None)
    total, found = await requests.list_requests(wanted, query.offset, query.size)
    return Page(total, query.page, query.size, [_item(one) for one in found])


def _operator_of(call: Call[AnswerRequest, Nothing] | Call[Nothing, RequestsQuery]) -> str | None:
    principal = call.principal
    return None if principal.audience is Audience.ADMIN else principal.operator_id


def _item(request: CustomerRequest) -> CustomerRequestItem:
    is_change = request.kind is RequestKind.CHANGE
    return CustomerRequestItem(
        request_id=request.request_id,
        kind=request.kind,
        status=request.status,
        customer=request.customer,
        operator_id=request.operator_id,
        device_id=request.device_id or UNSET,
        consent_id=request.consent_id or UNSET,
        services=services_in(request.services) if is_change else UNSET,
        note=request.note or UNSET,
        created_at=to_text(request.created_ms),
        answered_at=UNSET if request.answered_ms is None else to_text(request.answered_ms),
        answered_by=request.answered_by or UNSET,
        answer=request.answer or UNSET,
        erasure_id=request.erasure_id or UNSET,
    )

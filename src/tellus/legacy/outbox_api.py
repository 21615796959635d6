"""The outbox on the administration surface: wire types and handlers."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.delivery.model import Outcome, PushState
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.legacy.model import PushOperation
from tellus.legacy.model_outbox import OwedPush, PushFilter
from tellus.legacy.outbox_desk import OutboxDesk


class PushesQuery(PageQuery, frozen=True, forbid_unknown_fields=False):
    """Which pushes are listed."""

    peer_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    state: PushState | UnsetType = UNSET


class AttemptItem(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt: when it began, how it ended, and the peer's HTTP status where it gave one."""

    at: str
    outcome: Outcome
    http_status: int | None


class PushItem(msgspec.Struct, frozen=True, kw_only=True):
    """A push without its content; ``about`` is the order or charge point that it tells of.

    ``attempts`` counts those of the present schedule; ``next_attempt_at`` is null once it ended.
    """

    push_id: str
    peer_id: str
    operation: PushOperation
    about: str
    state: PushState
    attempts: int
    next_attempt_at: str | None
    last_outcome: str | None
    created_at: str
    updated_at: str
    ended_at: str | None


class PushDetailItem(PushItem, frozen=True, kw_only=True):
    """A push with ``body``, as it goes out, and its latest attempts, oldest first."""

    body: dict[str, Any]
    history: list[AttemptItem]


async def list_pushes(desk: OutboxDesk, call: Call[Nothing, PushesQuery]) -> Page[PushItem]:
    """Return a page of pushes, newest first."""
    query = call.query
    wanted = PushFilter(
        peer_id=None if query.peer_id is UNSET else query.peer_id,
        state=None if query.state is UNSET else query.state,
    )
    total, found = await desk.list_pushes(wanted, query.offset, query.size)
    return Page(total, query.page, query.size, [PushItem(**_facts(push)) for push in found])


async def get_push(desk: OutboxDesk, call: Call[Nothing, Nothing]) -> PushDetailItem:
    """Return a push with its attempts."""
    return _detail(await desk.get_push(call.path["push_id"]))


async def retry_push(desk: OutboxDesk, call: Call[Nothing, Nothing]) -> PushDetailItem:
    """Have a push sent at once."""
    return _detail(await desk.retry_push(call.path["push_id"], _actor(call), call.now_ms))


async def cancel_push(desk: OutboxDesk, call: Call[Nothing, Nothing]) -> PushDetailItem:
    """End a push that waits."""
    return _detail(await desk.cancel_push(call.path["push_id"], _actor(call), call.now_ms))


def _facts(push: OwedPush) -> dict[str, Any]:
    last = push.history[-1].outcome.value if push.history else None
    return {
        "push_id": push.push_id,
        "peer_id": push.peer_id,
        "operation": push.operation,
        "about": push.ordering_key,
        "state": push.state,
        "attempts": push.attempts,
        "next_attempt_at": _text(push.due_ms),
        "last_outcome": last,
        "created_at": to_text(push.created_ms),
        "updated_at": to_text(push.updated_ms),
        "ended_at": _text(push.ended_ms),
    }


def _detail(push: OwedPush) -> PushDetailItem:
    return PushDetailItem(
        **_facts(push),
        body=msgspec.json.decode(push.body, type=dict[str, Any]),
        history=[
            AttemptItem(at=to_text(one.begun_ms), outcome=one.outcome, http_status=one.http_status)
            for one in push.history
        ],
    )


def _text(time_ms: int | None) -> str | None:
    return None if time_ms is None else to_text(time_ms)


def _actor(call: Call[Nothing, Nothing]) -> Actor:
    return Actor(call.principal.principal_id, call.request_id or None, call.principal.scopes)

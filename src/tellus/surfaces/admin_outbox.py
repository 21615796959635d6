"""The outbox of interop on the administration surface: what other platforms are owed."""

from functools import partial
from typing import Final

from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.legacy import outbox_api as outbox
from tellus.surfaces.routes import Route

_query = partial(Route, "GET", audience=Audience.ADMIN, scope="org:read", tag="Admin: peers")
_change = partial(Route, "POST", audience=Audience.ADMIN, scope="org:write", tag="Admin: peers")

OUTBOX_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/admin/pushes", "adminListPushes", outbox.list_pushes,
        query=outbox.PushesQuery, response=Page[outbox.PushItem],
        summary="List pushes",
        description="What peers are owed and what became of it, newest first.",
    ),
    _query(
        "/v1/admin/pushes/{push_id}", "adminGetPush", outbox.get_push,
        response=outbox.PushDetailItem,
        summary="Read a push",
        description="With what it tells and how its attempts went.",
    ),
    _change(
        "/v1/admin/pushes/{push_id}/retry", "retryPush", outbox.retry_push,
        response=outbox.PushDetailItem,
        summary="Send a push at once",
        description="One that had ended begins its schedule anew. One that the peer has accepted, "
        "that is being sent, or that a newer one about the same follows is 409.",
    ),
    _change(
        "/v1/admin/pushes/{push_id}/cancel", "cancelPush", outbox.cancel_push,
        response=outbox.PushDetailItem,
        summary="End a push that waits",
        description="One that has ended or is being sent is 409.",
    ),
)  # fmt: skip

"""The operator's look at its peers: what they started here, and what they told of their own."""

from functools import partial
from typing import Final

from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.legacy import operator_api as legacy
from tellus.surfaces.routes import LimitClass, Route

_query = partial(
    Route,
    "GET",
    audience=Audience.OPERATOR,
    scope="read",
    limit=LimitClass.QUERIES,
    tag="Operator: peers",
)

OPERATOR_PEER_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/peer-orders", "listPeerOrders", legacy.list_peer_orders,
        query=legacy.PeerOrdersQuery, response=Page[legacy.PeerOrderItem],
        summary="List peers' orders",
        description="What the operator's peers started at its chargers, newest first.",
    ),
    _query(
        "/v1/operator/foreign-charge-points", "listForeignChargePoints",
        legacy.list_foreign_points,
        query=legacy.ForeignPointsQuery, response=Page[legacy.ForeignPointItem],
        summary="List foreign charge points",
        description="Charge points of the operator's peers, each as it was told last.",
    ),
    _query(
        "/v1/operator/foreign-orders", "listForeignOrders", legacy.list_foreign_orders,
        query=legacy.ForeignOrdersQuery, response=Page[legacy.ForeignOrderItem],
        summary="List foreign orders",
        description="Orders at charge points of the operator's peers, newest word first.",
    ),
)  # fmt: skip

"""How devices are connected, on the operator's surface."""

from typing import Final

from tellus.consent.model import Service
from tellus.fleet import operator_api_network as network
from tellus.kernel.call import Audience
from tellus.kernel.paging import PageQuery
from tellus.surfaces.routes import LimitClass, Route

OPERATOR_NETWORK_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/operator/devices/{device_id}/network", "getDeviceNetwork",
        network.get_device_network, Audience.OPERATOR, "Read how a device is connected",
        "Operator: diagnostics",
        description="Online or offline and since when, reconnects, availability, the longest"
        " outage, a health score from 0 to 100, and a page of what happened, newest first.",
        service=Service.DIAGNOSTICS,
        scope="read", limit=LimitClass.QUERIES, query=PageQuery, response=network.NetworkItem,
    ),
)  # fmt: skip

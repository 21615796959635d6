"""What is kept and what is erased, on the administration surface."""

from functools import partial
from typing import Final

from tellus.fleet import admin_api_erasures as erasures
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page, PageQuery
from tellus.surfaces.routes import Route
from tellus.telemetry import admin_api as retention

_query = partial(Route, "GET", audience=Audience.ADMIN, scope="org:read")
_change = partial(Route, "POST", audience=Audience.ADMIN, scope="org:write")
_RETENTION: Final = "Admin: retention"
_ERASURE: Final = "Admin: erasure"

RETENTION_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/admin/retention", "getRetentionPlan", retention.get_retention_plan,
        response=retention.RetentionPlan, tag=_RETENTION,
        summary="See what has outlived its time",
        description="What a round would drop if it began now, tier by tier. Of what was uploaded"
        " late, some may turn out to be too young.",
    ),
    _change(
        "/v1/admin/retention/rounds", "startRetentionRound", retention.start_retention_round,
        response=retention.RoundItem, tag=_RETENTION,
        summary="Drop now what has outlived its time",
        description="Rounds are made every hour by themselves. This one begins within a second, or"
        " when the present one has ended.",
    ),
    _query(
        "/v1/admin/retention/rounds/last", "getRetentionRound", retention.get_retention_round,
        response=retention.RoundItem, tag=_RETENTION,
        summary="Follow the last round",
        description="The round that was asked for, else the last one; 404 before there was any.",
    ),
    _query(
        "/v1/admin/erasures", "listErasures", erasures.list_erasures,
        query=PageQuery, response=Page[erasures.ErasureItem], tag=_ERASURE,
        summary="List erasures", description="Newest first.",
    ),
    _query(
        "/v1/admin/erasures/{erasure_id}", "getErasure", erasures.get_erasure,
        response=erasures.ErasureItem, tag=_ERASURE,
        summary="Read the receipt of an erasure",
    ),
    _change(
        "/v1/admin/erasures/vehicle", "eraseVehicle", erasures.erase_vehicle,
        request=erasures.EraseVehicleRequest, response=erasures.ErasureItem, tag=_ERASURE,
        summary="Erase a vehicle",
        description="Drops the key of a VIN for one operator: whatever named the vehicle can be"
        " read by nobody any more. Charging records stay, without it.",
    ),
    _change(
        "/v1/admin/devices/{device_id}/erasure", "eraseDevice", erasures.erase_device,
        response=erasures.ErasureItem, tag=_ERASURE,
        summary="Delete a device and erase what it has left",
        description="Deletes the device if it is still there, then takes away its samples, events,"
        " charging records and sessions, a little at a time. The sums of its sites stay.",
    ),
)  # fmt: skip

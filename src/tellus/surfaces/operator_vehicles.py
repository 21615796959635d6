"""The list of vehicles that may give energy back, on the operator's surface."""

from functools import partial
from typing import Final

from tellus.diagnostics import operator_api_vehicles as vehicles
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

_LIST: Final = "/v1/operator/v2g-vehicles"
_ONE: Final = _LIST + "/{vehicle_id}"
_TAG: Final = "Operator: diagnostics"

_change = partial(
    Route, audience=Audience.OPERATOR, scope="write", limit=LimitClass.CONTROL, tag=_TAG
)

OPERATOR_VEHICLE_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", _LIST, "listV2gVehicles", vehicles.list_v2g_vehicles,
        Audience.OPERATOR, "List vehicles that may discharge", _TAG,
        description="The operator's list, by make and model; runbooks read it.",
        scope="read", limit=LimitClass.QUERIES, query=vehicles.V2gVehiclesQuery,
        response=Page[vehicles.V2gVehicleItem],
    ),
    _change(
        "POST", _LIST, "addV2gVehicle", vehicles.add_v2g_vehicle,
        request=vehicles.V2gVehicleRequest, response=vehicles.V2gVehicleItem,
        summary="List a vehicle that may discharge",
        description="Make and model, compared without regard to case; with `min_firmware` only"
        " where the vehicle's own firmware has reached it. 409 where it is listed already.",
    ),
    _change(
        "PUT", _ONE, "setV2gVehicle", vehicles.set_v2g_vehicle,
        request=vehicles.V2gVehicleRequest, response=vehicles.V2gVehicleItem,
        summary="Change a listed vehicle", description="Replaces the whole entry.",
    ),
    _change(
        "DELETE", _ONE, "deleteV2gVehicle", vehicles.delete_v2g_vehicle,
        summary="Take a vehicle off the list",
    ),
)  # fmt: skip

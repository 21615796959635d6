"""The vehicles that may give energy back, as operators keep their lists."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.commands.model import RequestKey
from tellus.diagnostics.model_vehicles import Vehicle
from tellus.diagnostics.vehicles import VehicleEntry, VehicleList, request_key
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.kernel.vins import replace_vins

Word = Annotated[str, Meta(min_length=1, max_length=128)]


class V2gVehiclesQuery(PageQuery, frozen=True, kw_only=True):
    """Which vehicles to list: those of a make, or all."""

    make: Word | UnsetType = UNSET


class V2gVehicleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of vehicle that gives energy back; ``min_firmware`` is the vehicle's, the oldest."""

    make: Word
    model: Word
    min_firmware: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    note: Annotated[str, Meta(max_length=2_000)] | UnsetType = UNSET


class V2gVehicleItem(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle on the list; without ``min_firmware`` any of its firmware will do."""

    vehicle_id: str
    make: str
    model: str
    min_firmware: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    created_at: str
    updated_at: str


async def list_v2g_vehicles(
    vehicles: VehicleList, call: Call[Nothing, V2gVehiclesQuery]
) -> Page[V2gVehicleItem]:
    """List the operator's vehicles by make and model."""
    query = call.query
    total, found = await vehicles.list_vehicles(
        call.principal.operator_id, query.make or None, query.offset, query.size
    )
    return Page(total, query.page, query.size, [_item(vehicle) for vehicle in found])


async def add_v2g_vehicle(
    vehicles: VehicleList, call: Call[V2gVehicleRequest, Nothing]
) -> V2gVehicleItem:
    """List a vehicle."""
    operator_id, entry = call.principal.operator_id, _entry(call.body)
    by, key = _actor(call), _key(call)
    return _item(await vehicles.add_vehicle(operator_id, entry, by, call.now_ms, key))


async def set_v2g_vehicle(
    vehicles: VehicleList, call: Call[V2gVehicleRequest, Nothing]
) -> V2gVehicleItem:
    """Write a vehicle's entry anew."""
    vehicle_id, operator_id = call.path["vehicle_id"], call.principal.operator_id
    entry, by = _entry(call.body), _actor(call)
    return _item(await vehicles.set_vehicle(vehicle_id, operator_id, entry, by, call.now_ms))


async def delete_v2g_vehicle(vehicles: VehicleList, call: Call[Nothing, Nothing]) -> None:
    """Take a vehicle off the list."""
    vehicle_id, operator_id = call.path["vehicle_id"], call.principal.operator_id
    await vehicles.remove_vehicle(vehicle_id, operator_id, _actor(call), call.now_ms)


def _entry(body: V2gVehicleRequest) -> VehicleEntry:
    # Somebody may write the number of one vehicle where a kind of vehicle is asked for.
    model = replace_vins(body.model.strip())
    return VehicleEntry(body.make.strip(), model, body.min_firmware or None, body.note or None)


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def _key(call: Call[Any, Any]) -> RequestKey | None:
    return request_key(call.principal.principal_id, call.idempotency_key, "v2g-vehicles", call.body)


def _item(vehicle: Vehicle) -> V2gVehicleItem:
    return V2gVehicleItem(
        vehicle_id=vehicle.vehicle_id,
        make=vehicle.make,
        model=vehicle.model,
        min_firmware=vehicle.min_firmware or UNSET,
        note=vehicle.note or UNSET,
        created_at=to_text(vehicle.created_ms),
        updated_at=to_text(vehicle.updated_ms),
    )

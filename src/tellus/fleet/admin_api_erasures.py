"""Erasing a vehicle or a device, for administrators."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.fleet.device_api import Word
from tellus.fleet.erasure import ErasureService
from tellus.fleet.model_erasures import Erasure
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text


class EraseVehicleRequest(msgspec.Struct, frozen=True):
    """The vehicle to erase, and for which operator."""

    operator_id: Word
    vin: Annotated[str, Meta(min_length=1, max_length=64)]


class ErasureItem(msgspec.Struct, frozen=True):
    """A receipt: what was asked for, by whom and when, and how many rows of what are gone.

    ``removed`` of a vehicle counts the rows that nobody can read any more, and the texts that
    mention it no more. ``digest`` is that of the certificate, which is in the audit log too.
    """

    erasure_id: str
    kind: str
    operator_id: str
    status: str
    asked_by: str
    asked_at: str
    removed: dict[str, int]
    device_id: str | UnsetType = UNSET
    done_at: str | UnsetType = UNSET
    digest: str | UnsetType = UNSET


async def erase_vehicle(
    erasures: ErasureService, call: Call[EraseVehicleRequest, Nothing]
) -> ErasureItem:
    """Erase a vehicle of an operator."""
    body = call.body
    return _item(await erasures.erase_vehicle(body.operator_id, body.vin, _actor(call)))


async def erase_device(erasures: ErasureService, call: Call[Nothing, Nothing]) -> ErasureItem:
    """Delete a device and erase what it has left."""
    return _item(await erasures.erase_device(call.path["device_id"], _actor(call)))


async def list_erasures(
    erasures: ErasureService, call: Call[Nothing, PageQuery]
) -> Page[ErasureItem]:
    """List erasures, newest first."""
    query = call.query
    total, found = await erasures.list_erasures(query.offset, query.size)
    return Page(total, query.page, query.size, [_item(erasure) for erasure in found])


async def get_erasure(erasures: ErasureService, call: Call[Nothing, Nothing]) -> ErasureItem:
    """Return the receipt of an erasure."""
    return _item(await erasures.get_erasure(call.path["erasure_id"]))


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def _item(erasure: Erasure) -> ErasureItem:
    return ErasureItem(
        erasure.erasure_id,
        erasure.kind,
        erasure.operator_id,
        "running" if erasure.done_ms is None else "done",
        erasure.asked_by,
        to_text(erasure.asked_ms),
        dict(erasure.removed),
        erasure.device_id or UNSET,
        UNSET if erasure.done_ms is None else to_text(erasure.done_ms),
        UNSET if erasure.done_ms is None else erasure.digest,
    )

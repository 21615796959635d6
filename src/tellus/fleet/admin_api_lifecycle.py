"""A device's life on the administration surface."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.fleet.lifecycle import LifecycleAdministration, LifecycleView
from tellus.fleet.operator_api_metadata import LifecycleItem, lifecycle_item
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.units import to_ms

Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", max_length=10)]
Batch = Annotated[str, Meta(min_length=1, max_length=128)]


class ChangeLifecycleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to set; null takes a value away. ``activation_date`` is a date, UTC."""

    activation_date: Day | UnsetType | None = UNSET
    warranty_expires_at: datetime | UnsetType | None = UNSET
    manufacturing_batch: Batch | UnsetType | None = UNSET
    decommissioned_at: datetime | UnsetType | None = UNSET


class DeviceLifecycleResponse(LifecycleItem, frozen=True, kw_only=True):
    """A device's life."""

    device_id: str


async def get_device_lifecycle(
    lifecycles: LifecycleAdministration, call: Call[Nothing, Nothing]
) -> DeviceLifecycleResponse:
    """Return what is known of a device's life."""
    view = await lifecycles.get_lifecycle(call.path["device_id"], call.now_ms)
    return _response(view, call.now_ms)


async def change_device_lifecycle(
    lifecycles: LifecycleAdministration, call: Call[ChangeLifecycleRequest, Nothing]
) -> DeviceLifecycleResponse:
    """Set what is known of a device's life."""
    body, principal = call.body, call.principal
    by = Actor(principal.principal_id, call.request_id or None, principal.scopes)
    changes: dict[str, Any] = {
        "activated_ms": _day(body.activation_date),
        "warranty_expires_ms": _moment(body.warranty_expires_at),
        "manufacturing_batch": body.manufacturing_batch,
        "decommissioned_ms": _moment(body.decommissioned_at),
    }
    given = {name: value for name, value in changes.items() if value is not UNSET}
    view = await lifecycles.change_lifecycle(call.path["device_id"], given, by, call.now_ms)
    return _response(view, call.now_ms)


def _response(view: LifecycleView, now_ms: int) -> DeviceLifecycleResponse:
    fields = msgspec.structs.asdict(lifecycle_item(view.device, view.metadata, now_ms))
    return DeviceLifecycleResponse(**fields, device_id=view.device.device.device_id)


def _day(text: str | UnsetType | None) -> int | UnsetType | None:
    if not isinstance(text, str):
        return text
    try:
        day = date.fromisoformat(text)
    except ValueError:
        message = "Parameter 'activation_date' is no date such as 2026-03-01"
        raise InvalidParameter(message, "activation_date", text) from None
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _moment(moment: datetime | UnsetType | None) -> int | UnsetType | None:
    return to_ms(moment) if isinstance(moment, datetime) else moment

"""What is known of a device beyond its operation, as it goes out where ``include`` asks for it."""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tellus.fleet.model_metadata import ActivationStatus, LinkKind, Metadata
from tellus.fleet.queries import DeviceView, activation_of, usage_days_of
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.units import to_text

METADATA: Final = frozenset({"product", "connectivity", "lifecycle"})
"""What may be asked for beside a device, or beside each of a list."""

_DATE_CHARACTERS: Final = 10


class ProductItem(msgspec.Struct, frozen=True, kw_only=True):
    """What the model catalogue knows of the device's model; rated power in kW."""

    brand: str
    product_name: str
    rated_power_kw: float | UnsetType = UNSET
    current_type: Literal["AC", "DC"] | UnsetType = UNSET
    phases: int | UnsetType = UNSET
    connector_types: list[str] | UnsetType = UNSET
    ip_rating: str | UnsetType = UNSET
    screen_resolution: str | UnsetType = UNSET
    screen_size_inches: float | UnsetType = UNSET


class ConnectivityItem(msgspec.Struct, frozen=True, kw_only=True):
    """How the charger says it is connected; the signal as it was when it last moved by 5 dB."""

    type: LinkKind | UnsetType = UNSET
    signal_strength_dbm: int | UnsetType = UNSET
    mac_address: str | UnsetType = UNSET
    imei: str | UnsetType = UNSET
    last_heartbeat_at: str | UnsetType = UNSET


class LifecycleItem(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the device is in use, since when (a date, UTC), and for how many whole days.

    ``suspended`` is whose registration is not finished, and whose site is inactive.
    """

    activation_status: ActivationStatus
    activation_date: str | UnsetType = UNSET
    usage_duration_days: int | UnsetType = UNSET
    warranty_expires_at: str | UnsetType = UNSET
    manufacturing_batch: str | UnsetType = UNSET
    decommissioned_at: str | UnsetType = UNSET


def read_includes(text: str | UnsetType, known: frozenset[str]) -> frozenset[str]:
    """Return the words of a parameter ``include``, separated by commas.

    Raises:
        InvalidParameter: one of them is not ``known``.
    """
    if text is UNSET or not text:
        return frozenset()
    names = frozenset(name.strip() for name in text.split(","))
    unknown = names - known
    if unknown:
        message = f"Parameter 'include' knows {', '.join(sorted(known))}"
        raise InvalidParameter(message, "include", min(unknown))
    return names


def metadata_fields(
    view: DeviceView, metadata: Metadata, includes: frozenset[str], now_ms: int
) -> dict[str, Any]:
    """Return what was asked for beside a device, by its name."""
    fields: dict[str, Any] = {}
    if "product" in includes:
        fields["product"] = product_item(view)
    if "connectivity" in includes:
        fields["connectivity"] = connectivity_item(view, metadata)
    if "lifecycle" in includes:
        fields["lifecycle"] = lifecycle_item(view, metadata, now_ms)
    return fields


def product_item(view: DeviceView) -> ProductItem:
    """Return a device's product as it goes out; of an unknown model what the charger says."""
    model = view.model
    if model is None:
        return ProductItem(
            brand=view.device.manufacturer,
            product_name=view.device.model,
            rated_power_kw=_given(view.rated_power_kw),
        )
    return ProductItem(
        brand=model.brand,
        product_name=model.product_name,
        rated_power_kw=_given(view.rated_power_kw),
        current_type="AC" if model.current == "ac" else "DC",
        phases=model.phases,
        connector_types=list(model.connector_types),
        ip_rating=model.ip_rating or UNSET,
        screen_resolution=model.screen_resolution or UNSET,
        screen_size_inches=_given(model.screen_size_inches),
    )


def connectivity_item(view: DeviceView, metadata: Metadata) -> ConnectivityItem:
    """Return how a device is connected as it goes out."""
    link = metadata.link
    return ConnectivityItem(
        type=LinkKind(link.kind) if link.kind else UNSET,
        signal_strength_dbm=UNSET if link.signal_dbm is None else link.signal_dbm,
        mac_address=view.device.mac or UNSET,
        imei=link.imei or UNSET,
        last_heartbeat_at=_text(view.last_heartbeat_ms),
    )


def lifecycle_item(view: DeviceView, metadata: Metadata, now_ms: int) -> LifecycleItem:
    """Return a device's life as it goes out."""
    lifecycle = metadata.lifecycle
    days = usage_days_of(metadata, now_ms)
    activated = _text(lifecycle.activated_ms)
    return LifecycleItem(
        activation_status=activation_of(view, metadata, now_ms),
        activation_date=UNSET if activated is UNSET else activated[:_DATE_CHARACTERS],
        usage_duration_days=UNSET if days is None else days,
        warranty_expires_at=_text(lifecycle.warranty_expires_ms),
        manufacturing_batch=lifecycle.manufacturing_batch or UNSET,
        decommissioned_at=_text(lifecycle.decommissioned_ms),
    )


def _given(value: float | None) -> float | UnsetType:
    return UNSET if value is None else value


def _text(time_ms: int | None) -> str | UnsetType:
    return UNSET if time_ms is None else to_text(time_ms)

"""What a peer is told, and what its words mean: statuses, times, energy (rules L2, L3, L6)."""

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tellus.fleet.model import Reading
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.units import to_ms
from tellus.legacy.model import Description, Meter, Order, OrderKind, OrderState, PointStatus
from tellus.legacy.wire import LegacyMeterItem, WorkStatusRequest

_WORKING: Final = frozenset({"charging", "discharging", "preparing", "paused"})
_BROKEN: Final = frozenset({"fault", "unavailable"})
_ZONELESS: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?")
_WALL_FORM: Final = "%Y-%m-%d %H:%M:%S"
_AC_LARGEST_KW: Final = 43.0
_WH_PER_KWH: Final = 1000.0
_DIGITS: Final = 6

_CHARGING: Final = {
    OrderState.STARTING: "STARTING",
    OrderState.START_FAILED: "START_FAILED",
    OrderState.FLOWING: "CHARGING",
    OrderState.STOPPING: "WAIT_CP_STOP_CHARGING",
    OrderState.STOPPED: "WAIT_PULL_OUT_CONNECTOR",
    OrderState.COMPLETED: "COMPLETED",
}
_DISCHARGING: Final = _CHARGING | {
    OrderState.FLOWING: "DISCHARGING",
    OrderState.STOPPING: "WAIT_CP_STOP_DISCHARGING",
}


# ------------------------------------------------------------------- charge points


def status_of(reading: Reading | None, *, online: bool) -> PointStatus:
    """Return what a peer is told of a connector (rule L3).

    A vehicle that is being prepared, or whose session rests, keeps a connector from others. Of a
    connector that nobody has heard of all that is known is that its charger is there.
    """
    if not online:
        return PointStatus.FAULT
    if reading is None:
        return PointStatus.AVAILABLE
    if reading.state in _BROKEN:
        return PointStatus.FAULT
    in_use = reading.state in _WORKING or reading.detail_state in _WORKING
    return PointStatus.WORKING if in_use else PointStatus.AVAILABLE


def describe(
    current: str | None,
    rated_power_kw: float | None,
    place: tuple[float | None, float | None],
    connector_ids: tuple[int, ...],
    created_ms: int,
) -> Description | None:
    """Return a device as peers are told, None where it cannot be shared (rule L2).

    ``place`` is latitude and longitude. Where the model is not known, what is above the largest AC
    charger is DC. Power is a whole number of kW, at least 1.
    """
    lat, lng = place
    if lat is None or lng is None or not connector_ids:
        return None
    power_kw = 1.0 if rated_power_kw is None else rated_power_kw
    kind = current or ("dc" if power_kw > _AC_LARGEST_KW else "ac")
    whole_kw = max(1, round(power_kw))
    return Description(kind.upper(), whole_kw, lng, lat, tuple(sorted(connector_ids)), created_ms)


# ----------------------------------------------------------------------------- times


def read_time(text: str, zone: str, field: str) -> int:
    """Return the instant (ms since 1970 UTC) of a time as a peer writes it.

    Without an offset it is wall time in ``zone``: of a time that the clocks show twice the first is
    meant, one that they skip moves forward by what they skip.

    Raises:
        InvalidParameter: it is no time; names ``field``.
    """
    try:
        if _ZONELESS.fullmatch(text):
            wall = datetime.fromisoformat(text)
            return _first_instant(wall, ZoneInfo(zone))
        moment = msgspec.convert(text.replace(" ", "T", 1), datetime)
    except (ValueError, OverflowError, msgspec.ValidationError):
        message = f"Parameter '{field}' must be a time such as 2024-01-08 15:30:00"
        raise InvalidParameter(message, field, text) from None
    if moment.tzinfo is None:
        return _first_instant(moment, ZoneInfo(zone))
    return to_ms(moment)


def write_time(time_ms: int, zone: str) -> str:
    """Return an instant as wall time in ``zone``, without an offset, in whole seconds."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return moment.astimezone(ZoneInfo(zone)).strftime(_WALL_FORM)


def _first_instant(wall: datetime, zone: ZoneInfo) -> int:
    return to_ms(wall.replace(tzinfo=zone, fold=0).astimezone(UTC))


# ---------------------------------------------------------------------------- orders


def word_of(kind: OrderKind, state: OrderState) -> str:
    """Return the published word of a state, as the start of that kind answers it."""
    return (_CHARGING if kind is OrderKind.CHARGE else _DISCHARGING)[state]


def pushed_word_of(order: Order, *, sends_discharging: bool) -> str:
    """Return the word of an order's state in a push (rule L6).

    The published pushes have no words for discharging: the meter's sign says it, unless the peer is
    known to understand them.
    """
    kind = order.kind if sends_discharging else OrderKind.CHARGE
    return word_of(kind, order.state)


def meter_of(order: Order, reading: Reading | None, power_kw: float | None) -> Meter | None:
    """Return what is told of the energy of an order, None before any has flowed.

    ``reading`` is the newest of its connector, if it is one of this order; ``power_kw`` what was
    asked for, which stands for the power of a discharge until the charger has told its own.
    """
    if order.began_ms is None:
        return None
    flows = order.state in {OrderState.FLOWING, OrderState.STOPPING}
    energy_kwh = order.energy_kwh
    if energy_kwh is None:
        energy_kwh = 0.0 if reading is None else reading.energy_kwh
        if order.kind is OrderKind.DISCHARGE:
            energy_kwh = -abs(energy_kwh)
    soc_pct = None if reading is None else reading.soc_pct
    if not flows:
        return Meter(0.0, 0.0, 0.0, energy_kwh, soc_pct)
    told_kw = 0.0 if reading is None else reading.power_kw
    if order.kind is OrderKind.DISCHARGE:
        told_kw = -abs(told_kw or power_kw or 1.0)
    voltage_v, current_a = (0.0, 0.0) if reading is None else (reading.voltage_v, reading.current_a)
    return Meter(told_kw, voltage_v, current_a, energy_kwh, soc_pct)


def work_status_of(
    order: Order, meter: Meter | None, zone: str, *, sends_discharging: bool
) -> WorkStatusRequest:
    """Return an order as it is pushed to the peer that started it, in the peer's zone."""
    return WorkStatusRequest(
        order.order_id,
        order.vendor_order_id,
        order.device_id,
        order.connector_id,
        write_time(order.changed_ms, zone),
        pushed_word_of(order, sends_discharging=sends_discharging),  # type: ignore[arg-type]
        msgspec.UNSET if meter is None else to_meter_item(meter),
    )


def to_meter_item(meter: Meter) -> LegacyMeterItem:
    """Return a meter on the wire: ``WorkValue`` in Wh and ``Energy`` in kWh say the same."""
    return LegacyMeterItem(
        meter.power_kw,
        meter.voltage_v,
        meter.current_a,
        round(meter.energy_kwh * _WH_PER_KWH, _DIGITS),
        round(meter.energy_kwh, _DIGITS),
        msgspec.UNSET if meter.soc_pct is None else meter.soc_pct,
    )


def from_meter_item(item: LegacyMeterItem) -> Meter:
    """Return what a peer's meter says; ``WorkValue`` is the same energy in another unit."""
    soc_pct = None if item.soc is msgspec.UNSET else item.soc
    return Meter(item.power, item.voltage, item.current, item.energy, soc_pct)

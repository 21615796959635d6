"""The bodies of the legacy paths, with the names of the published contract, byte by byte."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from tellus.kernel.paging import PAGE_LAST, SIZE_LARGEST

Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Note = Annotated[str, Meta(max_length=255)]
ZonelessTime = Annotated[str, Meta(max_length=40)]
ConnectorNumber = Annotated[int, Meta(ge=1, le=65_535)]
EnergyLimitKwh = Annotated[int, Meta(ge=0, le=1_000_000)]
SocPct = Annotated[int, Meta(ge=0, le=100)]
Quantity = Annotated[float, Meta(ge=-1e12, le=1e12)]
ChargePointIds = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=50)]

ChargingStatus = Literal[
    "STARTING",
    "START_FAILED",
    "CHARGING",
    "WAIT_CP_STOP_CHARGING",
    "WAIT_PULL_OUT_CONNECTOR",
    "WAIT_PAY",
    "COMPLETED",
]
DischargingStatus = Literal[
    "STARTING",
    "START_FAILED",
    "DISCHARGING",
    "WAIT_CP_STOP_DISCHARGING",
    "WAIT_PULL_OUT_CONNECTOR",
    "WAIT_PAY",
    "COMPLETED",
]
WorkStatus = Literal[
    "STARTING",
    "START_FAILED",
    "CHARGING",
    "DISCHARGING",
    "WAIT_CP_STOP_CHARGING",
    "WAIT_CP_STOP_DISCHARGING",
    "WAIT_PULL_OUT_CONNECTOR",
    "WAIT_PAY",
    "COMPLETED",
]
Acknowledgement = Literal["Accept", "Reject"]


class LegacyConnectorItem(msgspec.Struct, frozen=True):
    """A connector; preparing, charging and discharging are Working, offline is Fault."""

    connector_id: Annotated[int, Meta(ge=0, le=65_535)] = field(name="ConnectorId")
    status: Literal["Available", "Working", "Fault"] = field(name="Status")


class LegacyChargePointItem(msgspec.Struct, frozen=True):
    """A charger: what it is, where it stands, and how its connectors are. ``Power`` is kW."""

    charge_box_id: Identifier = field(name="ChargeBoxId")
    create_time: Annotated[str, Meta(max_length=40)] = field(name="CreateTime")
    type: Literal["DC", "AC"] = field(name="Type")
    power: Annotated[int, Meta(ge=1, le=1_000_000)] = field(name="Power")
    longitude: Annotated[float, Meta(ge=-180, le=180)] = field(name="Longitude")
    latitude: Annotated[float, Meta(ge=-90, le=90)] = field(name="Latitude")
    connectors: Annotated[list[LegacyConnectorItem], Meta(min_length=1, max_length=255)] = field(
        name="Connectors"
    )


class StationInfoRequest(msgspec.Struct, frozen=True):
    """Which charge points: those whose static data changed since; empty asks for all."""

    last_query_time: ZonelessTime = field(name="LastQueryTime", default="")
    page_no: Annotated[int, Meta(ge=1, le=PAGE_LAST)] = field(name="PageNo", default=1)
    page_size: Annotated[int, Meta(ge=1, le=SIZE_LARGEST)] = field(name="PageSize", default=10)


class StationInfoResponse(msgspec.Struct, frozen=True):
    """A page of charge points: ``PageCount`` pages hold ``ItemSize`` of them."""

    page_no: int = field(name="PageNo")
    page_count: int = field(name="PageCount")
    item_size: int = field(name="ItemSize")
    charge_points: list[LegacyChargePointItem] = field(name="ChargePoints")


class LegacyStartRequest(msgspec.Struct, frozen=True):
    """A start: ``OrderId`` is the caller's own and starts nothing twice."""

    order_id: Identifier = field(name="OrderId")
    charge_point_id: Identifier = field(name="ChargePointId")
    connector_id: ConnectorNumber = field(name="ConnectorId")
    note: Note | UnsetType = field(name="Note", default=UNSET)


class LegacyDischargeRequest(msgspec.Struct, frozen=True):
    """A discharge, down to ``LimitMinSOC`` percent or until ``LimitMaxEnergy`` kWh are out."""

    order_id: Identifier = field(name="OrderId")
    charge_point_id: Identifier = field(name="ChargePointId")
    connector_id: ConnectorNumber = field(name="ConnectorId")
    limit_min_soc: SocPct | UnsetType = field(name="LimitMinSOC", default=UNSET)
    limit_max_energy: EnergyLimitKwh | UnsetType = field(name="LimitMaxEnergy", default=UNSET)
    note: Note | UnsetType = field(name="Note", default=UNSET)


class LegacyStopRequest(msgspec.Struct, frozen=True):
    """Where to stop what the caller started."""

    charge_point_id: Identifier = field(name="ChargePointId")
    connector_id: ConnectorNumber = field(name="ConnectorId")


class LegacyStartResponse(msgspec.Struct, frozen=True):
    """Whether it starts, and our identifier of the order."""

    status: ChargingStatus = field(name="Status")
    device_vendor_order_id: str = field(name="DeviceVendorOrderId")


class LegacyDischargeResponse(msgspec.Struct, frozen=True):
    """Whether it starts, and our identifier of the order."""

    status: DischargingStatus = field(name="Status")
    device_vendor_order_id: str = field(name="DeviceVendorOrderId")


class LegacyAcceptResponse(msgspec.Struct, frozen=True):
    """Whether it was taken."""

    status: Acknowledgement = field(name="Status")


class LegacyMeterItem(msgspec.Struct, frozen=True):
    """What flows and has flowed: kW, V, A, ``WorkValue`` Wh, ``Energy`` kWh, percent."""

    power: Quantity = field(name="Power")
    voltage: Quantity = field(name="Voltage")
    current: Quantity = field(name="Current")
    work_value: Quantity = field(name="WorkValue")
    energy: Quantity = field(name="Energy")
    soc: SocPct | UnsetType = field(name="Soc", default=UNSET)


class WorkStatusRequest(msgspec.Struct, frozen=True):
    """How an order stands since ``ChangeTime``, in the zone agreed with the peer."""

    order_id: Identifier = field(name="OrderId")
    device_vendor_order_id: Identifier = field(name="DeviceVendorOrderId")
    charge_point_id: Identifier = field(name="ChargePointId")
    connector_id: ConnectorNumber = field(name="ConnectorId")
    change_time: Annotated[str, Meta(min_length=1, max_length=40)] = field(name="ChangeTime")
    status: WorkStatus = field(name="Status")
    meter: LegacyMeterItem | UnsetType = field(name="Meter", default=UNSET)

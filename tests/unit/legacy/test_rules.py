"""What peers are told and what their words mean: statuses, descriptions, times, energy."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tellus.fleet.model import Reading
from tellus.kernel.errors import InvalidParameter
from tellus.legacy import rules
from tellus.legacy.model import Description, Order, OrderKind, OrderState, PointStatus
from tests.contract.legacy_surface import CHARGING_STATUS, DISCHARGING_STATUS
from tests.unit.legacy.orders import order_of


def reading(state: str = "idle", detail_state: str | None = None, **figures: Any) -> Reading:
    """A sample of a connector."""
    shown = {"voltage_v": 400.0, "current_a": 100.0, "power_kw": 40.0, "energy_kwh": 3.5} | figures
    return Reading(state, detail_state=detail_state, **shown)


def instant(text: str) -> int:
    """Milliseconds since 1970 UTC of an RFC 3339 time."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("state", "detail_state", "status"),
    [
        ("idle", None, "Available"),
        ("idle", "finishing", "Available"),
        ("idle", "preparing", "Working"),
        ("idle", "paused", "Working"),
        ("charging", None, "Working"),
        ("discharging", None, "Working"),
        ("fault", None, "Fault"),
        ("unavailable", None, "Fault"),
    ],
)
def test_status_of__state_of_a_charger_that_is_online__is_as_published(
    state: str, detail_state: str | None, status: str
) -> None:
    """Every state a charger may send has one of the three words; an absent charger is at fault."""
    one = reading(state, detail_state)
    assert rules.status_of(one, online=True) == status
    assert rules.status_of(one, online=False) is PointStatus.FAULT


def test_status_of__connector_never_heard_of__follows_its_charger() -> None:
    """Where no sample has come yet, all that counts is whether the charger is there."""
    assert rules.status_of(None, online=True) is PointStatus.AVAILABLE
    assert rules.status_of(None, online=False) is PointStatus.FAULT


@pytest.mark.parametrize(
    ("rated_kw", "told_kw"), [(22.0, 22), (0.4, 1), (None, 1), (59.6, 60), (180.0, 180)]
)
def test_describe__rating__is_a_whole_number_of_at_least_one(
    rated_kw: float | None, told_kw: int
) -> None:
    """Power goes out as an integer of kW, never 0."""
    described = rules.describe("dc", rated_kw, (54.3, 10.1), (2, 1), 5)
    assert described == Description("DC", told_kw, 10.1, 54.3, (1, 2), 5)


@pytest.mark.parametrize(
    ("current", "rated_kw", "told"),
    [("ac", 22.0, "AC"), ("dc", 22.0, "DC"), (None, 22.0, "AC"), (None, 43.5, "DC")],
)
def test_describe__current__is_the_models_or_follows_from_the_power(
    current: str | None, rated_kw: float, told: str
) -> None:
    """Of an unknown model, what no AC charger reaches is DC."""
    described = rules.describe(current, rated_kw, (1.0, 2.0), (1,), 0)
    assert described is not None
    assert described.current == told


@pytest.mark.parametrize(
    ("place", "connectors"),
    [((None, None), (1,)), ((1.0, None), (1,)), ((None, 1.0), (1,)), ((1.0, 1.0), ())],
)
def test_describe__without_place_or_connectors__cannot_be_shared(
    place: tuple[float | None, float | None], connectors: tuple[int, ...]
) -> None:
    """What the contract requires of a charge point must be known."""
    assert rules.describe("ac", 22.0, place, connectors, 0) is None


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2024-01-08 15:30:00", "UTC", "2024-01-08T15:30:00Z"),
        ("2024-01-08 15:30:00", "Asia/Shanghai", "2024-01-08T07:30:00Z"),
        ("2024-07-08T15:30:00", "Europe/Berlin", "2024-07-08T13:30:00Z"),
        ("2024-07-08 15:30:00.250", "Europe/Berlin", "2024-07-08T13:30:00.250Z"),
        ("2024-07-08T15:30:00+05:30", "Europe/Berlin", "2024-07-08T10:00:00Z"),
        ("2024-07-08T15:30:00Z", "Europe/Berlin", "2024-07-08T15:30:00Z"),
        # Shown twice: the first. Skipped: later by what the clocks skip.
        ("2024-10-27 02:30:00", "Europe/Berlin", "2024-10-27T00:30:00Z"),
        ("2024-03-31 02:30:00", "Europe/Berlin", "2024-03-31T01:30:00Z"),
    ],
)
def test_read_time__with_and_without_offset__is_the_instant_meant(
    text: str, zone: str, utc: str
) -> None:
    """A time without an offset is wall time in the peer's zone."""
    assert rules.read_time(text, zone, "LastQueryTime") == instant(utc)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13-01 00:00:00", "0000-00-00 00:00:00", "2024-01-08", "1704"]
)
def test_read_time__no_time__is_refused_by_name(text: str) -> None:
    """What is no date and time at all is 1001 and names the field."""
    with pytest.raises(InvalidParameter) as refused:
        rules.read_time(text, "UTC", "LastQueryTime")
    assert refused.value.details["field"] == "LastQueryTime"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/St_Johns", "Asia/Kathmandu"])
def test_write_time__read_again__is_the_same_second(zone: str) -> None:
    """What we write in a zone is what we would read in it, in the form of the contract."""
    time_ms = instant("2026-07-01T12:34:56Z")
    text = rules.write_time(time_ms + 789, zone)
    assert datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert rules.read_time(text, zone, "ChangeTime") == time_ms


def test_word_of__every_state_of_both_kinds__is_published() -> None:
    """Starts answer, and pushes carry, nothing but words of the contract, unless agreed."""
    for kind, published in (
        (OrderKind.CHARGE, CHARGING_STATUS),
        (OrderKind.DISCHARGE, DISCHARGING_STATUS),
    ):
        words = {rules.word_of(kind, state) for state in OrderState}
        assert words <= set(published.choices)
        pushed = {
            rules.pushed_word_of(order_of(kind=kind, state=state), sends_discharging=False)
            for state in OrderState
        }
        assert pushed <= set(CHARGING_STATUS.choices)
    agreed = order_of(kind=OrderKind.DISCHARGE, state=OrderState.FLOWING)
    assert rules.pushed_word_of(agreed, sends_discharging=True) == "DISCHARGING"


def meter_on_the_wire(order: Order, sample: Reading | None) -> dict[str, Any]:
    """The meter of a push, as JSON has it."""
    meter = rules.meter_of(order, sample, 60.0)
    status = rules.work_status_of(order, meter, "Asia/Shanghai", sends_discharging=False)
    body: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(status))
    return body


def test_work_status_of__charging__has_the_meter_in_both_units() -> None:
    """Energy is kWh, WorkValue Wh; the time is the peer's; names are the contract's."""
    order = order_of(state=OrderState.FLOWING, began_ms=1_000, changed_ms=3_600_000)
    body = meter_on_the_wire(order, reading("charging", soc_pct=55))
    assert body == {
        "OrderId": "order-1",
        "DeviceVendorOrderId": "ord_1",
        "ChargePointId": "dvc_1",
        "ConnectorId": 1,
        "ChangeTime": "1970-01-01 09:00:00",
        "Status": "CHARGING",
        "Meter": {
            "Power": 40.0,
            "Voltage": 400.0,
            "Current": 100.0,
            "WorkValue": 3500.0,
            "Energy": 3.5,
            "Soc": 55,
        },
    }


def test_work_status_of__discharging__is_charging_with_negative_power() -> None:
    """The published pushes have no DISCHARGING: the sign of the power says it, always."""
    order = order_of(kind=OrderKind.DISCHARGE, state=OrderState.FLOWING, began_ms=1_000)
    told = meter_on_the_wire(order, reading("discharging", power_kw=-20.0, energy_kwh=1.25))
    assert (told["Status"], told["Meter"]["Power"]) == ("CHARGING", -20.0)
    assert (told["Meter"]["Energy"], told["Meter"]["WorkValue"]) == (-1.25, -1250.0)
    untold = meter_on_the_wire(order, None)
    assert (untold["Status"], untold["Meter"]["Power"]) == ("CHARGING", -60.0)


def test_work_status_of__completed__has_the_records_energy_and_no_flow() -> None:
    """At the end nothing flows, and the energy is the record's, whatever the samples said."""
    order = order_of(state=OrderState.COMPLETED, began_ms=1_000, energy_kwh=20.123)
    body = meter_on_the_wire(order, reading("charging", energy_kwh=19.9))
    assert body["Meter"]["Energy"] == 20.123
    assert body["Meter"]["WorkValue"] == 20123.0
    assert (body["Meter"]["Power"], body["Meter"]["Current"]) == (0.0, 0.0)


def test_work_status_of__never_began__has_no_meter() -> None:
    """A start that failed has no energy to tell of."""
    assert "Meter" not in meter_on_the_wire(order_of(state=OrderState.START_FAILED), None)

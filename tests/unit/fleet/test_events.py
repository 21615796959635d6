import asyncio
from typing import Any

import pytest

from tellus.fleet.events import make_event
from tellus.fleet.model import EventsStored, EventType
from tellus.fleet.rules import fault_key_of
from tellus.kernel.batch import BatchRequest
from tellus.kernel.call import ANYONE
from tellus.kernel.errors import ApiError, InvalidParameter, MissingParameter, NotFound

NOON = "2025-03-15T09:00:00Z"
FAULT = {"fault_code": 421, "fault_message": "no feedback", "details": {"window_ms": 200.5}}


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (411, "F-0411"),
        ("411", "F-0411"),
        ("0411", "F-0411"),
        ("F-0411", "F-0411"),
        ("F0411", "F-0411"),
        ("f-411", "F-0411"),
        (411.0, "F-0411"),
        (1001, "1001"),
        (-1, "-1"),
        (0, "0"),
        ("overcurrent", "overcurrent"),
        ("F-9999", "F-9999"),
        ("x" * 100, "x" * 64),
    ],
)
def test_fault_key_of__any_form__is_the_dictionary_s_or_as_it_came(code: Any, key: str) -> None:
    """The twelve codes of the dictionary have one form, whatever a charger calls them."""
    assert fault_key_of(code) == key


def test_report_event__fault__comes_back_as_sent_with_its_key(run_bench: Any) -> None:
    """Data is returned as sent, beside it the dictionary's form of the fault code."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.report(
            device,
            event_type="fault",
            connector_id=1,
            data=FAULT,
            timestamp="2025-03-15T10:00:00+02:00",
        )
        answer = await bench.operator_reads("list_device_events", device_id=device.device_id)
        assert answer == {
            "total": 1,
            "page": 1,
            "size": 20,
            "items": [
                {
                    "event_type": "fault",
                    "timestamp": "2025-03-15T08:00:00Z",
                    "received_at": "2025-03-15T09:30:00Z",
                    "origin": "device",
                    "connector_id": 1,
                    "fault_key": "F-0421",
                    "fault_href": "/v1/operator/faults/F-0421",
                    "data": FAULT,
                }
            ],
        }

    run_bench(test)


@pytest.mark.parametrize(
    ("vin_mode", "shown"),
    [
        ("full", "LVXFA394XJ1234567"),
        ("masked", "LVX**********4567"),
        ("none", "*" * 17),
    ],
)
def test_report_event__naming_a_vehicle__is_sealed_and_shown_as_the_client_may(
    run_bench: Any, vin_mode: str, shown: str
) -> None:
    """A VIN in an event's data is not in the store, and a repeat of the event is still known."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        data = {"fault_code": 702, "details": {"vehicle": "car LVXFA394XJ1234567"}}
        for _ in range(2):
            await bench.report(device, event_type="fault", connector_id=1, data=data)
        page = await bench.operator_reads(
            "list_device_events", device_id=device.device_id, vin_mode=vin_mode
        )
        assert [item["data"]["details"]["vehicle"] for item in page["items"]] == [f"car {shown}"]
        rows = await bench.rows("SELECT data, sealed_data FROM events")
        assert "LVXFA394XJ1234567" not in rows[0][0]
        assert b"LVXFA394XJ1234567" not in bytes(rows[0][1])

    run_bench(test)


def test_report_event__repeated__is_stored_and_told_once(run_bench: Any) -> None:
    """A repeat, with its data in another order, has no second row and tells nobody."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        turned = dict(reversed(FAULT.items()))
        for data in (FAULT, FAULT, turned):
            await bench.report(device, event_type="fault", connector_id=1, data=data)
        await asyncio.gather(
            *(bench.report(device, event_type="fault", connector_id=1, data=FAULT) for _ in "ab")
        )
        assert await bench.rows("SELECT COUNT(*) FROM events") == [(1,)]
        assert len(bench.stored_events()) == 1
        assert (bench.kind.stored, bench.kind.duplicates) == (1, 4)

    run_bench(test)


def test_report_event__same_instant_and_other_type_or_data_or_connector__all_kept(
    run_bench: Any,
) -> None:
    """The natural key is connector, time, type and content within the device."""

    async def test(bench: Any) -> None:
        device, other = await bench.device("SN1"), await bench.device("SN2")
        await bench.report(device, connector_id=1)
        await bench.report(device, connector_id=2)
        await bench.report(device, connector_id=1, event_type="plug_out")
        await bench.report(device, connector_id=1, data={"vehicle_connected": True})
        await bench.report(other, connector_id=1)
        assert await bench.rows("SELECT COUNT(*) FROM events") == [(5,)]

    run_bench(test)


@pytest.mark.parametrize("given", [{}, {"connector_id": 0}])
def test_report_event__without_connector__is_about_the_device(
    run_bench: Any, given: dict[str, int]
) -> None:
    """Connector 0 or none is taken in, and leaves ``connector_id`` out of the answer."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.report(device, **given)
        answer = await bench.operator_reads("list_device_events", device_id=device.device_id)
        assert "connector_id" not in answer["items"][0]
        assert sorted(device.connectors) == [1, 2]
        admitted = {} if given else {("TP-DC180", "event_without_connector_id"): 1}
        assert bench.events.admitted == admitted

    run_bench(test)


def test_report_event__unseen_connector__comes_into_being(run_bench: Any) -> None:
    """A connector exists from the first event that speaks of it, also after a restart."""

    async def test(bench: Any) -> None:
        device = await bench.device(model="Unheard-Of")
        assert device.connectors == {}
        await bench.report(device, connector_id=2)
        assert sorted(device.connectors) == [2]
        await bench.start()
        assert sorted(bench.directory.by_id(device.device_id).connectors) == [2]

    run_bench(test)


def test_report_event__clock_far_ahead__is_kept_and_flagged_and_not_newest(run_bench: Any) -> None:
    """A time more than 5 minutes ahead is stored with a flag and is not shown as the newest."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.report(device, connector_id=1, timestamp="2025-03-15T09:35:00Z")
        await bench.report(device, connector_id=1, timestamp="2025-03-15T09:35:00.001Z")
        page = await bench.operator_reads("list_device_events", device_id=device.device_id)
        assert [item.get("clock_suspect") for item in page["items"]] == [True, None]
        shown = await bench.operator_reads(
            "get_device", device_id=device.device_id, include="events"
        )
        assert [item["timestamp"] for item in shown["events"]] == ["2025-03-15T09:35:00Z"]

    run_bench(test)


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        ({"event_type": "explosion"}, InvalidParameter, "event_type"),
        ({"data": []}, InvalidParameter, "data"),
        ({"timestamp": "0000-00-00"}, InvalidParameter, "timestamp"),
        ({"connector_id": -1}, InvalidParameter, "connector_id"),
        ({"connector_id": 256}, InvalidParameter, "connector_id"),
        ({"connector_id": "1"}, InvalidParameter, "connector_id"),
        ({"data": {"fault_code": True}}, InvalidParameter, "data.fault_code"),
        ({"data": {"fault_code": 1.5}}, InvalidParameter, "data.fault_code"),
        ({"data": {"fault_code": [1]}}, InvalidParameter, "data.fault_code"),
    ],
)
def test_report_event__wrong_shape__is_refused_by_name(
    run_bench: Any, body: dict[str, Any], error: type[ApiError], field: str
) -> None:
    """A refusal names the field, and nothing is stored."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        with pytest.raises(error) as refusal:
            await bench.report(device, **body)
        assert refusal.value.details["field"] == field
        assert await bench.rows("SELECT COUNT(*) FROM events") == [(0,)]

    run_bench(test)


def test_report_event_batch__mixed__judges_each_item_alone(run_bench: Any) -> None:
    """Good items are stored, repeats are told, bad ones are rejected with their reason."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        good = {"timestamp": NOON, "event_type": "start", "connector_id": 1, "data": {}}
        await bench.report(device, **good)
        items = [
            good,
            good | {"event_type": "stop"},
            good | {"event_type": "stop"},
            good | {"connector_id": 2.0},
            {"event_type": "stop"},
            7,
            good | {"event_type": "nonsense"},
        ]
        answer = await bench.report_many(device, items)
        assert [item["outcome"] for item in answer] == [
            "duplicate",
            "stored",
            "duplicate",
            "stored",
            "rejected",
            "rejected",
            "rejected",
        ]
        assert [item["code"] for item in answer[4:]] == [1002, 1001, 1001]
        assert await bench.rows("SELECT COUNT(*) FROM events") == [(3,)]

    run_bench(test)


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00Z"),
        ("0099-05-05T00:00:00", "0099-05-05T00:00:00Z"),
        ("9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_report_event__time_at_the_edge_of_the_calendar__is_kept(
    run_bench: Any, timestamp: str, shown: str
) -> None:
    """No time that is a date is refused, and none makes an answer fail."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        await bench.report(device, timestamp=timestamp)
        page = await bench.operator_reads("list_device_events", device_id=device.device_id)
        assert page["items"][0]["timestamp"] == shown

    run_bench(test)


def test_report_event_batch__too_long__is_refused_whole(run_bench: Any) -> None:
    """A batch has up to 500 items."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        with pytest.raises(InvalidParameter):
            await bench.report_many(device, [{}] * 501)
        assert await bench.report_many(device, []) == []
        with pytest.raises(MissingParameter):
            bench.call(BatchRequest, {}, ANYONE)

    run_bench(test)


def test_list_device_events__filters__narrow_and_page_newest_first(run_bench: Any) -> None:
    """Type, fault code in any form and a half-open span of time narrow the list."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        for minute, (kind, code) in enumerate(
            [("fault", 421), ("alarm", "F-0421"), ("fault", 1001), ("plug_in", None)]
        ):
            data = {} if code is None else {"fault_code": code}
            when = f"2025-03-15T09:0{minute}:00Z"
            await bench.report(device, event_type=kind, data=data, timestamp=when)

        async def minutes(**query: str) -> list[int]:
            page = await bench.operator_reads(
                "list_device_events", device_id=device.device_id, **query
            )
            return [int(item["timestamp"][15:16]) for item in page["items"]]

        assert await minutes() == [3, 2, 1, 0]
        assert await minutes(event_type="fault") == [2, 0]
        assert await minutes(fault_code="F0421") == [1, 0]
        assert await minutes(fault_code="1001") == [2]
        span = {"start_time": "2025-03-15T09:01:00Z", "end_time": "2025-03-15T09:03:00Z"}
        assert await minutes(**span) == [2, 1]
        assert await minutes(size="1", page="2") == [2]
        assert await minutes(size="1", page="9") == []
        with pytest.raises(InvalidParameter):
            await minutes(start_time=span["end_time"], end_time=span["start_time"])

    run_bench(test)


def test_list_device_events__foreign_or_absent__look_alike(run_bench: Any) -> None:
    """Another operator's device and one that does not exist give the same refusal."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        answers = []
        for device_id, operator_id in ((device.device_id, "op_other"), ("dvc_none", "")):
            with pytest.raises(NotFound) as refusal:
                await bench.operator_reads("list_device_events", operator_id, device_id=device_id)
            answers.append((refusal.value.message, refusal.value.details))
        assert answers[0] == answers[1]

    run_bench(test)


def test_event_kind__reaction_in_the_transaction_fails__nothing_is_stored(run_bench: Any) -> None:
    """What is owed for an event is written with it or not at all."""

    async def test(bench: Any) -> None:
        device = await bench.device()

        def refuse(_: Any, fact: EventsStored) -> None:
            raise RuntimeError(fact.events[0].event_type)

        bench.kind.in_tx.append(refuse)
        with pytest.raises(RuntimeError, match="plug_in"):
            await bench.report(device)
        bench.kind.in_tx.clear()
        assert await bench.rows("SELECT COUNT(*) FROM events") == [(0,)]
        assert bench.stored_events() == []

    run_bench(test)


def test_make_event__equal_content__has_an_equal_digest() -> None:
    """The digest depends on type and content, not on the order of properties."""
    now_ms = 1_742_029_200_000
    digests = {
        make_event((1, 1), kind, now_ms, data, now_ms).digest
        for kind, data in (
            (EventType.FAULT, {"a": 1, "b": 2}),
            (EventType.FAULT, {"b": 2, "a": 1}),
            (EventType.ALARM, {"a": 1, "b": 2}),
            (EventType.FAULT, {"a": 1, "b": "2"}),
        )
    }
    assert len(digests) == 3

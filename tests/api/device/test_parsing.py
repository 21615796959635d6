"""What chargers' bodies may look like: one decoder, bounds, timestamps, unknown properties."""

import json
import re
from typing import Any

import pytest

from tests.api.tenancy import Charger, event, heartbeat, record, sample, without

MALFORMED = {
    "empty": b"",
    "no JSON": b"hello",
    "cut off": b'{"timestamp":',
    "trailing comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "bad UTF-8": b'{"event_type":"\xff\xfe"}',
    "overlong UTF-8": b'{"event_type":"\xc0\xaf"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "bare NUL": b'{"a":"\x00"}',
    "escaped NUL": b'{"event_type":"\\u0000"}',
    "NUL in a name": b'{"a\\u0000":1}',
    "leading zero": b'{"connector_id":01}',
    "null": b"null",
    "a number": b"5",
    "a list": b"[]",
    "lone quote": b'"',
}
PATHS = ("heartbeat", "telemetry", "events", "charging-records", "events/batch", "command-status")


@pytest.mark.parametrize("what", MALFORMED)
def test_body__malformed__is_1001_on_every_operation(charger: Charger, what: str) -> None:
    """What is no JSON object of text is 400, never a crash, whatever the operation."""
    alone = what in {"escaped NUL", "NUL in a name"}  # a batch judges the text of its items
    for path in PATHS:
        if alone and path == "events/batch":
            continue
        reply = charger.api.raw("POST", f"/v1/device/{path}", MALFORMED[what])
        assert (reply.status, reply.code) == (400, 1001)


@pytest.mark.parametrize(
    "spoil", ["{}", ",", "x", "}", "NaN", "Infinity", "-Infinity", "nan", "+1"]
)
def test_body__good_but_for_one_spot__is_1001(charger: Charger, spoil: str) -> None:
    """Anything after the value, and numbers that JSON does not know, spoil a body."""
    text = json.dumps(sample(power=4242))
    body = text.replace("4242", spoil) if spoil[-1].isalnum() and spoil != "x" else text + spoil
    reply = charger.api.raw("POST", "/v1/device/telemetry", body.encode(), expect=400, code=1001)
    assert reply.details == {"field": "body"}
    assert charger.samples() == []


def nested(depth: int) -> dict[str, Any]:
    """An event whose whole body is so many levels deep."""
    inner: Any = 1
    for _ in range(depth - 2):
        inner = [inner]
    return event(data={"x": inner})


def test_body__sixteen_levels_deep__is_the_most(charger: Charger) -> None:
    """Sixteen levels are taken and returned, seventeen and thousands are refused."""
    assert charger.events() == []
    charger.send("events", nested(16))
    assert str(charger.events()[0]["data"]).count("[") == 14
    for depth in (17, 100):
        reply = charger.send("events", nested(depth), expect=400, code=1001)
        assert reply.details["field"] == "body"
    deep = b'{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    charger.api.raw("POST", "/v1/device/events", deep, expect=400, code=1001)


def test_body__brackets_in_text__are_no_nesting(charger: Charger) -> None:
    """Only structure counts as depth, not what a text contains."""
    charger.send("events", event(data={"note": '[{"\\' * 50}))
    assert charger.events()[0]["data"]["note"] == '[{"\\' * 50


def test_text__with_backslash_before_u0000__is_no_nul(charger: Charger) -> None:
    """An escaped backslash followed by u0000 is six plain characters."""
    charger.send("events", event(data={"note": "\\u0000"}))
    assert charger.events()[0]["data"]["note"] == "\\u0000"
    reply = charger.send("events", event(data={"note": "\0"}), expect=400, code=1001)
    assert reply.details["field"] == "body"


@pytest.mark.parametrize("value", [55.0, 55])
def test_integer__integral_float__is_taken_and_returned_whole(
    charger: Charger, value: float
) -> None:
    """55.0 is an integer (JSON Schema 2020-12), and goes out as 55."""
    charger.send("telemetry", sample(soc=value, connector_id=1.0))
    assert charger.connector()["soc"] == 55
    assert b'"soc":55,' in charger.operator.get(
        f"/v1/operator/devices/{charger.device_id}", expect=200
    ).body  # fmt: skip


WRONG = {
    "telemetry": [
        ("soc", 55.5), ("soc", -1), ("soc", 101), ("soc", "55"), ("soc", True), ("soc", 2**70),
        ("connector_id", 0), ("connector_id", 256), ("connector_id", -1), ("connector_id", 1.5),
        ("connector_id", "1"), ("connector_id", None), ("connector_id", 1e300),
        ("state", "busy"), ("state", 1), ("state", ""), ("state", "Charging"),
        ("power", "1"), ("power", True), ("power", None), ("power", 1e9), ("power", 2**70),
        ("voltage", -1e9), ("current", []), ("energy_delivered", {}), ("temperature", 1e6),
        ("phase_details", []), ("phase_details", {"phase_a": {"voltage": 1}}),
        ("detail_state", "x" * 33), ("timestamp", 1735689600), ("timestamp", None),
    ],
    "heartbeat": [
        ("status", "busy"), ("status", None), ("fault_code", None), ("fault_code", 1.5),
        ("fault_code", True), ("fault_code", []), ("fault_code", "x" * 65), ("fault_code", 2**70),
    ],
    "events": [
        ("event_type", "explode"), ("data", []), ("data", None), ("data", "x"),
        ("connector_id", -1), ("connector_id", 256), ("data", {"fault_code": 1.5}),
        ("data", {"fault_code": [1]}), ("data", {"fault_code": True}),
    ],
    "charging-records": [
        ("record_id", ""), ("record_id", "x" * 129), ("record_id", "a\nb"), ("record_id", 5),
        ("energy", "20"), ("energy", 1e10), ("meter_start", None), ("cost", True),
        ("vehicle_info", []), ("vehicle_info", {"soc_start": 101}),
        ("vehicle_info", {"soc_end": 50.5}), ("vehicle_info", {"vin": 5}),
        ("connector_id", 0), ("end_time", "later"),
    ],
    "command-status": [
        ("status", "done"), ("command_id", ""), ("command_id", "x" * 65), ("details", []),
        ("message", 5), ("message", "x" * 2049),
    ],
    "firmware/status": [
        ("status", "installing"), ("progress", 101), ("progress", -1), ("progress", 50.5),
        ("firmware_version", ""), ("firmware_version", 3),
    ],
}  # fmt: skip

GOOD: dict[str, Any] = {
    "telemetry": sample(),
    "heartbeat": heartbeat(),
    "events": event(),
    "charging-records": record(),
    "command-status": {"command_id": "cmd_x", "status": "accepted", "timestamp": "2025-06-02"},
    "firmware/status": {"firmware_version": "3.2.0", "status": "downloading"},
}
GOOD["command-status"]["timestamp"] = "2025-06-02T09:00:00Z"


@pytest.mark.parametrize("path", WRONG)
def test_field__wrong_type_or_out_of_bounds__is_1001_and_named(charger: Charger, path: str) -> None:
    """Each field has one type and bounds; what does not fit is refused by its name."""
    for field, value in WRONG[path]:
        reply = charger.send(path, GOOD[path] | {field: value}, expect=400)
        named = reply.details["field"]
        assert named == field or named.startswith(f"{field}."), (field, value, reply)
        incomplete = value == {"phase_a": {"voltage": 1}}
        assert reply.code == (1002 if incomplete else 1001), (field, value, reply)


REQUIRED = {
    "telemetry": [
        "timestamp", "connector_id", "state", "voltage", "current", "power", "energy_delivered",
    ],
    "heartbeat": ["timestamp", "status", "fault_code"],
    "events": ["timestamp", "event_type", "data"],
    "charging-records": [
        "record_id", "connector_id", "start_time", "end_time", "energy", "max_power", "avg_power",
        "meter_start", "meter_end",
    ],
    "command-status": ["command_id", "status", "timestamp"],
    "firmware/status": ["firmware_version", "status"],
}  # fmt: skip


@pytest.mark.parametrize("path", REQUIRED)
def test_field__required_and_missing__is_1002_and_named(charger: Charger, path: str) -> None:
    """A field that must be there is asked for by its name."""
    for field in REQUIRED[path]:
        reply = charger.send(path, without(GOOD[path], field), expect=400, code=1002)
        assert reply.details == {"field": field}


def test_required__list_above__is_the_contract_s() -> None:
    """The fields asked for are those that the contract model requires, but for an event's place."""
    from tests.contract.model import OPERATIONS  # noqa: PLC0415

    for path, names in REQUIRED.items():
        operation = next(one for one in OPERATIONS if one.path == f"/v1/device/{path}")
        assert operation.request is not None
        required = {field.name for field in operation.request.fields if field.required}
        assert set(names) == required - ({"connector_id"} if path == "events" else set()), path


NUMBERS = [b"1e400", b"-1e400", b"1" * 400, b"0." + b"1" * 400, b"1e-400", b"-0", b"-0.0", b"1E5"]


@pytest.mark.parametrize("number", NUMBERS)
def test_number__of_any_spelling__is_judged_and_never_a_crash(
    charger: Charger, number: bytes
) -> None:
    """Numbers too large are refused, numbers too small or too exact are taken."""
    body = json.dumps(sample(power=4242)).encode().replace(b"4242", number)
    reply = charger.api.raw("POST", "/v1/device/telemetry", body)
    taken = abs(float(number)) <= 100_000
    assert (reply.status, reply.code) == ((200, 0) if taken else (400, 1001))
    batch = b'{"items":[' + body + b"]}"
    outcome = charger.api.raw("POST", "/v1/device/telemetry/batch", batch, expect=200)
    assert outcome.data["items"][0]["outcome"] == ("duplicate" if taken else "rejected")


TIMES = {
    "2025-06-02T09:00:00Z": "2025-06-02T09:00:00Z",
    "2025-06-02T09:00:00z": "2025-06-02T09:00:00Z",
    "2025-06-02t09:00:00Z": "2025-06-02T09:00:00Z",
    "2025-06-02 09:00:00Z": "2025-06-02T09:00:00Z",
    "2025-06-02T09:00:00": "2025-06-02T09:00:00Z",
    "2025-06-02T11:00:00+02:00": "2025-06-02T09:00:00Z",
    "2025-06-02T03:15:00-05:45": "2025-06-02T09:00:00Z",
    "2025-06-02T09:00:00.5Z": "2025-06-02T09:00:00.500Z",
    "2025-06-02T09:00:00.123456Z": "2025-06-02T09:00:00.123Z",
    "2025-06-02T09:00:00.123456789Z": "2025-06-02T09:00:00.123Z",
    "2025-06-02T09:00:00+00:00": "2025-06-02T09:00:00Z",
    "2025-06-02T00:30:00+14:00": "2025-06-01T10:30:00Z",
    "1970-01-01T00:00:00Z": "1970-01-01T00:00:00Z",
    "2000-02-29T23:59:59Z": "2000-02-29T23:59:59Z",
}


@pytest.mark.parametrize("text", TIMES)
def test_timestamp__any_offset_or_none__goes_out_as_utc(charger: Charger, text: str) -> None:
    """Every RFC 3339 spelling is taken; no zone is UTC; what goes out ends in Z."""
    charger.send("charging-records", record(start_time=text))
    (item,) = charger.records()
    assert item["start_time"] == TIMES[text]
    charger.send("events", event(timestamp=text))
    stamps = [one["timestamp"] for one in charger.events()]
    assert stamps == [TIMES[text]]


@pytest.mark.parametrize(
    "text",
    [
        "0000-00-00", "0000-00-00T00:00:00Z", "2025-13-01T00:00:00Z", "2025-02-29T00:00:00Z",
        "2025-06-02", "09:00:00Z", "2025-06-02T25:00:00Z", "2025-06-02T09:60:00Z", "yesterday", "",
        "2025-06-02T09:00:00+25:00", "20250602T090000Z", "1748854800", "2025-06-02T09:00:00 UTC",
        " 2025-06-02T09:00:00Z", "2025-06-02T09:00:00Z\u0660",
    ],
)  # fmt: skip
def test_timestamp__that_is_none__is_1001(charger: Charger, text: str) -> None:
    """What is no date and time at all is refused by its field, on every operation."""
    for path, field in (
        ("telemetry", "timestamp"),
        ("heartbeat", "timestamp"),
        ("events", "timestamp"),
        ("charging-records", "end_time"),
        ("command-status", "timestamp"),
    ):
        reply = charger.send(path, GOOD[path] | {field: text}, expect=400, code=1001)
        assert reply.details["field"] == field
    query = {"start_time": text}
    charger.operator.get("/v1/operator/charging-records", params=query, expect=400, code=1001)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_timestamp__at_the_ends_of_time__is_taken(charger: Charger, text: str) -> None:
    """A zone that leads out of the years 1 to 9999 is no reason to lose a record."""
    charger.send("charging-records", record(start_time=text, end_time=text))
    assert re.fullmatch(r"(9999|0001)-\S+Z", charger.records()[0]["start_time"])


def test_unknown_properties__where_stored_as_sent__come_back(charger: Charger) -> None:
    """An event's data and a record's extras are kept; elsewhere unknown properties do no harm."""
    data = {"fault_code": "F-0411", "depth": {"list": [1, 2.5, None, "ü", True]}, "": 0}
    charger.send("events", event(data=data, extra=1))
    assert charger.events()[0]["data"] == data
    extras = {"stop_reason": "ev_full", "currency": "EUR", "transaction_id": "t-1", "details": {}}
    charger.send("charging-records", record(**extras, vehicle_info={"soc_start": 5, "color": "x"}))
    item = charger.records()[0]
    assert {name: item[name] for name in extras} == extras
    assert item["vehicle_info"] == {"soc_start": 5, "color": "x"}
    charger.send("telemetry", sample(extra={"x": 1}, rssi=-70))
    charger.send("heartbeat", heartbeat(uptime=5))
    assert "rssi" not in charger.samples()[-1]


def test_extras__named_like_our_own_fields__do_not_replace_them(charger: Charger) -> None:
    """A charger cannot say for another which device, site or flags a record has."""
    forged = {"device_id": "dvc_x", "site_id": "site_x", "flags": ["fine"], "received_at": "never"}
    charger.send("charging-records", record(**forged))
    (item,) = charger.records()
    assert item["device_id"] == charger.device_id
    assert item["flags"] == []
    assert item["received_at"].endswith("Z")
    assert item["site_id"] == charger.seen()["site_id"]


def test_duplicate_names__in_a_body__the_last_one_counts(charger: Charger) -> None:
    """A name given twice is read in one way only."""
    text = json.dumps(sample(power=1.0))
    body = text[:-1] + ',"power":2.0}'
    charger.api.raw("POST", "/v1/device/telemetry", body.encode(), expect=200)
    assert charger.connector()["power"] == 2.0


@pytest.mark.parametrize("code", [0, 411, "411", "F-0411", "F0411", "0", "custom-7", 411.0])
def test_fault_code__integer_or_text__is_taken_and_returned_as_sent(
    charger: Charger, code: float | str
) -> None:
    """`fault_code` is the one field that may be either; the dictionary's form stands beside it."""
    charger.send("heartbeat", heartbeat(status="fault", fault_code=code))
    charger.send("events", event(event_type="fault", data={"fault_code": code}))
    found = charger.events()[0]
    assert found["data"]["fault_code"] == code
    known = str(code).rstrip(".0").endswith("411")
    assert found["fault_key"] == ("F-0411" if known else str(code))
    assert [one["fault_key"] for one in charger.events(fault_code="F-0411")] == (
        ["F-0411"] if known else []
    )

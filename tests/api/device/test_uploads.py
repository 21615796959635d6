"""Uploads: what is stored, what is a repeat, what is kept beside, and batches of all three."""

from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, event, moment, record, sample, without

UPLOADS = {"telemetry": sample, "events": event, "charging-records": record}


def listed(charger: Charger, path: str) -> list[dict[str, Any]]:
    """What is stored of one kind."""
    if path == "telemetry":
        return charger.samples()
    return charger.events() if path == "events" else charger.records()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *((path, make()) for path, make in UPLOADS.items()),
        ("firmware/status", {"firmware_version": "3.2.0", "status": "success", "progress": 100}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_upload__good__answers_null_in_the_envelope(
    charger: Charger, path: str, body: dict[str, Any]
) -> None:
    """The answer of an upload is a success whose data is null, byte for byte."""
    for _ in range(2):
        reply = charger.send(path, body)
        assert reply.body == b'{"code":0,"message":"success","data":null}'


@pytest.mark.parametrize("path", UPLOADS)
def test_upload__identical_repeat__is_200_and_stored_once(charger: Charger, path: str) -> None:
    """A charger that lost the answer sends again, and nothing doubles."""
    body = UPLOADS[path]()
    for _ in range(3):
        charger.send(path, body)
    reordered = dict(reversed(body.items()))
    charger.send(path, reordered)
    assert len(listed(charger, path)) == 1


@pytest.mark.parametrize("path", UPLOADS)
def test_upload__same_from_another_charger__is_another(tenant: Tenant, path: str) -> None:
    """Natural keys hold within a device: two chargers may say the same."""
    first, second = tenant.charger(), tenant.charger()
    body = UPLOADS[path]()
    first.send(path, body)
    second.send(path, body)
    assert len(listed(first, path)) == len(listed(second, path)) == 1


def test_telemetry__two_frames_of_one_instant__are_both_kept(charger: Charger) -> None:
    """Different content at one time is no repeat."""
    at = moment(1)
    charger.send("telemetry", sample(timestamp=at, power=10.0))
    charger.send("telemetry", sample(timestamp=at, power=11.0))
    charger.send("telemetry", sample(timestamp=at, power=10.0, connector_id=2))
    assert sorted(one["power"] for one in charger.samples()) == [10.0, 11.0]
    assert len(charger.samples(connector_id=2)) == 1


def test_telemetry__stored__comes_back_exactly_as_sent(charger: Charger) -> None:
    """Every field of a sample is kept with its unit and its precision."""
    phases = {
        "phase_a": {"voltage": 230.1, "current": 16.0},
        "phase_c": {"voltage": 229.9, "current": 15.5},
    }
    sent = sample(soc=55, temperature=-12.5, phase_details=phases, power=-12.345678)
    sent["state"] = "discharging"
    charger.send("telemetry", sent)
    (found,) = charger.samples()
    received = found.pop("received_at")
    assert received >= sent["timestamp"]
    assert found == sent


def test_telemetry__optional_fields_unknown__are_left_out(charger: Charger) -> None:
    """What was not sent is absent, never null."""
    charger.send("telemetry", sample(state="idle", power=0))
    assert not {"soc", "temperature", "phase_details", "detail_state"} & charger.samples()[0].keys()
    assert not {"soc", "temperature", "detail_state"} & charger.connector().keys()


def test_record__known_id_other_content__is_4001_and_the_first_stands(charger: Charger) -> None:
    """A contradiction is refused, kept beside the first, and the first is flagged."""
    first = record(energy=20.5)
    charger.send("charging-records", first)
    reply = charger.send("charging-records", first | {"energy": 21.0}, expect=409, code=4001)
    assert reply.details == {"field": "record_id"}
    charger.send("charging-records", first | {"cost": 1.0}, expect=409, code=4001)
    charger.send("charging-records", first)
    (kept,) = charger.records()
    assert kept["energy"] == 20.5
    assert kept["flags"] == ["repeated_differently"]


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, []),
        ({"energy": 20.55}, []),
        ({"energy": 21.0}, ["energy_mismatch"]),
        ({"energy": -5, "meter_start": 120.5, "meter_end": 115.5}, []),
        ({"start_time": moment(), "end_time": moment(-3600)}, ["clock_suspect"]),
        ({"end_time": "2025-06-02T08:00:00Z"}, ["negative_duration"]),
        ({"start_time": "1970-01-01T00:00:00Z"}, []),
        ({"start_time": "2099-01-01T00:00:00Z"}, ["clock_suspect", "negative_duration"]),
    ],
)
def test_record__implausible__is_stored_and_flagged(
    charger: Charger, changes: dict[str, Any], flags: list[str]
) -> None:
    """No record is refused for its clock or its energy; what looks wrong is said with it."""
    charger.send("charging-records", record(**changes))
    assert charger.records()[0]["flags"] == flags


@pytest.mark.parametrize("record_id", ["1", "a b", "é/ü?#", "x" * 128, "WTLZ5AB19RC700421", "null"])
def test_record_id__any_printable_text__is_taken_as_it_is(charger: Charger, record_id: str) -> None:
    """Record ids are the charger's own; refusing one would lose billing."""
    charger.send("charging-records", record(record_id=record_id))
    assert [one["record_id"] for one in charger.records()] == [record_id]


@pytest.mark.parametrize("place", [{}, {"connector_id": 0}])
def test_event__without_a_connector__is_about_the_device(
    charger: Charger, place: dict[str, int]
) -> None:
    """An event with connector 0 or none is taken, and returned without one."""
    charger.send("events", without(event(event_type="alarm"), "connector_id") | place)
    (found,) = charger.events()
    assert "connector_id" not in found
    assert found["event_type"] == "alarm"


@pytest.mark.parametrize(
    "kind", ["plug_in", "plug_out", "start", "stop", "fault", "alarm", "auth_ok", "auth_failed"]
)
def test_event__of_each_type__is_stored_and_found_by_it(charger: Charger, kind: str) -> None:
    """The six published types and two more are taken."""
    charger.send("events", event(event_type=kind))
    charger.send("events", event(event_type="plug_in" if kind != "plug_in" else "stop"))
    assert [one["event_type"] for one in charger.events(event_type=kind)] == [kind]


# -------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("path", UPLOADS)
def test_batch__good_bad_and_known__are_judged_one_by_one_in_order(
    charger: Charger, path: str
) -> None:
    """One answer with an outcome per item; a bad item is rejected alone."""
    first, second = UPLOADS[path](), UPLOADS[path](timestamp=moment(5))
    charger.send(path, first)
    wrong = first | {"connector_id": -1}
    field = next(name for name in first if name not in {"connector_id", "soc"})
    items = [second, first, wrong, without(first, field), second, "no object", None]
    found = charger.send(f"{path}/batch", {"items": items}).data["items"]
    outcomes = [one["outcome"] for one in found]
    assert outcomes == [
        "stored",
        "duplicate",
        "rejected",
        "rejected",
        "duplicate",
        *["rejected"] * 2,
    ]
    assert found[0] == {"outcome": "stored"}
    assert found[2]["code"] == 1001
    assert found[2]["details"]["field"] == "connector_id"
    assert found[3] == {
        "outcome": "rejected",
        "code": 1002,
        "message": found[3]["message"],
        "details": {"field": field},
    }
    assert len(listed(charger, path)) == 2


def test_batch__contradicting_record__is_rejected_with_4001(charger: Charger) -> None:
    """Inside a batch a contradiction is told by its code, and the rest is stored."""
    first, other = record(), record()
    items = [first, first | {"energy": 1.0}, other]
    found = charger.send("charging-records/batch", {"items": items}).data["items"]
    assert [one["outcome"] for one in found] == ["stored", "rejected", "stored"]
    assert found[1]["code"] == 4001
    assert {one["record_id"] for one in charger.records()} == {
        first["record_id"],
        other["record_id"],
    }


@pytest.mark.parametrize("path", UPLOADS)
def test_batch__five_hundred__is_the_most(charger: Charger, path: str) -> None:
    """A list of up to 500 items is a batch, also an empty one; one more is none."""
    items = [UPLOADS[path](timestamp=moment(1 + k)) for k in range(501)]
    found = charger.send(f"{path}/batch", {"items": items[:500]}).data["items"]
    assert [one["outcome"] for one in found] == ["stored"] * 500
    reply = charger.send(f"{path}/batch", {"items": items}, expect=400, code=1001)
    assert reply.details["field"] == "items"
    assert charger.send(f"{path}/batch", {"items": []}).data == {"items": []}
    charger.send(f"{path}/batch", {}, expect=400, code=1002)
    charger.send(f"{path}/batch", {"items": {}}, expect=400, code=1001)


@pytest.mark.parametrize("poison", ["\0", "deep"])
def test_batch__with_a_poisonous_item__stores_the_others(charger: Charger, poison: str) -> None:
    """NUL and deep nesting are judged per item, or one would keep a charger's buffer full."""
    inner: Any = poison
    for _ in range(15 if poison == "deep" else 0):
        inner = [inner]
    items = [event(), event(data={"x": inner}), event(connector_id=2)]
    found = charger.send("events/batch", {"items": items}).data["items"]
    assert [one["outcome"] for one in found] == ["stored", "rejected", "stored"]
    assert found[1]["code"] == 1001
    assert len(charger.events()) == 2

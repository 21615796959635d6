"""Files of records are read by device; what is derived from a record agrees with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tellus.cli.client import CommandFailed, ExitCode
from tellus.cli.recordfile import (
    BATCH_BYTES,
    cut_batches,
    derive_events,
    derive_samples,
    is_replayable,
    read_records,
    serial_of,
)
from tellus.kernel.ids import is_identifier

REAL_FILE = (
    Path(__file__).parents[4] / "shared" / "data" / "epfl_dc_sessions" / "charging_records.jsonl"
)


def make_record(**changes: Any) -> dict[str, Any]:
    """Return a session of 25 minutes and 10 kWh."""
    return {
        "record_id": "r1",
        "connector_id": 2,
        "start_time": "2025-03-15T09:00:00Z",
        "end_time": "2025-03-15T09:25:00Z",
        "energy": 10.0,
        "vehicle_info": {"soc_start": 20, "soc_end": 70},
    } | changes


def test_read_records__lines_of_two_devices__are_grouped_in_order(tmp_path: Path) -> None:
    """The key names the device and is not part of the record; without one the file's name is it."""
    path = tmp_path / "depot.jsonl"
    lines = [{"device_key": "a", "n": 1}, {"n": 2}, {"device_key": "a", "n": 3, "connector_id": 4}]
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    first, second = read_records(path)
    assert (first.key, first.records) == ("a", [{"n": 1}, {"n": 3, "connector_id": 4}])
    assert (second.key, second.records) == ("depot", [{"n": 2}])
    assert (first.connectors, second.connectors) == (4, 1)


@pytest.mark.parametrize("line", ["[1]", "{", "7"])
def test_read_records__line_that_is_no_record__is_named(tmp_path: Path, line: str) -> None:
    """A damaged file is a mistake of the call and says where."""
    path = tmp_path / "f.jsonl"
    path.write_text('{"a": 1}\n' + line)
    with pytest.raises(CommandFailed, match="line 2") as caught:
        read_records(path)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("key", ["epfl-l3", "Säule 7", "../../x", "", "x" * 200, "-_-"])
def test_serial_of__any_key__is_a_serial_number(key: str) -> None:
    """Every key has a serial number that the platform admits, the same each time."""
    assert is_identifier(serial_of(key))
    assert serial_of(key) == serial_of(key)


def test_serial_of__keys_that_look_alike__stay_apart() -> None:
    """What has to be rewritten is told apart by a checksum."""
    assert len({serial_of(key) for key in ("a b", "a/b", "a  b")}) == 3


def test_cut_batches__many_and_large_items__fit_the_limits() -> None:
    """No batch exceeds 500 items or the platform's bound on a body; nothing is lost."""
    items = [{"n": k, "text": "x" * (10 if k % 50 else 100_000)} for k in range(1_300)]
    batches = list(cut_batches(items))
    assert [item for part, _ in batches for item in part] == items
    for part, body in batches:
        assert json.loads(body) == {"items": part}
        assert len(part) <= 500
        assert len(body) <= BATCH_BYTES + 200_000


def test_derive_samples__session__ends_at_its_energy_with_uniform_power() -> None:
    """The counter reaches the record's energy, power times time is that energy, SoC goes along."""
    samples = derive_samples(make_record(), 300.0)
    charging, idle = samples[:-1], samples[-1]
    assert [sample["timestamp"][11:16] for sample in samples] == [
        "09:00", "09:05", "09:10", "09:15", "09:20", "09:25",
    ]  # fmt: skip
    assert {sample["power"] for sample in charging} == {24.0}
    assert sum(sample["power"] * 300 / 3600 for sample in charging) == pytest.approx(10.0)
    assert [sample["energy_delivered"] for sample in samples] == [0, 2, 4, 6, 8, 10]
    assert [sample["soc"] for sample in samples] == [20, 30, 40, 50, 60, 70]
    assert (idle["state"], idle["power"], idle["current"]) == ("idle", 0, 0)
    assert {sample["detail_state"] for sample in samples} == {"replayed"}


def test_derive_samples__discharge_and_empty_sessions__keep_their_sign_and_shape() -> None:
    """Negative energy is discharge with negative power; no length, no samples."""
    first = derive_samples(make_record(energy=-10.0, vehicle_info={}), 300.0)[0]
    assert (first["state"], first["power"]) == ("discharging", -24.0)
    assert "soc" not in first
    assert derive_samples(make_record(end_time="2025-03-15T09:00:00Z"), 300.0) == []


def test_derive_events__session__are_four_at_its_own_times() -> None:
    """Plugged in, started, stopped, plugged out, each marked as replayed."""
    events = derive_events(make_record())
    assert [event["event_type"] for event in events] == ["plug_in", "start", "stop", "plug_out"]
    assert {event["data"]["origin"] for event in events} == {"replay"}
    assert events[0]["timestamp"] == events[1]["timestamp"] == "2025-03-15T09:00:00Z"


@pytest.mark.parametrize(
    "change", [{"energy": "much"}, {"start_time": "soon"}, {"start_time": 7}, {"energy": None}]
)
def test_is_replayable__record_that_says_too_little__is_left_to_the_platform(
    change: dict[str, Any],
) -> None:
    """What nothing can be derived from is sent as it is, and judged there."""
    assert is_replayable(make_record())
    assert not is_replayable(make_record(**change))


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the shared data set is not at hand")
def test_read_records__real_sessions__are_all_read() -> None:
    """The measured sessions of one station with two plugs, with their whole energy."""
    (device,) = read_records(REAL_FILE)
    assert (len(device.records), device.connectors) == (1_878, 2)
    assert sum(record["energy"] for record in device.records) == pytest.approx(60_441.935575)
    for record in device.records:
        assert is_replayable(record)
        assert derive_samples(record, 300.0)[-1]["energy_delivered"] == record["energy"]

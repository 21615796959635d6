from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tellus.simulator.credentials import Credentials, CredentialStore
from tellus.simulator.messages import Kind, Message, batch_body, utc_text
from tellus.simulator.report import FleetReport, Ledger, Recorder
from tellus.simulator.roster import build_roster
from tellus.simulator.wire import Verdict, read_answer


def _report() -> FleetReport:
    return FleetReport(seed=1, chargers=1, connectors=1, scenario="quiet", time_scale=1.0)


def test_credentials__saved__come_back_from_a_private_file(tmp_path: Path) -> None:
    """A state file brings a fleet back under its ids, readable by its owner alone."""
    path = tmp_path / "fleet.json"
    store = CredentialStore(path)
    store.save()
    assert not path.exists()
    store.remember("SN-1", Credentials("dvc_1", "secret"))
    store.remember("SN-2", Credentials("dvc_2", "secret"))
    store.forget("SN-2")
    store.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = CredentialStore(path)
    assert again.find("SN-1") == Credentials("dvc_1", "secret")
    assert again.find("SN-2") is None


def test_ledger__acknowledged_messages__are_lines_of_what_was_sent(tmp_path: Path) -> None:
    """The ledger holds samples, events and records as sent, and no command statuses."""
    path = tmp_path / "ledger.jsonl"
    recorder = Recorder(_report(), Ledger(path))
    for kind in Kind:
        message = Message(kind, 5, 1, b'{"a":1}', ref="r", energy_kwh=2.0)
        recorder.acknowledged("SN-1", "dvc_1", message)
    recorder.ledger.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["kind"] for one in lines] == ["charging_record", "event", "telemetry"]
    assert all(one["body"] == {"a": 1} and one["device_id"] == "dvc_1" for one in lines)


def test_report__after_a_run__counts_by_device_and_says_whether_it_is_clean() -> None:
    """Acknowledgements are summed per device; a failure, loss or refusal makes a run unclean."""
    recorder = Recorder(_report(), Ledger(None))
    for number in range(2):
        message = Message(Kind.RECORD, 5, 1, b"{}", ref=f"r{number}", energy_kwh=1.5)
        recorder.acknowledged("SN-1", "dvc_1", message, is_duplicate=number == 1)
    document = json.loads(recorder.snapshot().to_json())
    assert document["clean"] is True
    assert document["energy_kwh"] == 3.0
    assert document["sessions"] == 2
    assert [one["record_id"] for one in document["records"]] == ["r0", "r1"]
    assert document["devices"][0]["records"] == 2
    assert document["kinds"]["charging_record"]["duplicates"] == 1
    for name in ("failed", "unsent", "dropped"):
        broken = Recorder(_report(), Ledger(None))
        setattr(broken.tally("event"), name, 1)
        assert broken.snapshot().is_clean is False


@pytest.mark.parametrize(
    ("status", "body", "retry_after", "verdict", "wait_s"),
    [
        (200, b'{"code":0,"message":"success","data":null}', None, Verdict.TAKEN, 0.0),
        (200, b'{"code":9001,"message":"no"}', None, Verdict.REFUSED, 0.0),
        (401, b'{"code":2002,"message":"expired"}', None, Verdict.UNAUTHORISED, 0.0),
        (429, b'{"code":5001,"details":{"retry_after_seconds":7}}', None, Verdict.SLOW_DOWN, 7.0),
        (429, b"", "3", Verdict.SLOW_DOWN, 3.0),
        (503, b"<html>", None, Verdict.TRY_LATER, 0.0),
        (400, b'{"code":1001,"message":"bad"}', None, Verdict.REFUSED, 0.0),
        (409, b'{"code":4001}', None, Verdict.REFUSED, 0.0),
        (404, b"\xff\xfe", None, Verdict.REFUSED, 0.0),
    ],
)
def test_answer__status_and_envelope__mean_what_the_guides_say(
    status: int, body: bytes, retry_after: str | None, verdict: Verdict, wait_s: float
) -> None:
    """Each status has one meaning for the sender, whatever the body is."""
    answer = read_answer(status, body, retry_after)
    assert answer.verdict is verdict
    assert answer.retry_after_s == wait_s


def test_answer__token__is_read_bare_or_in_the_envelope() -> None:
    """A token answer is understood as the bare OAuth object and as the superset."""
    bare = b'{"access_token":"t","token_type":"Bearer","expires_in":86400}'
    superset = b'{"access_token":"t","expires_in":86400,"code":0,"message":"success","data":{}}'
    for body in (bare, superset):
        answer = read_answer(200, body, None)
        assert (answer.verdict, answer.access_token, answer.expires_in) == (
            Verdict.TAKEN, "t", 86400,
        )  # fmt: skip


def test_roster__twenty_four_chargers__have_forty_one_connectors() -> None:
    """A fleet of 24 has 7 AC and 17 DC units, 41 connectors, V2G among them."""
    roster = build_roster(24, 42)
    assert sum(spec.connector_count for spec in roster) == 41
    assert sum(spec.model == "TP-AC22" for spec in roster) == 7
    assert any(spec.model.endswith("-V2G") for spec in roster)
    assert len({spec.sn for spec in roster}) == 24
    assert build_roster(24, 42) == roster
    assert {spec.sn for spec in build_roster(24, 43)}.isdisjoint(spec.sn for spec in roster)


def test_batch_body__several_messages__is_one_list() -> None:
    """A batch is the encoded bodies in one list, untouched."""
    messages = [Message(Kind.EVENT, 0, 1, b'{"a":1}'), Message(Kind.EVENT, 0, 1, b'{"a":2}')]
    assert json.loads(batch_body(messages)) == {"items": [{"a": 1}, {"a": 2}]}


def test_utc_text__milliseconds__are_iso_with_z() -> None:
    """Times go out as ISO 8601 UTC with milliseconds and Z."""
    assert utc_text(1_741_860_000_007) == "2025-03-13T10:00:00.007Z"

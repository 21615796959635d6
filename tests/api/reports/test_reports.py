"""Diagnostic reports: asked for, uploaded once, followed, downloaded."""

import hashlib
import os

import pytest

from tests.api.reports.uploading import UNKNOWN, ask, fetch, put
from tests.api.tenancy import Charger, Tenant

MIB = 1024 * 1024


def test_report__uploaded_by_its_charger__is_ready_and_downloads_byte_by_byte(
    charger: Charger,
) -> None:
    """What the charger sends is what the operator gets, with size, digest and a safe head."""
    asked = ask(charger, note="2 a.m.", start_time="2026-03-01T00:00:00Z")
    assert asked.seen()["status"] == "queued"
    content = os.urandom(3 * MIB + 17)
    taken = asked.upload(content)
    assert taken.status_code == 200, taken.text
    digest = hashlib.sha256(content).hexdigest()
    told = {"report_id": asked.report_id, "size": len(content), "sha256": digest}
    assert taken.json()["data"] == told
    seen = asked.seen()
    assert (seen["status"], seen["file_size"], seen["sha256"]) == ("ready", len(content), digest)
    assert (seen["note"], seen["start_time"]) == ("2 a.m.", "2026-03-01T00:00:00Z")
    assert seen["expires_at"] > seen["uploaded_at"] >= seen["created_at"]
    got = asked.download()
    assert got.content == content
    assert got.headers["content-length"] == str(len(content))
    assert got.headers["content-type"] == "application/zip"
    assert got.headers["content-disposition"].startswith('attachment; filename="diagnostics-')
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-store"


def test_upload_address__handed_to_the_charger__is_seen_by_nobody_else(
    tenant: Tenant, charger: Charger
) -> None:
    """Operators see the command without its address; the audit log knows of neither."""
    asked = ask(charger)
    secret = asked.upload_url.rpartition("/")[2]
    target = f"/v1/operator/commands/{asked.command_id}"
    shown = charger.operator.get(target, expect=200)
    assert shown.data["params"]["report_id"] == asked.report_id
    assert secret not in shown.body.decode()
    audited = tenant.api.get("/v1/operator/audit-logs?size=100", expect=200)
    assert asked.report_id in audited.body.decode()
    assert secret not in audited.body.decode()
    assert secret not in "".join(tenant.server.stderr)


def test_upload__same_bytes_again__is_answered_like_the_first(charger: Charger) -> None:
    """A lost answer is healed by repeating; other bytes find nothing."""
    asked = ask(charger)
    first = asked.upload(b"the bundle")
    again = asked.upload(b"the bundle")
    assert (again.status_code, again.json()["data"]) == (200, first.json()["data"])
    assert asked.upload(b"the bungle").status_code == 404
    assert asked.upload(b"another bundle").status_code == 404
    assert asked.download().content == b"the bundle"


def test_upload__unknown_used_or_over__looks_alike(charger: Charger) -> None:
    """Nobody learns from an answer whether an address was ever good."""
    used, refused = ask(charger), ask(charger)
    used.upload(b"x")
    refused.say("rejected")
    unknown = put(charger.api.base_url + UNKNOWN, b"yy")
    for answer in (used.upload(b"yy"), refused.upload(b"yy")):
        assert (answer.status_code, answer.content) == (404, unknown.content)
        assert answer.headers.keys() == unknown.headers.keys()
    assert unknown.json()["code"] == 3001


@pytest.mark.parametrize("status", ["rejected", "failed"])
def test_report__command_that_failed__has_failed_with_its_reason(
    charger: Charger, status: str
) -> None:
    """The report follows the charger's own word."""
    asked = ask(charger)
    if status == "failed":
        asked.say("accepted")
    asked.say(status, message="disk unreadable")
    seen = asked.seen()
    assert seen["status"] == "failed"
    assert seen["reason"]
    assert asked.download().status_code == 404


def test_report__cancelled_command__has_failed(charger: Charger) -> None:
    """An operator who cancels the command gives up the report, and its address."""
    path = f"/v1/operator/devices/{charger.device_id}/diagnostics"
    made = charger.operator.post(path, expect=200).data
    charger.operator.delete(f"/v1/operator/commands/{made['command_id']}", expect=200)
    seen = charger.operator.get(f"/v1/operator/diagnostics/{made['report_id']}", expect=200).data
    assert (seen["status"], seen["reason"]) == ("failed", "cancelled")


def test_request__same_idempotency_key__asks_once(charger: Charger) -> None:
    """A repeated request answers with the first report; another body under the key is refused."""
    path = f"/v1/operator/devices/{charger.device_id}/diagnostics"
    headers = {"idempotency-key": f"key-{charger.sn}"}
    first = charger.operator.post(path, {"note": "a"}, headers=headers, expect=200).data
    again = charger.operator.post(path, {"note": "a"}, headers=headers, expect=200).data
    assert again["report_id"] == first["report_id"]
    charger.operator.post(path, {"note": "b"}, headers=headers, expect=409)
    assert fetch(charger)["params"]["report_id"] == first["report_id"]
    assert charger.operator.get(path, expect=200).data["total"] == 1


def test_list__several_reports__newest_first_and_paged(charger: Charger) -> None:
    """The list shows each report as it stands."""
    made = [ask(charger).report_id for _ in range(3)]
    path = f"/v1/operator/devices/{charger.device_id}/diagnostics"
    page = charger.operator.get(f"{path}?size=2", expect=200).data
    assert (page["total"], [one["report_id"] for one in page["items"]]) == (3, made[:0:-1])


def test_report__of_another_operator__is_not_there(server_tenants: tuple[Charger, Tenant]) -> None:
    """Foreign reports, files and devices look absent."""
    charger, stranger = server_tenants
    asked = ask(charger)
    asked.upload(b"private")
    for target in (
        f"diagnostics/{asked.report_id}",
        f"diagnostics/{asked.report_id}/download",
        f"devices/{charger.device_id}/diagnostics",
    ):
        stranger.api.get(f"/v1/operator/{target}", expect=404, code=3001)
    stranger.api.post(f"/v1/operator/devices/{charger.device_id}/diagnostics", expect=404)


def test_request__client_without_write__is_refused(tenant: Tenant, charger: Charger) -> None:
    """Asking a charger for its logs takes the scope to control it."""
    reader = tenant.api_with(scopes=["read"])
    reader.post(f"/v1/operator/devices/{charger.device_id}/diagnostics", expect=403)

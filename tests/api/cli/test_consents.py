"""Consents on the command line, against a served platform that requires none."""

import httpx

from tests.api.cli.console import Console, Served


def register(console: Console, served: Served, site_id: str) -> str:
    """A charger of a site; return its identifier."""
    sn = "CLI-CONSENT"
    words = ("devices", "provision", "--sn", sn, "--model", "TP-DC180", "--site", site_id)
    enrolment = console.json(*words)["enrolment_token"]
    body = {
        "sn": sn,
        "model": "TP-DC180",
        "manufacturer": "Maker",
        "firmware_version": "3.1.0",
    }
    answer = httpx.post(
        f"{served.access['base_url']}/v1/device/register",
        json=body,
        headers={"authorization": f"Bearer {enrolment}"},
    )
    device_id: str = answer.raise_for_status().json()["data"]["device_id"]
    return device_id


def test_consents__from_grant_to_revocation__are_kept_from_the_command_line(
    console: Console, served: Served, operator_id: str, site_id: str
) -> None:
    """Granted for a device and a site, listed with what covers it, revoked with a reason."""
    device_id = register(console, served, site_id)
    words = ("consents", "grant", "--granted-by", "Harbour Ltd", "--service", "diagnostics")
    made = console.json(
        *words, "--device", device_id, "--service", "v2g_dispatch", "--evidence", "Contract 17"
    )
    assert made["services"] == ["diagnostics", "v2g_dispatch"]
    for_site = console.json(*words, "--site", site_id, "--to", "2125-01-01T00:00:00Z")
    listed = console.json("consents", "list", "--device", device_id)["items"]
    assert [one["consent_id"] for one in listed] == [for_site["consent_id"], made["consent_id"]]
    gone = console.json("consents", "revoke", made["consent_id"], "--reason", "Sold")
    assert (gone["state"], gone["reason"]) == ("revoked", "Sold")
    assert console.run("consents", "revoke", made["consent_id"]).code == 6
    of_operator = console.json("consents", "list", "--operator", operator_id)["items"]
    assert [one["state"] for one in of_operator] == ["active", "revoked"]


def test_consents__used_wrongly__say_so(console: Console, site_id: str) -> None:
    """Nothing or two things to cover, an unknown service and an unknown device are told apart."""
    words = ("consents", "grant", "--granted-by", "Owner", "--service")
    assert console.run(*words, "diagnostics").code == 2
    assert console.run(*words, "diagnostics", "--site", site_id, "--device", "dvc_1").code == 2
    assert console.run(*words, "everything", "--site", site_id).code == 2
    assert console.run(*words, "diagnostics", "--device", "dvc_unknown").code == 3
    assert console.run("consents", "list", "--device", "dvc_unknown").code == 3

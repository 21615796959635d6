"""Every noun and verb that administers, against a served platform."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tellus.cli.client import Api, CommandFailed
from tests.api.cli.console import Console, Served

MODEL = "TP-DC180"


def call(served: Served, method: str, path: str, body: Any, token: str | None = None) -> Any:
    """Call the API as a program would."""

    async def ask() -> Any:
        async with Api(served.access["base_url"]) as api:
            return await api.call(method, path, body, token=token)

    return asyncio.run(ask())


def get_token(served: Served, client_id: str, secret: str) -> str:
    """Get an operator's token."""
    body = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
    }
    token: str = call(served, "POST", "/v1/operator/oauth/token", body)["access_token"]
    return token


def register(
    served: Served, sn: str, enrolment_token: str | None, model: str = MODEL
) -> dict[str, str]:
    """Register a charger and let it use its secret, so that it is active."""
    body = {
        "sn": sn,
        "model": model,
        "manufacturer": "Tellus Power",
        "firmware_version": "3.1.0",
    }
    made: dict[str, str] = call(served, "POST", "/v1/device/register", body, enrolment_token)
    proof = {
        "grant_type": "client_credentials",
        "device_id": made["device_id"],
        "device_secret": made["device_secret"],
    }
    call(served, "POST", "/v1/device/token", proof)
    return made


def ids(listed: Any, name: str) -> list[str]:
    """Return one property of all items."""
    assert listed["total"] == len(listed["items"])
    return [item[name] for item in listed["items"]]


def test_operators__created__are_listed(console: Console) -> None:
    """`operators create` prints the identifier under its fixed key, and the list has it."""
    made = console.json("operators", "create", "Blue Fleet")
    assert made["name"] == "Blue Fleet"
    assert made["operator_id"] in ids(console.json("operators", "list"), "operator_id")
    shown = console.run("operators", "list")
    assert shown.out.splitlines()[0].split()[:2] == ["OPERATOR", "ID"]
    assert made["operator_id"] in shown.out


def test_clients__life__from_creation_to_revocation(
    console: Console, served: Served, operator_id: str
) -> None:
    """A client works with its secret, keeps its settings, swaps its secret, and ends."""
    made = console.json(
        "clients", "create", "--operator", operator_id, "--scope", "read", "--scope", "write",
        "--name", "dispatch", "--limit", "queries=600", "--limit", "token=50",
        "--allow-network", "127.0.0.0/8", "--cors-origin", "https://example.org",
        "--vin-mode", "full",
    )  # fmt: skip
    client_id = made["client_id"]
    assert get_token(served, client_id, made["client_secret"])
    shown = console.json("clients", "show", client_id)
    assert shown["scopes"] == ["read", "write"]
    assert shown["limits"] == {"queries": 600, "token": 50}
    assert shown["allowed_networks"] == ["127.0.0.0/8"]
    assert shown["cors_origins"] == ["https://example.org"]
    assert shown["vin_mode"] == "full"
    assert "client_secret" not in shown

    changed = console.json(
        "clients", "update", client_id, "--scope", "read", "--clear", "limits", "--clear", "origins"
    )
    assert (changed["scopes"], changed["limits"], changed["cors_origins"]) == (["read"], {}, [])
    assert changed["name"] == "dispatch"

    fresh = console.json("clients", "rotate-secret", client_id, "--overlap", "60")
    for secret in (made["client_secret"], fresh["client_secret"]):
        assert get_token(served, client_id, secret)
    gone = console.json("clients", "revoke", client_id, "--secret", made["secret_id"])
    assert gone == {"client_id": client_id, "revoked": True, "secret_id": made["secret_id"]}
    with pytest.raises(CommandFailed):
        get_token(served, client_id, made["client_secret"])
    assert console.json("clients", "revoke", client_id) == {"client_id": client_id, "revoked": True}
    with pytest.raises(CommandFailed):
        get_token(served, client_id, fresh["client_secret"])
    listed = console.json("clients", "list", "--operator", operator_id)
    assert ids(listed, "client_id") == [client_id]


def test_clients__created_for_people__secret_on_stdout_advice_on_stderr(
    console: Console, operator_id: str
) -> None:
    """The secret is part of the result; that it is shown once is said beside it."""
    ended = console.run("clients", "create", "--operator", operator_id, "--scope", "read")
    assert "client_secret" in ended.out
    assert "once" in ended.err
    assert "once" not in ended.out


def test_sites__life__created_changed_and_listed(console: Console, operator_id: str) -> None:
    """A site has what it was given, changes what it is told, and forgets what is cleared."""
    made = console.json(
        "sites", "create", "--operator", operator_id, "--name", "Quay", "--lat", "45.74",
        "--lng", "4.81", "--timezone", "Europe/Paris", "--region", "eu", "--address", "Quai 1",
        "--power-capacity", "400",
    )  # fmt: skip
    site_id = made["site_id"]
    assert made["location"] == {"lat": 45.74, "lng": 4.81}
    assert (made["timezone"], made["region"], made["power_capacity"]) == ("Europe/Paris", "eu", 400)
    words = ("sites", "update", site_id, "--name", "Wharf", "--clear", "location")
    changed = console.json(*words, "--status", "inactive")
    assert (changed["name"], changed["status"], changed["address"]) == (
        "Wharf",
        "inactive",
        "Quai 1",
    )
    assert "location" not in changed
    assert console.json("sites", "show", site_id) == changed
    listed = console.json("sites", "list", "--operator", operator_id, "--status", "inactive")
    assert ids(listed, "site_id") == [site_id]
    assert "Wharf" in console.run("sites", "list").out


def test_devices__life__provisioned_registered_moved_reclaimed_deleted(
    console: Console, served: Served, operator_id: str, site_id: str
) -> None:
    """A serial number that is expected becomes a device, which moves, is re-claimed, and ends."""
    words = ("devices", "provision", "--model", MODEL, "--site", site_id)
    expected = console.json(*words, "--sn", "CLI-1", "--connectors", "2", "--rated-power", "150")
    assert expected["enrolment_token"]
    waiting = console.json("devices", "provisionings", "--site", site_id)
    assert ids(waiting, "sn") == ["CLI-1"]
    device_id = register(served, "CLI-1", expected["enrolment_token"])["device_id"]

    shown = console.json("devices", "show", device_id)
    assert (shown["sn"], shown["site_id"], shown["rated_power"]) == ("CLI-1", site_id, 150)
    listed = console.json("devices", "list", "--operator", operator_id, "--sn", "CLI-1")
    assert ids(listed, "device_id") == [device_id]
    assert console.json("devices", "list", "--site", site_id, "--model", "none")["total"] == 0
    assert "CLI-1" in console.run("devices", "list", "--site", site_id).out

    words = ("sites", "create", "--operator", operator_id, "--name", "South")
    other = console.json(*words)["site_id"]
    assert console.json("devices", "move", device_id, "--site", other)["site_id"] == other
    changed = console.json("devices", "update", device_id, "--rated-power", "90", "--v2g")
    assert (changed["rated_power"], changed["v2g"]) == (90, True)
    cleared = console.json("devices", "update", device_id, "--clear", "v2g")
    assert (cleared["rated_power"], cleared["v2g"]) == (90, False)

    again = console.json("devices", "reclaim", device_id, "--window", "600")
    assert register(served, "CLI-1", again["enrolment_token"])["device_id"] == device_id
    ended = console.json("devices", "delete", device_id, "--yes")
    assert ended == {"device_id": device_id, "deleted": True}
    assert console.run("devices", "show", device_id).code == 3


def test_devices__provisioning_withdrawn__is_expected_no_longer(
    console: Console, served: Served, site_id: str
) -> None:
    """A withdrawn serial number cannot register any more."""
    words = ("devices", "provision", "--sn", "CLI-2", "--model", MODEL, "--site", site_id)
    token = console.json(*words)["enrolment_token"]
    assert console.json("devices", "withdraw", "CLI-2") == {"sn": "CLI-2", "withdrawn": True}
    with pytest.raises(CommandFailed) as caught:
        register(served, "CLI-2", token)
    assert caught.value.is_conflict


def test_devices__deletion_not_confirmed__nothing_happens(
    console: Console, served: Served, site_id: str
) -> None:
    """Whoever does not say yes has deleted nothing."""
    words = ("devices", "provision", "--sn", "CLI-3", "--model", MODEL, "--site", site_id)
    device_id = register(served, "CLI-3", console.json(*words)["enrolment_token"])["device_id"]
    assert console.run("devices", "delete", device_id, stdin="n\n").code == 1
    assert console.json("devices", "show", device_id)["device_id"] == device_id


def test_service_accounts__life__limited_rotated_revoked(
    console: Console, served: Served, tmp_path: Path
) -> None:
    """An account does what its scopes say, and no more once its secret is replaced."""
    made = console.json("service-accounts", "create", "reader", "--scope", "site:read")
    account_id = made["service_account_id"]
    limited = Console(
        tmp_path,
        served.variables
        | {
            "TELLUS_ADMIN_ID": account_id,
            "TELLUS_ADMIN_SECRET": made["service_account_secret"],
        },
    )
    assert limited.json("sites", "list")["total"] >= 1
    assert limited.run("operators", "create", "No").code == 5
    listed = console.json("service-accounts", "list")
    assert account_id in ids(listed, "service_account_id")
    fresh = console.json("service-accounts", "rotate-secret", account_id)
    assert fresh["service_account_secret"] != made["service_account_secret"]
    assert limited.run("sites", "list").code == 4
    ended = console.json("service-accounts", "revoke", account_id)
    assert ended == {"service_account_id": account_id, "revoked": True}
    limited.variables["TELLUS_ADMIN_SECRET"] = fresh["service_account_secret"]
    assert limited.run("sites", "list").code == 4


def test_audit__after_a_change__tells_who_did_what(console: Console, served: Served) -> None:
    """The newest entries are printed first, filtered as asked, at most as many as asked."""
    made = console.json("operators", "create", "Audited")["operator_id"]
    words = ("audit", "list", "--resource-type", "operator")
    (entry,) = console.json(*words, "--resource", made)["items"]
    assert entry["actor"] == served.access["service_account_id"]
    assert entry["action"] == "operator.created"
    assert len(console.json("audit", "list", "--last", "3")["items"]) == 3
    assert "operator.created" in console.run(*words).out


def test_keys__rotated__new_one_signs(console: Console) -> None:
    """After a rotation the newest key signs."""
    made = console.json("keys", "rotate")
    newest = console.json("keys", "list")["items"][0]
    assert (newest["kid"], newest["signs"]) == (made["kid"], True)

"""Registration and the life of a charger's secret, as a charger sees them."""

import secrets
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat, without
from tests.contract.client import ContractClient, Reply
from tests.reliability.tenant_matrix import identity_of
from tests.server import RunningServer

GRANT = {"grant_type": "client_credentials"}


def said(sn: str = "", **changes: Any) -> dict[str, Any]:
    """What a charger says of itself."""
    return {
        "sn": sn or f"SN-{secrets.token_hex(8)}",
        "model": "TP-AC22",
        "manufacturer": "Maker",
        "firmware_version": "3.1.0",
    } | changes


def ask_token(contract: ContractClient, device_id: str, secret: str, **expected: int) -> Reply:
    """Ask for a charger's token."""
    body = {"device_id": device_id, "device_secret": secret} | GRANT
    return contract.post("/v1/device/token", body, **expected)


def test_register__open_mode__belongs_to_the_built_in_operator(
    server: RunningServer, contract: ContractClient
) -> None:
    """A charger that nobody expected lands at the built-in operator's default site."""
    made = contract.post("/v1/device/register", said(mac="00:11:22:33:44:55"), expect=200).data
    assert made["device_id"].startswith("dvc_")
    assert made["expires_in"] == 365 * 86_400
    device = server.admin("GET", f"/v1/admin/devices/{made['device_id']}")
    assert device["operator_id"] == server.built_in_operator_id
    assert device["registration"] == "pending"
    ask_token(contract, made["device_id"], made["device_secret"], expect=200)
    device = server.admin("GET", f"/v1/admin/devices/{made['device_id']}")
    assert device["registration"] == "active"
    assert (device["model"], device["mac"]) == ("TP-AC22", "00:11:22:33:44:55")


def test_register__again_while_pending__same_device_fresh_secret(contract: ContractClient) -> None:
    """A lost answer heals: the earlier secret is void, the newest one works."""
    body = said()
    first = contract.post("/v1/device/register", body, expect=200).data
    second = contract.post("/v1/device/register", body, expect=200).data
    assert first["device_id"] == second["device_id"]
    ask_token(contract, first["device_id"], first["device_secret"], expect=401, code=2001)
    ask_token(contract, first["device_id"], second["device_secret"], expect=200)


def test_register__once_active__is_4001_and_audited(
    server: RunningServer, contract: ContractClient
) -> None:
    """Whoever registers a serial number that is in use is refused, and the attempt is on record."""
    body = said()
    made = contract.post("/v1/device/register", body, expect=200).data
    ask_token(contract, made["device_id"], made["device_secret"], expect=200)
    contract.post("/v1/device/register", body, expect=409, code=4001)
    log = server.admin("GET", f"/v1/admin/audit-log?resource_id={made['device_id']}")
    refused = log["items"][0]
    assert refused["action"] == "device.registration_refused"
    assert refused["details"]["sn"] == body["sn"]


@pytest.mark.parametrize("way", ["bearer", "path"])
def test_register__with_enrolment_token__lands_on_its_site(tenant: Tenant, way: str) -> None:
    """A provisioned charger shows its token as bearer or in its base URL, for every path of it."""
    sn = f"SN-{secrets.token_hex(8)}"
    asked = {"sn": sn, "site_id": tenant.site_id}
    token = tenant.admin.post("/v1/admin/devices/provision", asked, expect=200).data[
        "enrolment_token"
    ]
    prefix = f"/e/{token}" if way == "path" else ""
    headers = {} if prefix else {"authorization": f"Bearer {token}"}
    made = tenant.contract.post(f"{prefix}/v1/device/register", said(sn), headers=headers).data
    asked = {"device_id": made["device_id"], "device_secret": made["device_secret"]} | GRANT
    bearer = tenant.contract.post(f"{prefix}/v1/device/token", asked, expect=200).json
    charger = tenant.contract.device(bearer["access_token"])
    beat = {"timestamp": "2025-06-02T09:00:00Z", "status": "online", "fault_code": 0}
    charger.post(f"{prefix}/v1/device/heartbeat", beat, expect=200)
    device = tenant.api.get(f"/v1/operator/devices/{made['device_id']}", expect=200).data
    assert device["site_id"] == tenant.site_id


def test_enrolment_prefix__before_other_surfaces__is_no_path(tenant: Tenant) -> None:
    """The prefix belongs to the charger's surface alone."""
    for path in ("/v1/operator/sites", "/v1/admin/operators", "/v1/device", ""):
        tenant.api.get(f"/e/enr_x{path}", expect=404, code=3001)


def test_register__wrong_proofs__are_one_answer(tenant: Tenant) -> None:
    """A wrong token and a serial number in use are refused in the same bytes."""
    sn = f"SN-{secrets.token_hex(8)}"
    tenant.admin.post("/v1/admin/devices/provision", {"sn": sn, "site_id": tenant.site_id})
    taken = tenant.charger()
    replies = [
        tenant.contract.post("/v1/device/register", said(serial), headers=headers)
        for serial, headers in (
            (sn, {"authorization": "Bearer enr_wrong"}),
            (taken.sn, {"authorization": "Bearer enr_wrong"}),
            (taken.sn, {}),
        )
    ]
    assert {(reply.status, reply.code) for reply in replies} == {(409, 4001)}
    assert len({str(identity_of(reply)) for reply in replies}) == 1


@pytest.mark.parametrize("field", ["sn", "model", "manufacturer", "firmware_version"])
def test_register__field_missing__is_1002(contract: ContractClient, field: str) -> None:
    """Each required field is asked for by its name."""
    reply = contract.post("/v1/device/register", without(said(), field), expect=400, code=1002)
    assert reply.details == {"field": field}


@pytest.mark.parametrize(
    "sn", ["", "-x", ".x", "a b", "a/b", "é", "a." * 33, "a\n", "../x", "a%00", "a\x7f"]
)
def test_register__serial_number_of_other_shape__is_1001(contract: ContractClient, sn: str) -> None:
    """Serial numbers are 1 to 64 letters, digits and . _ : - beginning with one of the former."""
    reply = contract.post("/v1/device/register", said() | {"sn": sn}, expect=400, code=1001)
    assert reply.details["field"] == "sn"
    assert reply.details.get("value", "") == sn[:64]


def test_register__serial_number_at_its_bounds__is_taken(contract: ContractClient) -> None:
    """One character is enough, sixty-four are not too many."""
    longest = (secrets.token_hex(8) + ":._-") * 4
    assert len(longest[:64]) == 64
    contract.post("/v1/device/register", said(longest[:64]), expect=200)


def test_rotate__new_secret__retires_the_old_one_only_when_used(
    tenant: Tenant, charger: Charger
) -> None:
    """The old secret works beside the new one, and for a day after the new one's first use."""
    first = charger.send("secret/rotate", None).data
    second = charger.send("secret/rotate", None).data
    assert first["device_id"] == second["device_id"] == charger.device_id
    assert second["expires_in"] == 365 * 86_400
    device_id = charger.device_id
    ask_token(tenant.contract, device_id, first["device_secret"], expect=401, code=2001)
    ask_token(tenant.contract, device_id, charger.device_secret, expect=200)
    ask_token(tenant.contract, device_id, second["device_secret"], expect=200)
    ask_token(tenant.contract, device_id, charger.device_secret, expect=200)
    charger.send("heartbeat", heartbeat())


def test_secrets__of_all_kinds__have_384_bits(tenant: Tenant, charger: Charger) -> None:
    """A generated secret is 48 random bytes: 64 characters after its prefix."""
    rotated = charger.send("secret/rotate", None).data["device_secret"]
    for secret in (charger.device_secret, rotated, tenant.client.client_secret):
        assert len(secret.partition("_")[2]) == 64
    assert len({charger.device_secret, rotated, tenant.client.client_secret}) == 3


def test_reclaim__window_opened__the_device_keeps_its_id(tenant: Tenant, charger: Charger) -> None:
    """A charger that lost its secret comes back as itself when an operator lets it."""
    path = f"/v1/admin/devices/{charger.device_id}/reclaim"
    token = tenant.admin.post(path, expect=200).data["enrolment_token"]
    tenant.contract.post("/v1/device/register", said(charger.sn), expect=409, code=4001)
    headers = {"authorization": f"Bearer {token}"}
    made = tenant.contract.post("/v1/device/register", said(charger.sn), headers=headers).data
    assert made["device_id"] == charger.device_id
    ask_token(tenant.contract, made["device_id"], made["device_secret"], expect=200)
    tenant.contract.post(
        "/v1/device/register", said(charger.sn), headers=headers, expect=409, code=4001
    )

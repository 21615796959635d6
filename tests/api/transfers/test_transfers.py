"""What leaves the region of the installation does so by a grant, or not at all."""

import time
from typing import Any

import httpx

from tests.api.tenancy import Charger, Tenant, record
from tests.server import Client

GRANTS = "/v1/admin/transfer-grants"
CSV = {"accept": "text/csv"}
RECORDS = "/v1/operator/charging-records"


def place(tenant: Tenant, destination_id: str, region: str, expect: int = 200) -> Any:
    """Say where a destination is."""
    path = f"/v1/admin/destination-regions/{destination_id}"
    return tenant.admin.request("PUT", path, json={"region": region}, expect=expect)


def grant(tenant: Tenant, expect: int = 200, **more: Any) -> Any:
    """Let an operator's files go overseas."""
    body = {
        "operator_id": tenant.operator_id,
        "to_region": "us",
        "kinds": ["exports"],
        "granted_by": "The board",
        "evidence": "Minutes of May",
    } | more
    return tenant.admin.post(GRANTS, body, expect=expect)


def status_of_file(tenant: Tenant, client: Client) -> int:
    """How a request for a file is answered; files are no concern of the contract."""
    headers = CSV | {"authorization": f"Bearer {client.token}"}
    return httpx.get(tenant.server.base_url + RECORDS, headers=headers).status_code


def test_export__to_another_region__needs_a_grant(tenant: Tenant, charger: Charger) -> None:
    """A client elsewhere gets no file without one, gets it with one, and not once it is over."""
    charger.send("charging-records", record())
    client = tenant.client_with()
    api = tenant.contract.operator(client.token)
    assert status_of_file(tenant, client) == 200
    place(tenant, client.client_id, "us")
    refused = api.request("GET", RECORDS, headers=CSV, expect=403)
    assert refused.code == 2003
    assert refused.details == {"reason": "region", "region": "eu", "to_region": "us"}
    api.get(RECORDS, expect=200)
    given = grant(tenant).data
    assert (given["state"], given["kinds"]) == ("active", ["exports"])
    assert status_of_file(tenant, client) == 200
    path = f"{GRANTS}/{given['grant_id']}"
    assert tenant.admin.post(f"{path}/revoke", {"reason": "No more"}, expect=200).data["state"] == (
        "revoked"
    )
    tenant.admin.post(f"{path}/revoke", expect=409)
    assert status_of_file(tenant, client) == 403
    listed = tenant.admin.get(GRANTS, params={"operator_id": tenant.operator_id}, expect=200)
    assert given["grant_id"] in [one["grant_id"] for one in listed.data["items"]]


def test_grant__of_another_kind_region_or_operator__covers_nothing(tenant: Tenant) -> None:
    """A grant covers what it names, and is not made for nothing."""
    client = tenant.client_with()
    place(tenant, client.client_id, "us")
    grant(tenant, kinds=["pushes", "webhooks"])
    grant(tenant, to_region="cn")
    grant(tenant, **{"from": "2099-01-01T00:00:00Z"})
    assert status_of_file(tenant, client) == 403
    grant(tenant, expect=400, to_region="eu")
    grant(tenant, expect=400, to="2020-01-01T00:00:00Z")
    grant(tenant, expect=404, operator_id="op_nothing")
    place(tenant, "cli_nothing", "us", expect=404)


def test_webhook__in_another_region__fails_with_region(tenant: Tenant) -> None:
    """A delivery that may not leave is not sent, and says why."""
    hook = {"url": "https://receiver.example/alerts"}
    made = tenant.api.post("/v1/operator/webhooks", hook, expect=200).data
    place(tenant, made["webhook_id"], "ap")
    path = f"/v1/operator/webhooks/{made['webhook_id']}"
    tenant.api.post(f"{path}/test", expect=200)
    until_s = time.monotonic() + 20
    outcome = None
    while outcome is None and time.monotonic() < until_s:
        (sent,) = tenant.api.get(f"{path}/deliveries", expect=200).data["items"]
        outcome = sent.get("last_outcome")
        time.sleep(0.1)
    assert outcome == "region"


def test_site_and_operator__of_another_region__are_refused_by_both_names(tenant: Tenant) -> None:
    """Whoever asks for another region is told which one it is, and which it would have to be."""
    for path, body in (
        ("/v1/admin/operators", {"name": "Elsewhere", "region": "us"}),
        (
            "/v1/admin/sites",
            {"operator_id": tenant.operator_id, "name": "Elsewhere", "region": "us"},
        ),
    ):
        refused = tenant.admin.post(path, body, expect=400)
        assert "eu" in refused.json["message"]
        assert "us" in refused.json["message"]

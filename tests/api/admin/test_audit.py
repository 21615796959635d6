"""Every action of an administrator is on record, by whom and what, and never with a secret."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tellus.identity.model import AdminScope
from tellus.kernel.call import Audience
from tellus.surfaces.routes import Route
from tellus.surfaces.tables import ROUTES
from tests.api.cli.console import wait_until
from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.reliability.tenant_callers import Caller
from tests.reliability.tenant_matrix import Cell, ask, slots_of
from tests.reliability.tenants import World, build_world
from tests.server import RunningServer

CHANGES = [route for route in ROUTES if route.audience is Audience.ADMIN and route.method != "GET"]


@pytest.fixture(scope="module")
def world(server: RunningServer) -> Iterator[World]:
    """Two tenants to be administered."""
    world = build_world(server, admins=False)
    with world.contract:
        yield world


def entries(admin: ContractClient, **query: Any) -> list[dict[str, Any]]:
    """The newest entries of the audit log."""
    items: list[dict[str, Any]] = admin.get("/v1/admin/audit-log", params=query, expect=200).data[
        "items"
    ]
    return items


@pytest.mark.parametrize("route", CHANGES, ids=lambda route: route.operation_id)
def test_audit__every_change__is_recorded_with_actor_and_request(
    world: World, route: Route
) -> None:
    """Each operation that changes something leaves an entry that names who and which request.

    An erasure leaves two: a device is deleted first, that of a vehicle has its certificate.
    """
    token = world.server._admin_token
    scopes = frozenset(scope.value for scope in AdminScope)
    caller = Caller("admin", f"Bearer {token}", Audience.ADMIN, scopes)
    slot = next(iter(slots_of(route)), "")
    reply = ask(world, Cell(route, caller, slot, "a1"))
    assert reply.status == 200
    mine = [
        one for one in entries(world.admin, size=20) if one.get("request_id") == reply.request_id
    ]
    assert len(mine) == (2 if route.operation_id in {"eraseDevice", "eraseVehicle"} else 1)
    for entry in mine:
        assert entry["actor"] == world.server.admin_file["service_account_id"]
        assert entry["at"].endswith("Z")


@pytest.mark.parametrize(
    "route", [one for one in CHANGES if slots_of(one)], ids=lambda route: route.operation_id
)
def test_audit__a_change_that_is_refused__leaves_no_trace_of_success(
    world: World, route: Route
) -> None:
    """What was not done is not on record as done."""
    token = world.server._admin_token
    caller = Caller("admin", f"Bearer {token}", Audience.ADMIN)
    reply = ask(world, Cell(route, caller, slots_of(route)[0], "absent"))
    assert reply.status == 404
    assert reply.request_id not in {one.get("request_id") for one in entries(world.admin, size=20)}


def test_audit__filters_and_pages__find_what_was_done_to_one_thing(tenant: Tenant) -> None:
    """Entries are found by resource and by actor, newest first."""
    client = tenant.client_with()
    path = f"/v1/admin/clients/{client.client_id}"
    tenant.admin.patch(path, {"name": "Renamed"}, expect=200)
    tenant.admin.post(f"{path}/secrets", expect=200)
    tenant.admin.delete(path, expect=200)
    found = entries(tenant.admin, resource_type="client", resource_id=client.client_id)
    assert [one["action"] for one in found] == [
        "client.revoked",
        "client.secret_rotated",
        "client.updated",
        "client.created",
    ]
    assert found[2]["details"]["changed"] == ["name"]
    assert {one["operator_id"] for one in found} == {tenant.operator_id}
    assert [one["entry_no"] for one in found] == sorted(
        (one["entry_no"] for one in found), reverse=True
    )
    second = entries(tenant.admin, resource_id=client.client_id, size=1, page=2)
    assert second == found[1:2]
    assert entries(tenant.admin, actor="sa_nobody") == []
    assert entries(tenant.admin, resource_type="operator", resource_id=client.client_id) == []


def test_audit__logins__both_outcomes_are_recorded(tenant: Tenant) -> None:
    """Administrators' logins are on record, and what was typed as an unknown id is not."""
    held = tenant.server.admin_file
    typed = "sa_" + secrets.token_hex(8)
    for name, secret in (
        (held["service_account_id"], "wrong"),
        (typed, held["service_account_secret"]),
    ):
        body = {"service_account_id": name, "service_account_secret": secret}
        asked = body | {"grant_type": "client_credentials"}
        tenant.contract.post("/v1/admin/oauth/token", asked, expect=401, code=2001)
    newest = entries(tenant.admin, size=2, resource_type="service_account")
    assert [(one["actor"], one["action"]) for one in newest] == [
        ("unknown", "service_account.token_refused"),
        (held["service_account_id"], "service_account.token_refused"),
    ]
    assert typed not in str(entries(tenant.admin, size=100))


def test_audit__whatever_was_done__holds_no_secret(tenant: Tenant) -> None:
    """No entry holds a secret or a token that this test has seen."""
    client = tenant.client_with()
    charger = tenant.charger()
    seen = (client.client_secret, client.token, charger.device_secret, charger.token)
    log = "".join(
        tenant.admin.get(f"/v1/admin/audit-log?size=100&page={page}", expect=200).body.decode()
        for page in (1, 2, 3)
    )
    assert [secret for secret in seen if secret in log] == []


def test_audit_logs__operator__sees_own_part_by_kind_of_action(
    tenant: Tenant, server: RunningServer, contract: ContractClient
) -> None:
    """An operator reads what was done with its own, by kind, and nothing of another's."""
    path = "/v1/operator/audit-logs"
    client = tenant.client_with()
    tenant.admin.delete(f"/v1/admin/clients/{client.client_id}", expect=200)
    asked = {"resource_id": client.client_id}
    items = tenant.api.get(path, params=asked, expect=200).data["items"]
    assert [(one["event"], one["action"]) for one in items] == [
        ("client.revoked", "delete"),
        ("client.created", "create"),
    ]
    created = tenant.api.get(path, params=asked | {"action": "create"}, expect=200).data
    assert [one["event"] for one in created["items"]] == ["client.created"]
    assert tenant.api.get(path, params=asked | {"action": "update"}, expect=200).data["total"] == 0
    since = {"since": "2999-01-01T00:00:00Z"}
    assert tenant.api.get(path, params=since, expect=200).data["total"] == 0
    assert tenant.api.get(path, params={"action": "look"}, expect=400).json["details"] == {
        "field": "action",
        "value": "look",
    }
    other = new_tenant(server, contract)
    assert other.api.get(path, params=asked, expect=200).data["total"] == 0


def test_audit__verification__goes_through_the_whole_chain(tenant: Tenant) -> None:
    """The check reads the chain part by part up to its end, and finds nothing wrong."""
    path = "/v1/admin/audit-log/verification"
    tenant.client_with()
    wait_until(lambda: tenant.admin.get(path, expect=200).data["checked"], "nothing is sealed")
    checked, after, is_last = 0, 0, False
    while not is_last:
        part = tenant.admin.get(path, params={"after": after, "limit": 50}, expect=200).data
        assert part["problems"] == []
        checked += part["checked"]
        after, is_last = part["checked_to"], part["is_last"]
    assert checked == after > 0

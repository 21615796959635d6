"""Consent × firmware × operation: every cell is as the rows say."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tellus.consent.model import Service
from tests.api.consent.agreements import CONSENTS, GATE, SERVICES
from tests.api.consent.consent_rows import ALWAYS, GUARDED, Cell, ask, judge
from tests.api.tenancy import heartbeat
from tests.contract.client import ContractClient
from tests.reliability.node_group import until
from tests.reliability.tenant_matrix import what_is_missing
from tests.reliability.tenant_runbooks import begin_run
from tests.reliability.tenants import World, build_world
from tests.server import Device, RunningServer

FIRMWARE = {"a1": GATE, "a2": "261001.0001", "b1": "260420.0106"}
"""What the device of each place runs: exactly what it takes, newer, older."""

ALL = frozenset(Service)
PART = frozenset({Service.DIAGNOSTICS, Service.FLEXIBILITY})
STATES: dict[str, frozenset[Service]] = {
    "none": frozenset(),
    "not yet": frozenset(),
    "active": ALL,
    "partly": PART,
    "expired": frozenset(),
    "revoked": frozenset(),
}
"""What a device with new firmware may be used for, by the state of its consent."""


@dataclass
class AgreedServer(RunningServer):
    """A server whose operators have agreed to everything, and whose chargers are new."""

    def create_operator(self, name: str = "Operator") -> str:
        operator_id = super().create_operator(name)
        body = {"operator_id": operator_id, "services": SERVICES, "granted_by": "Owner"}
        self.admin("POST", CONSENTS, body)
        return operator_id

    def register(
        self, sn: str = "", model: str = "TP-DC180", enrolment: str = "", **more: Any
    ) -> Device:
        return super().register(sn, model, enrolment, **({"firmware_version": GATE} | more))


@pytest.fixture(scope="module")
def world(strict_server: RunningServer) -> Iterator[World]:
    """Two tenants with all that can be owned, furnished under consent that is over by now."""
    server = AgreedServer(**vars(strict_server))
    made = build_world(server, admins=False)
    with made.contract:
        for name, place in made.places.items():
            charger, operator = made.contract.device(place.device.token), made.operator_of(place)
            place.run_id = begin_run(charger, operator, place.device.device_id)
            said = {"firmware_version": FIRMWARE[name], "status": "success"}
            charger.post("/v1/device/firmware/status", said, expect=200)
        for operator_id in {place.operator_id for place in made.places.values()}:
            _clear(made, operator_id)
        yield made


def _clear(world: World, operator_id: str) -> None:
    """Delete the chargers that belong to no place, and end the consent for all."""
    kept = {place.device.device_id for place in world.places.values()}
    asked = {"operator_id": operator_id, "size": 100}
    for item in world.admin.get("/v1/admin/devices", params=asked, expect=200).data["items"]:
        if item["device_id"] not in kept:
            world.admin.delete(f"/v1/admin/devices/{item['device_id']}", expect=200)
    for one in world.admin.get(CONSENTS, params=asked, expect=200).data["items"]:
        if one["state"] == "active":
            world.admin.post(f"{CONSENTS}/{one['consent_id']}/revoke", {}, expect=200)


def _agree(world: World, state: str) -> None:
    """Bring the consents for all places into a state; for old firmware that is refused."""
    given: dict[str, Any] = {"services": SERVICES, "granted_by": "Owner"}
    if state == "partly":
        given["services"] = sorted(PART)
    if state == "not yet":
        given["from"] = "2125-01-01T00:00:00Z"
    if state == "expired":
        given["to"] = _soon(0.5)
    for name, place in world.places.items():
        body = given | {"device_id": place.device.device_id}
        if FIRMWARE[name] < GATE:
            refused = world.admin.post(CONSENTS, body, expect=409)
            assert (refused.code, refused.details["needs_firmware"]) == (4001, GATE)
            continue
        made = world.admin.post(CONSENTS, body, expect=200).data
        if state == "revoked":
            world.admin.post(f"{CONSENTS}/{made['consent_id']}/revoke", {}, expect=200)
    if state == "expired":
        _await_end(world)


def _await_end(world: World) -> None:
    """Wait until the tokens that chargers had under consent are void."""
    devices = [world.places[name].device for name in ("a1", "a2")]
    chargers = [world.contract.device(world.server.device_token(one)) for one in devices]
    until(lambda: all(map(_is_void, chargers)), 5.0)


def _is_void(charger: ContractClient) -> bool:
    return charger.post("/v1/device/heartbeat", heartbeat()).status == 401


def _soon(within_s: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=within_s)).isoformat()


@pytest.mark.parametrize("state", STATES)
def test_matrix__consent_firmware_and_operation__is_as_the_rows_say(
    world: World, state: str
) -> None:
    """Refused with 403/2003 and the service, left out of lists, or let through, by the row."""
    if state != "none":
        _agree(world, state)
    for place in world.places.values():
        place.device.token = world.server.device_token(place.device)
    problems, seen = [], Counter[bool]()
    for route in GUARDED:
        if route.waits and state != "none":
            continue  # it always works, and takes its time
        if what_is_missing([route]):
            continue  # the matrix of tenants says so
        if route.scope == "customer_portal":
            continue  # it is about consent itself, and would change it
        if route.method == "DELETE" and route.service is None:
            continue  # it always works, and what others ask about would be gone
        for target, version in FIRMWARE.items():
            cell = Cell(route, target, frozenset() if version < GATE else STATES[state])
            wrong = judge(world, cell, ask(world, cell))
            seen[cell.is_on] += 1
            if wrong:
                problems.append(f"{route.operation_id} on {version}: {wrong}")
    _end_all(world)
    assert not problems, "\n".join(problems)
    assert seen[True] > len(ALWAYS)
    assert seen[False] > len(GUARDED) // 3


def _end_all(world: World) -> None:
    for place in world.places.values():
        asked = {"device_id": place.device.device_id, "size": 100}
        for one in world.admin.get(CONSENTS, params=asked, expect=200).data["items"]:
            if one["state"] in {"active", "not_yet"}:
                world.admin.post(f"{CONSENTS}/{one['consent_id']}/revoke", {}, expect=200)


def test_routes__of_chargers_and_operators__name_a_service_or_are_excepted() -> None:
    """A row that touches data of devices says what has to be agreed to; the others are listed."""
    unnamed = {route.operation_id for route in GUARDED if route.service is None}
    named = {route.operation_id for route in GUARDED} - unnamed
    assert unnamed - ALWAYS == set(), "name a service, or say in ALWAYS why there is none"
    assert not named & ALWAYS

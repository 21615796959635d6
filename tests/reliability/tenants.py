"""Two tenants with all that can be owned, and everybody who may try to get at it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.contract.client import ContractClient
from tests.reliability.tenant_agents import add_proposal
from tests.reliability.tenant_alerts import add_alert, add_webhook
from tests.reliability.tenant_callers import Caller, list_callers
from tests.reliability.tenant_config import CONFIG_MAKERS
from tests.reliability.tenant_consents import add_consent
from tests.reliability.tenant_controls import issue_control
from tests.reliability.tenant_firmware import NEWER, RUNNING, add_release, begin_rollout
from tests.reliability.tenant_peers import add_peer, add_push, share_site
from tests.reliability.tenant_portal import ask_change, portal_token
from tests.reliability.tenant_records import record_body
from tests.reliability.tenant_reports import add_report
from tests.reliability.tenant_runbooks import begin_run
from tests.reliability.tenant_transfers import grant_body
from tests.server import Client, Device, RunningServer

ABSENT = "absent"
TARGETS = ("a1", "a2", "b1", ABSENT)
"""Whose a resource is: of tenant a's first or second device, of tenant b's, or of nobody."""


_MODEL = "TP-DC180-V2G"


@dataclass
class Place:
    """One device of a tenant with what hangs on it."""

    operator_id: str
    site_id: str
    device: Device
    command_id: str = ""
    control_id: str = ""
    rollout_id: str = ""
    record_id: str = ""
    session_id: str = ""
    peer_id: str = ""
    push_id: str = ""
    run_id: str = ""
    alert_id: str = ""
    delivery_id: str = ""
    report_id: str = ""
    proposal_id: str = ""
    request_id: str = ""
    portal_token: str = ""
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def resource_id(self) -> str:
        """What is shared with the place's peer."""
        return self.site_id


@dataclass
class World:
    """A running platform with two tenants in it."""

    server: RunningServer
    contract: ContractClient
    admin: ContractClient
    places: dict[str, Place]
    clients: dict[str, Client]
    callers: list[Caller] = field(default_factory=list)

    def marks_of(self, tenant: str) -> list[str]:
        """What must not appear in any answer to somebody of the other tenant."""
        found = [client.client_id for name, client in self.clients.items() if name[0] == tenant]
        for name, place in self.places.items():
            if name[0] == tenant:
                found += [place.device.device_id, place.device.sn]
                found += [value for name in _OWNED if (value := getattr(place, name))]
                found += place.parts.values()
        return found

    def resource(self, kind: str, target: str, *, fresh: bool = False) -> str:
        """The id of what ``target`` owns; a ``fresh`` one may be spoilt by the request."""
        if target == ABSENT:
            return {"sn": "SN-"}.get(kind, kind.removesuffix("_id") + "_") + secrets.token_hex(10)
        if fresh and kind in PARTS:
            return PARTS[kind](self.operator_of(self.places[target]))
        if fresh or kind in _ADMINISTERED:
            make = self._makers.get(kind, partial(self._make, kind))
            return make(self.places[target])
        place = self.places[target]
        if kind == "device_id":
            return place.device.device_id
        return place.parts.get(kind) or str(getattr(place, kind))

    def resources(self, kinds: list[str], target: str, *, fresh: bool) -> dict[str, str]:
        """The ids of several kinds that belong together, such as a client and its secret."""
        found = {kind: self.resource(kind, target, fresh=fresh) for kind in kinds}
        if "secret_id" in found:
            made = self._client(self.places[target].operator_id)
            found |= {"client_id": made["client_id"], "secret_id": made["secret_id"]}
        if "resource_id" in found:
            place = self.places[target]
            share_site(self.admin, found["peer_id"], place.site_id)
            found["resource_id"] = place.site_id
        return found

    def _make(self, kind: str, place: Place) -> str:
        if kind == "operator_id":
            return place.operator_id
        if kind == "device_id":
            return self.server.register().device_id
        if kind == "site_id":
            return self._post("sites", operator_id=place.operator_id, name="Spare")["site_id"]
        if kind == "sn":
            sn = f"SN-{secrets.token_hex(6)}"
            return self._post("devices/provision", sn=sn, site_id=place.site_id)["sn"]
        if kind == "service_account_id":
            made = self._post("service-accounts", name="spare", scopes=["org:write"])
            return made["service_account_id"]
        return self._client(place.operator_id)[kind]

    def operator_of(self, place: Place) -> ContractClient:
        """The operator surface as a client of both scopes of the place's tenant has it."""
        tenant = next(name[0] for name, other in self.places.items() if other is place)
        return self.contract.operator(self.clients[f"{tenant} read write"].token)

    @property
    def _makers(self) -> dict[str, Callable[[Place], str]]:
        """What makes a fresh one of the kinds that take more than a call."""
        model = f"M-{secrets.token_hex(8)}"
        return {
            "release_id": lambda _: add_release(self.admin, RUNNING, model),
            "command_id": self._issue_command,
            "control_id": lambda place: issue_control(self.operator_of(place), place.site_id),
            "rollout_id": self._begin_rollout,
            "run_id": self._begin_run,
            "erasure_id": self._erase_vehicle,
            "resource_id": lambda place: place.site_id,
            "consent_id": lambda place: add_consent(self.admin, place.device.device_id),
            "proposal_id": self._add_proposal,
            "request_id": self._ask_change,
            "destination_id": lambda place: self._client(place.operator_id)["client_id"],
            "grant_id": lambda place: self._post(
                "transfer-grants", **grant_body(place.operator_id)
            )["grant_id"],
            "peer_id": lambda place: add_peer(self.admin, place.operator_id)[0],
            "push_id": lambda place: add_push(
                self.admin, place.operator_id, place.site_id, place.device.device_id
            ),
        }

    def _issue_command(self, place: Place) -> str:
        """Issue a stop for a connector, which may always be given; return its id."""
        operator = self.operator_of(place)
        target = f"/v1/operator/devices/{place.device.device_id}/connectors/1/stop"
        return str(operator.post(target, expect=200).data["command_id"])

    def _erase_vehicle(self, place: Place) -> str:
        """Erase a vehicle that nobody has heard of; return the id of the receipt."""
        asked = {"operator_id": place.operator_id, "vin": "WVWZZZ1JZXW000002"}
        return str(self._post("erasures/vehicle", **asked)["erasure_id"])

    def _begin_rollout(self, place: Place) -> str:
        """Roll a release out to another charger of the place's site; return the rollout's id."""
        device = _add_charger(self.server, place.site_id)
        return begin_rollout(self.operator_of(place), device.device_id)

    def _add_proposal(self, place: Place) -> str:
        """Let an agent propose something about a place's charger; return the proposal's id."""
        return add_proposal(self.server.data_dir, place.device.device_id)

    def _ask_change(self, place: Place) -> str:
        """Let the customer of a place's charger ask for something; return the request's id."""
        return ask_change(self.contract, place.portal_token, place.device.device_id)

    def _begin_run(self, place: Place) -> str:
        """Begin a run about another charger of the place's site; return the run's id."""
        device = _add_charger(self.server, place.site_id)
        charger = self.contract.device(device.token)
        return begin_run(charger, self.operator_of(place), device.device_id)

    def _client(self, operator_id: str) -> dict[str, str]:
        return self._post("clients", operator_id=operator_id, scopes=["read"])

    def _post(self, path: str, **body: Any) -> Any:
        return self.admin.post(f"/v1/admin/{path}", body, expect=200).data


_ADMINISTERED = frozenset(
    {
        "client_id",
        "secret_id",
        "service_account_id",
        "sn",
        "release_id",
        "erasure_id",
        "consent_id",
        "destination_id",
        "grant_id",
    }
)
_OWNED = tuple(one.name for one in fields(Place) if one.name.endswith("_id"))
PARTS = {**CONFIG_MAKERS, "webhook_id": lambda operator: add_webhook(operator)[0]}
"""What each operator makes for itself, by its kind."""
KINDS = _ADMINISTERED | PARTS.keys() | {"device_id", "resource_id", *_OWNED}
"""The kinds of resources that a path, query or body may name."""


def now_text() -> str:
    """This moment as chargers write it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def build_world(server: RunningServer, *, admins: bool = True) -> World:
    """Two tenants, three chargers with a record and a command each, and all callers."""
    contract = ContractClient(server.base_url)
    admin = contract.bearer(_admin_token(server, contract), "admin")
    places, clients = {}, {}
    for tenant, names in (("a", ("a1", "a2")), ("b", ("b1",))):
        operator_id = server.create_operator(f"Tenant {tenant}")
        site_id = server.create_site(operator_id, f"Site {secrets.token_hex(8)}")
        for scopes in (("read", "write"), ("read",), ("write",)):
            clients[f"{tenant} {' '.join(scopes)}"] = server.create_client(operator_id, scopes)
        for name in names:
            places[name] = Place(operator_id, site_id, _add_charger(server, site_id))
    for firmware_version in (RUNNING, NEWER):
        add_release(admin, firmware_version, _MODEL)
    world = World(server, contract, admin, places, clients)
    for name, place in places.items():
        _furnish(world, name, place)
    world.callers = list_callers(world, admins=admins)
    return world


def _furnish(world: World, name: str, place: Place) -> None:
    """Let a charger report a record of a session, and its operator issue a command."""
    place.record_id = f"rec-{secrets.token_hex(8)}"
    charger = world.contract.device(place.device.token)
    charger.post("/v1/device/charging-records", record_body(place.record_id), expect=200)
    operator = world.contract.operator(world.clients[f"{name[0]} read write"].token)
    query = {"device_id": place.device.device_id}
    (session,) = operator.get("/v1/operator/sessions", params=query, expect=200).data["items"]
    place.session_id = session["session_id"]
    target = f"/v1/operator/devices/{place.device.device_id}/connectors/2/start"
    place.command_id = operator.post(target, expect=200).data["command_id"]
    place.report_id = add_report(operator, charger, place.device.device_id)
    place.control_id = issue_control(operator, place.site_id)
    place.rollout_id = world.resource("rollout_id", name, fresh=True)
    place.push_id = world.resource("push_id", name, fresh=True)
    place.run_id = world.resource("run_id", name, fresh=True)
    place.alert_id = add_alert(world.server.data_dir, place.device.device_id)
    place.proposal_id = world.resource("proposal_id", name, fresh=True)
    add_consent(world.admin, place.device.device_id)
    place.portal_token = portal_token(world.server, place.operator_id)
    place.request_id = world.resource("request_id", name, fresh=True)
    place.parts = {kind: world.resource(kind, name, fresh=True) for kind in PARTS}
    place.parts["webhook_id"], place.delivery_id = add_webhook(operator)
    place.peer_id = world.resource("peer_id", name, fresh=True)


def _add_charger(server: RunningServer, site_id: str) -> Device:
    """A charger of a site, registered with its enrolment token."""
    sn = f"SN-{secrets.token_hex(8)}"
    enrolment = server.provision(sn, site_id, model=_MODEL)
    return server.register(sn, model=_MODEL, enrolment=enrolment)


def _admin_token(server: RunningServer, contract: ContractClient) -> str:
    held = server.admin_file
    answer = contract.request(
        "POST",
        "/v1/admin/oauth/token",
        form={"grant_type": "client_credentials"},
        basic=(held["service_account_id"], held["service_account_secret"]),
        expect=200,
    )
    return str(answer.json["access_token"])

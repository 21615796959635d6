"""Two tenants with all that can be owned, and everybody who may try to get at it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tellus.identity.model import AdminScope
from tellus.kernel.call import Audience
from tests.contract.client import ContractClient
from tests.minting import basic, broken_signature, expired, unsigned
from tests.reliability.tenant_alerts import add_alert, add_webhook
from tests.reliability.tenant_config import CONFIG_MAKERS
from tests.reliability.tenant_consents import add_consent
from tests.reliability.tenant_controls import issue_control
from tests.reliability.tenant_firmware import NEWER, RUNNING, add_release, begin_rollout
from tests.reliability.tenant_peers import add_peer, add_push, share_site, token_of
from tests.reliability.tenant_records import record_body
from tests.reliability.tenant_reports import add_report
from tests.reliability.tenant_runbooks import begin_run
from tests.server import Client, Device, RunningServer

ABSENT = "absent"
TARGETS = ("a1", "a2", "b1", ABSENT)
"""Whose a resource is: of tenant a's first or second device, of tenant b's, or of nobody."""


_MODEL = "TP-DC180-V2G"


@dataclass(frozen=True)
class Caller:
    """Somebody who calls: the header they send, and what the platform ought to know of them.

    ``home`` is the target that is their own. ``problem`` is empty for a living principal with a
    good token, else ``bad`` (answered 2001) or ``expired`` (2002 where the audience is right). A
    ``partial`` administrator has not all scopes.
    """

    name: str
    authorization: str | None
    audience: Audience | None = None
    scopes: frozenset[str] = frozenset()
    home: str = "a1"
    problem: str = ""
    partial: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.authorization is None else {"authorization": self.authorization}


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
    {"client_id", "secret_id", "service_account_id", "sn", "release_id", "erasure_id", "consent_id"}
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
    world.callers = [*_operators(world), *_peers(world), *_devices(world), *_strangers(world)]
    if admins:
        world.callers += _admins(world)
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


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _operators(world: World) -> list[Caller]:
    callers = [
        Caller(
            f"client {name}",
            _bearer(client.token),
            Audience.OPERATOR,
            frozenset(name.split()[1:]),
            f"{name[0]}1",
        )
        for name, client in world.clients.items()
    ]
    revoked = world.server.create_client(world.places["a1"].operator_id)
    world.admin.delete(f"/v1/admin/clients/{revoked.client_id}", expect=200)
    over = expired(world.server, world.clients["a read write"].token)
    audience = Audience.OPERATOR
    return [
        *callers,
        Caller("revoked client", _bearer(revoked.token), audience, problem="bad"),
        Caller("client, expired", _bearer(over), audience, problem="expired"),
        Caller(
            "revoked client, expired",
            _bearer(expired(world.server, revoked.token)),
            audience,
            problem="bad",
        ),
    ]


def _peers(world: World) -> list[Caller]:
    """The platform of another operator that each tenant deals with, which sees all its chargers."""
    callers = []
    for name in ("a1", "b1"):
        place = world.places[name]
        peer_id, secret = add_peer(world.admin, place.operator_id)
        share_site(world.admin, peer_id, place.site_id)
        token = token_of(world.contract, peer_id, secret)
        scopes = frozenset({"peer"})
        callers.append(
            Caller(f"peer of {name[0]}", _bearer(token), Audience.OPERATOR, scopes, name)
        )
    gone, secret = add_peer(world.admin, world.places["a1"].operator_id)
    token = token_of(world.contract, gone, secret)
    world.admin.delete(f"/v1/admin/peers/{gone}", expect=200)
    return [*callers, Caller("deleted peer", _bearer(token), Audience.OPERATOR, problem="bad")]


def _devices(world: World) -> list[Caller]:
    callers = [
        Caller(f"device {name}", _bearer(place.device.token), Audience.DEVICE, home=name)
        for name, place in world.places.items()
    ]
    gone = world.server.register()
    world.admin.delete(f"/v1/admin/devices/{gone.device_id}", expect=200)
    over = expired(world.server, world.places["a1"].device.token)
    return [
        *callers,
        Caller("deleted device", _bearer(gone.token), Audience.DEVICE, problem="bad"),
        Caller("device, expired", _bearer(over), Audience.DEVICE, problem="expired"),
    ]


def _admins(world: World) -> list[Caller]:
    scopes = [scope.value for scope in AdminScope]
    wanted = [("all scopes", scopes), *((scope, [scope]) for scope in scopes)]
    wanted += [(f"all but {left}", [s for s in scopes if s != left]) for left in scopes]
    callers = [
        Caller(
            f"admin, {name}",
            _bearer(token),
            Audience.ADMIN,
            frozenset(held),
            partial=held != scopes,
        )
        for name, held in wanted
        for _, token in [_account(world, held)]
    ]
    account_id, token = _account(world, scopes)
    world.admin.delete(f"/v1/admin/service-accounts/{account_id}", expect=200)
    over = expired(world.server, callers[0].headers["authorization"].split()[1])
    return [
        *callers,
        Caller("revoked admin", _bearer(token), Audience.ADMIN, problem="bad"),
        Caller("admin, expired", _bearer(over), Audience.ADMIN, problem="expired"),
    ]


def _account(world: World, scopes: list[str]) -> tuple[str, str]:
    """A new service account's id and a token of it."""
    body = {"name": "matrix", "scopes": scopes}
    made = world.admin.post("/v1/admin/service-accounts", body, expect=200).data
    credentials = {
        "service_account_id": made["service_account_id"],
        "service_account_secret": made["service_account_secret"],
        "grant_type": "client_credentials",
    }
    answer = world.contract.post("/v1/admin/oauth/token", credentials, expect=200)
    return made["service_account_id"], str(answer.json["access_token"])


def _strangers(world: World) -> list[Caller]:
    """Callers whose header proves nothing."""
    client = world.clients["a read write"]
    device = world.places["a1"].device
    headers = {
        "nobody": None,
        "not a token": _bearer("not.a.token"),
        "empty bearer": "Bearer",
        "broken signature": _bearer(broken_signature(client.token)),
        "no signature": _bearer(unsigned(client.token)),
        "device, broken signature": _bearer(broken_signature(device.token)),
        "basic": basic(client.client_id, client.client_secret),
        "secret as bearer": _bearer(client.client_secret),
    }
    return [Caller(name, header, problem="bad") for name, header in headers.items()]

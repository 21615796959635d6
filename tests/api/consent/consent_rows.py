"""What every row of the route tables does where consent is missing, told from the row alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tellus.coexistence.store_subjects import SUBJECTS
from tellus.consent.model import Service
from tellus.kernel.call import Audience, Nothing
from tellus.surfaces.routes import Answer, Route
from tellus.surfaces.tables import ROUTES
from tests.contract.client import ContractClient, Refused, Reply
from tests.contract.stream import open_stream
from tests.reliability import tenant_matrix
from tests.reliability.tenant_matrix import body_slots, parameters_of, query_slots
from tests.reliability.tenant_requests import BODIES, NAMED, QUERIES
from tests.reliability.tenant_runbooks import PHOTO, PHOTO_HEADERS
from tests.reliability.tenants import World

ALWAYS = frozenset(
    {
        # The charger itself: that it is there, its credentials, what it is told and did.
        "rotateDeviceSecret",
        "sendHeartbeat",
        "fetchCommand",
        "reportCommandStatus",
        # What exists; of devices without consent no live state is told.
        "listSites",
        "getSite",
        "listDevices",
        "getDevice",
        # The operator's own orders; what chargers said of them is left out without consent.
        "listCommands",
        "getCommand",
        "cancelCommand",
        "listControls",
        "getControl",
        "cancelControl",
        "listRollouts",
        "getRollout",
        "listRolloutDevices",
        "pauseRollout",
        "resumeRollout",
        "rollBackRollout",
        "cancelRollout",
        "listPeerOrders",
        "listAuditLogs",
        # What is agreed to, and who looked: for the owner and the partner to see.
        "listDeviceReaders",
        "getDeviceChannels",
        # The customer's own portal: what the customer agreed to, and what came of it; and what
        # customers ask for.
        "listPortalChargers",
        "getPortalCharger",
        "listPortalConsents",
        "revokePortalConsent",
        "listPortalReaders",
        "exportPortalCharger",
        "askPortalErasure",
        "askPortalChange",
        "listPortalRequests",
        "listCustomerRequests",
        "answerCustomerRequest",
        # The operator's own documents and settings.
        "listConfigProfiles",
        "createConfigProfile",
        "getConfigProfile",
        "updateConfigProfile",
        "deleteConfigProfile",
        "listConfigProfileVersions",
        "listV2gVehicles",
        "addV2gVehicle",
        "setV2gVehicle",
        "deleteV2gVehicle",
        "createWebhook",
        "listWebhooks",
        "getWebhook",
        "updateWebhook",
        "deleteWebhook",
        "rotateWebhookSecret",
        "testWebhook",
        # No data of devices.
        "listFaults",
        "getFault",
        "listRunbooks",
        "getRunbook",
        "listAgents",
        "listFirmwareReleases",
        "listForeignChargePoints",
        "listForeignOrders",
        "legacyNotifyStationStatus",
        "legacyNotifyWorkStatus",
    }
)
"""The operations of chargers and operators that need no consent, each for a reason."""

GUARDED = tuple(route for route in ROUTES if route.audience in {Audience.DEVICE, Audience.OPERATOR})
BY_COMMAND = {"reportCommandStatus": Service.FLEXIBILITY}
"""Operations that need what the command needed which they are about: here a start."""

_NUMBERS = tenant_matrix._PATH_NUMBERS
_SUBJECTS = frozenset({"device_id", "session_id", *SUBJECTS})
_ABOUT_NONE = frozenset({"replayWebhookDelivery"})
"""Operations whose thing is about no device here: what is replayed is a ping."""

_STOPS = frozenset({"legacyStopCharging", "legacyStopDischarging"})
"""What may end as long as either could have begun."""

_ONE_OF_THEM = frozenset({"getSession", "listMeterValues"})
"""Operations that leave devices out of lists, but not where they are asked about one."""

SUCCESS = 200
_STEERING = frozenset({Service.FLEXIBILITY, Service.V2G_DISPATCH})
"""What lets a peer see a device; without either it does not exist for it."""


@dataclass(frozen=True)
class Cell:
    """One request about the device of a place, and which services its owner has agreed to."""

    route: Route
    target: str
    agreed: frozenset[Service]

    @property
    def is_on(self) -> bool:
        """Whether consent is all that could be in its way."""
        if self.route.operation_id in _STOPS:
            return bool(_STEERING & self.agreed)
        return self.service is None or (self.service in self.agreed and not self.needs_all)

    @property
    def service(self) -> Service | None:
        """What the request needs: a report on a command what its command needed."""
        if self.route.operation_id in _ABOUT_NONE:
            return None
        return BY_COMMAND.get(self.route.operation_id, self.route.service)

    @property
    def needs_all(self) -> bool:
        """Whether it needs consent for all that the operator has, which nobody gives here."""
        return self.service is not None and not (self.route.sifts or self.names_device)

    @property
    def names_device(self) -> bool:
        """Whether the request is about one device, or one thing of it."""
        route = self.route
        if route.audience is Audience.DEVICE or route.answer is Answer.STREAM:
            return True
        named = [*parameters_of(route), *query_slots(route), *_named(route)]
        if route.operation_id in BODIES and not route.sifts:
            named += body_slots(route)
        is_named = bool(_SUBJECTS.intersection(named))
        return (is_named and not route.sifts) or route.operation_id in _ONE_OF_THEM


def _named(route: Route) -> Iterator[str]:
    if route.operation_id in NAMED:
        yield NAMED[route.operation_id]


def ask(world: World, cell: Cell) -> Reply:
    """Send the request of a cell as who may: the device, its operator, or the operator's peer."""
    route, target = cell.route, cell.target
    if route.answer is Answer.STREAM:
        return _open_stream(world, cell)
    names = [part for part in parameters_of(route) if part not in _NUMBERS]
    values = _NUMBERS | {name: world.resource(name, target) for name in names}
    query: dict[str, Any] = dict(QUERIES.get(route.operation_id, {}))
    for name in (*_named(route), *query_slots(route)):
        if name == "device_id" and cell.names_device:
            query[name] = world.resource(name, target)
    path = route.path.format(**values) + ("?" + urlencode(query) if query else "")
    body = None
    if route.request is not Nothing:
        body = BODIES[route.operation_id](lambda kind: world.resource(kind, target))
    if route.upload:
        return caller_of(world, cell).raw(route.method, path, PHOTO, headers=PHOTO_HEADERS)
    return caller_of(world, cell).request(route.method, path, json=body)


def caller_of(world: World, cell: Cell) -> ContractClient:
    """Who may send the request of a cell."""
    place, tenant = world.places[cell.target], cell.target[0]
    if cell.route.audience is Audience.DEVICE:
        return world.contract.device(place.device.token)
    if cell.route.scope == "peer":
        peer = next(one for one in world.callers if one.name == f"peer of {tenant}")
        return world.contract.operator(peer.headers["authorization"].removeprefix("Bearer "))
    return world.contract.operator(world.clients[f"{tenant} read write"].token)


def _open_stream(world: World, cell: Cell) -> Reply:
    client = world.clients[f"{cell.target[0]} read write"]
    devices = [world.resource("device_id", cell.target)]
    try:
        with open_stream(world.server.base_url, devices, client.token):
            return Reply(200, {}, b'{"code": 0}')
    except Refused as refused:
        return refused.reply


def judge(world: World, cell: Cell, reply: Reply) -> str:
    """Say what is wrong with an answer, empty for nothing."""
    refusal = _refusal_in(reply)
    if cell.is_on:
        return f"refused for {refusal}" if refusal is not None else ""
    if cell.route.scope == "peer" and body_slots(cell.route):
        hidden = (reply.status, reply.code) == (404, 3001)
        is_seen = bool(_STEERING & cell.agreed)
        as_it_ought = refusal == cell.service if is_seen else hidden
        # An order that they began is there for them, also when they may not end it any more.
        as_it_ought |= cell.route.operation_id in _STOPS and refusal is not None
    elif cell.route.sifts and not cell.names_device and cell.route.operation_id != _SUMS:
        as_it_ought = reply.status == SUCCESS and _leaves_out(world, cell, reply)
    else:
        as_it_ought = refusal == cell.service
    return "" if as_it_ought else f"answered {reply.status} {reply.body[:120]!r}"


def _leaves_out(world: World, cell: Cell, reply: Reply) -> bool:
    if cell.route.operation_id != "createRollout":
        return world.resource("device_id", cell.target) not in reply.body.decode()
    path = f"/v1/operator/firmware/rollouts/{reply.data['rollout_id']}/devices"
    (device,) = caller_of(world, cell).get(path, expect=200).data["items"]
    return (device["status"], device["reason"]) == ("skipped", "no_consent")


_SUMS = "getAggregatedEnergy"


def _refusal_in(reply: Reply) -> str | None:
    """The service that an answer was refused for, None where it was not."""
    is_refused = (reply.status, reply.code) == (403, 2003)
    details = (reply.details or {}) if is_refused else {}
    found: str | None = details.get("service")
    return found

"""Everybody who may try to get at what two tenants own, and what each ought to be let do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tellus.identity.model import AdminScope
from tellus.kernel.call import Audience
from tests.minting import basic, broken_signature, expired, unsigned
from tests.reliability.tenant_peers import add_peer, share_site, token_of

if TYPE_CHECKING:
    from tests.reliability.tenants import World


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


def list_callers(world: "World", *, admins: bool) -> list[Caller]:
    """Operators, peers, devices and strangers of a furnished world, and administrators."""
    callers = [*_operators(world), *_peers(world), *_devices(world), *_strangers(world)]
    return [*callers, *_admins(world)] if admins else callers


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _operators(world: "World") -> list[Caller]:
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
    callers += [
        Caller(
            f"portal of {name[0]}",
            _bearer(world.places[name].portal_token),
            Audience.OPERATOR,
            frozenset({"customer_portal"}),
            name,
        )
        for name in ("a1", "b1")
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


def _peers(world: "World") -> list[Caller]:
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


def _devices(world: "World") -> list[Caller]:
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


def _admins(world: "World") -> list[Caller]:
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


def _account(world: "World", scopes: list[str]) -> tuple[str, str]:
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


def _strangers(world: "World") -> list[Caller]:
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

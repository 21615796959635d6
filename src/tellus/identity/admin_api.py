"""Administration of operators and their clients."""

from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.identity.model import (
    SWAP_OVERLAP_S,
    Client,
    ClientScope,
    ClientSettings,
    IssuedClientSecret,
    Operator,
    SigningPolicy,
    VinMode,
)
from tellus.identity.service import IdentityService
from tellus.kernel.call import NOTHING, Call, Nothing
from tellus.kernel.limits import LIMIT_LARGEST
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Customer = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Scopes = Annotated[list[ClientScope], msgspec.Meta(min_length=1, max_length=8)]
Texts = Annotated[list[Annotated[str, msgspec.Meta(max_length=256)]], msgspec.Meta(max_length=64)]
Limits = dict[
    Annotated[str, msgspec.Meta(max_length=32)],
    Annotated[int, msgspec.Meta(ge=1, le=LIMIT_LARGEST)],
]
OverlapS = Annotated[int, msgspec.Meta(ge=0, le=30 * 86_400)]

# ------------------------------------------------------------------ operators


class OperatorRequest(msgspec.Struct, frozen=True):
    """A tenant to create; ``region``, where given, must be the instance's."""

    name: Name
    region: Identifier | msgspec.UnsetType = msgspec.UNSET


class OperatorItem(msgspec.Struct, frozen=True):
    """A tenant."""

    operator_id: str
    name: str
    region: str
    created_at: str


async def create_operator(
    identity: IdentityService, call: Call[OperatorRequest, Nothing]
) -> OperatorItem:
    """Create an operator."""
    region = call.body.region or None
    return _operator(await identity.create_operator(call.body.name, actor_of(call), region))


async def list_operators(
    identity: IdentityService, call: Call[Nothing, PageQuery]
) -> Page[OperatorItem]:
    """List operators, oldest first."""
    query = call.query
    total, operators = await identity.list_operators(query.offset, query.size)
    return Page(total, query.page, query.size, [_operator(operator) for operator in operators])


# -------------------------------------------------------------------- clients


class ClientRequest(msgspec.Struct, frozen=True):
    """A client to create; without networks it may call from anywhere.

    ``customer`` is whose portal it is, by the name that consents give; it goes with the scope
    ``customer_portal``, which goes with no other.
    """

    operator_id: Identifier
    scopes: Scopes
    name: Name = "client"
    limits: Limits = {}
    allowed_networks: Texts = []
    cors_origins: Texts = []
    vin_mode: VinMode = VinMode.FULL
    signing: SigningPolicy = SigningPolicy.OFF
    customer: Customer | msgspec.UnsetType = msgspec.UNSET


class ClientChangeRequest(msgspec.Struct, frozen=True):
    """What to change of a client; what is left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    scopes: Scopes | msgspec.UnsetType = msgspec.UNSET
    limits: Limits | msgspec.UnsetType = msgspec.UNSET
    allowed_networks: Texts | msgspec.UnsetType = msgspec.UNSET
    cors_origins: Texts | msgspec.UnsetType = msgspec.UNSET
    vin_mode: VinMode | msgspec.UnsetType = msgspec.UNSET
    signing: SigningPolicy | msgspec.UnsetType = msgspec.UNSET
    customer: Customer | msgspec.UnsetType = msgspec.UNSET


class ClientQuery(PageQuery, frozen=True):
    """Which clients to list."""

    operator_id: Identifier | msgspec.UnsetType = msgspec.UNSET


class SecretItem(msgspec.Struct, frozen=True):
    """One secret of a client; the text itself is never shown again.

    ``signs``: requests can be signed with it, since it was issued while the client might sign.
    """

    secret_id: str
    created_at: str
    signs: bool
    first_used_at: str | msgspec.UnsetType = msgspec.UNSET
    retires_at: str | msgspec.UnsetType = msgspec.UNSET


class ClientItem(msgspec.Struct, frozen=True):
    """A client with its settings and secrets."""

    client_id: str
    operator_id: str
    name: str
    scopes: list[str]
    limits: dict[str, int]
    allowed_networks: list[str]
    cors_origins: list[str]
    vin_mode: str
    signing: str
    created_at: str
    secrets: list[SecretItem]
    revoked_at: str | msgspec.UnsetType = msgspec.UNSET
    customer: str | msgspec.UnsetType = msgspec.UNSET


class ClientSecretResponse(msgspec.Struct, frozen=True):
    """A new secret, shown this once, and the client it belongs to."""

    client_id: str
    client_secret: str
    secret_id: str
    client: ClientItem


class OverlapRequest(msgspec.Struct, frozen=True):
    """How long (s) the secret in use goes on working beside the new one.

    ``signing`` sets at the same time whether the client signs; left out, that stays as it is.
    """

    overlap_s: OverlapS = SWAP_OVERLAP_S
    signing: SigningPolicy | msgspec.UnsetType = msgspec.UNSET


async def create_client(
    identity: IdentityService, call: Call[ClientRequest, Nothing]
) -> ClientSecretResponse:
    """Create a client of an operator; its secret is shown this once."""
    body = call.body
    settings = ClientSettings(
        name=body.name,
        scopes=frozenset(body.scopes),
        limits=body.limits,
        allowed_networks=tuple(body.allowed_networks),
        cors_origins=tuple(body.cors_origins),
        vin_mode=body.vin_mode,
        signing=body.signing,
        customer=body.customer or None,
    )
    return _issued(await identity.create_client(body.operator_id, settings, actor_of(call)))


async def list_clients(
    identity: IdentityService, call: Call[Nothing, ClientQuery]
) -> Page[ClientItem]:
    """List clients, of one operator or of all, oldest first."""
    query = call.query
    operator_id = query.operator_id or None
    total, clients = await identity.list_clients(query.offset, query.size, operator_id)
    return Page(total, query.page, query.size, [_client(client) for client in clients])


async def get_client(identity: IdentityService, call: Call[Nothing, Nothing]) -> ClientItem:
    """Return one client."""
    return _client(await identity.get_client(call.path["client_id"]))


async def update_client(
    identity: IdentityService, call: Call[ClientChangeRequest, Nothing]
) -> ClientItem:
    """Change a client's settings; the change bites at its next call."""

    def change(settings: ClientSettings) -> ClientSettings:
        return replace(settings, **_given(call.body))

    return _client(await identity.update_client(call.path["client_id"], change, actor_of(call)))


async def revoke_client(identity: IdentityService, call: Call[Nothing, Nothing]) -> Nothing:
    """Revoke a client with all its secrets and tokens, at once and for good."""
    await identity.revoke_client(call.path["client_id"], actor_of(call))
    return NOTHING


async def rotate_client_secret(
    identity: IdentityService, call: Call[OverlapRequest, Nothing]
) -> ClientSecretResponse:
    """Issue another secret; the one in use works for the overlap (a day by default) longer."""
    body = call.body
    return _issued(
        await identity.rotate_client_secret(
            call.path["client_id"], actor_of(call), body.overlap_s, body.signing or None
        )
    )


async def revoke_client_secret(identity: IdentityService, call: Call[Nothing, Nothing]) -> Nothing:
    """Revoke one secret and the tokens issued for it, at once."""
    await identity.revoke_client_secret(
        call.path["client_id"], call.path["secret_id"], actor_of(call)
    )
    return NOTHING


def actor_of(call: Call[Any, Any]) -> Actor:
    """Return who calls, for the audit log."""
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def _operator(operator: Operator) -> OperatorItem:
    return OperatorItem(
        operator.operator_id, operator.name, operator.region, to_text(operator.created_ms)
    )


def _client(client: Client) -> ClientItem:
    settings = client.settings
    return ClientItem(
        client_id=client.client_id,
        operator_id=client.operator_id,
        name=settings.name,
        scopes=sorted(settings.scopes),
        limits=settings.limits,
        allowed_networks=list(settings.allowed_networks),
        cors_origins=list(settings.cors_origins),
        vin_mode=settings.vin_mode.value,
        signing=settings.signing.value,
        created_at=to_text(client.created_ms),
        secrets=[
            SecretItem(
                secret.secret_id,
                to_text(secret.created_ms),
                secret.sealed is not None,
                optional_time(secret.first_used_ms),
                optional_time(secret.retires_ms),
            )
            for secret in client.secrets
        ],
        revoked_at=optional_time(client.revoked_ms),
        customer=settings.customer or msgspec.UNSET,
    )


def _issued(issued: IssuedClientSecret) -> ClientSecretResponse:
    return ClientSecretResponse(
        issued.client.client_id, issued.text, issued.secret_id, _client(issued.client)
    )


def _given(body: ClientChangeRequest) -> dict[str, Any]:
    """Return what the body changes, as the settings hold it."""
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    kinds: dict[str, Any] = {
        "scopes": frozenset,
        "allowed_networks": tuple,
        "cors_origins": tuple,
    }
    return {
        name: kinds[name](value) if name in kinds else value
        for name, value in given.items()
        if value is not msgspec.UNSET
    }


def optional_time(time_ms: int | None) -> str | msgspec.UnsetType:
    """Return a time on the wire; what is not known is left out."""
    return msgspec.UNSET if time_ms is None else to_text(time_ms)

"""What identity knows: tenants, who calls for them, and the secrets they prove it with."""

import enum

import msgspec

TOKEN_LIFE_S = 86_400
SWAP_OVERLAP_S = 86_400
DEVICE_SECRET_LIFE_S = 365 * 86_400


class ClientScope(enum.StrEnum):
    """What a client of an operator may do.

    ``DIAGNOSTICS`` adds to ``WRITE`` the commands that take a charger out of service for a while.
    ``PEER`` is that of another operator's platform: the legacy paths and nothing else. It comes
    with the peer, and is given to no other client. ``CUSTOMER_PORTAL`` is that of a customer's
    portal: what the customer's own consents cover, and nothing else; it goes with no other.
    """

    READ = "read"
    WRITE = "write"
    DIAGNOSTICS = "diagnostics"
    PEER = "peer"
    CUSTOMER_PORTAL = "customer_portal"


class VinMode(enum.StrEnum):
    """How a client sees vehicle identification numbers of its own operator's records."""

    FULL = "full"
    MASKED = "masked"
    NONE = "none"


class SigningPolicy(enum.StrEnum):
    """Whether a client signs its requests (rule R7).

    ``OFF``: signatures are not looked at, and no secret is kept that could check one.
    ``OPTIONAL``: a signature that comes is checked. ``REQUIRED``: control calls come with one.
    """

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class AdminScope(enum.StrEnum):
    """What a service account may do, per resource; writing does not include reading.

    ``org``: operators, clients, service accounts, signing keys and the audit log.
    """

    ORG_READ = "org:read"
    ORG_WRITE = "org:write"
    SITE_READ = "site:read"
    SITE_WRITE = "site:write"
    DEVICE_READ = "device:read"
    DEVICE_WRITE = "device:write"
    FIRMWARE_READ = "firmware:read"
    FIRMWARE_WRITE = "firmware:write"
    CONFIGURATION_READ = "configuration:read"
    CONFIGURATION_WRITE = "configuration:write"


class Operator(msgspec.Struct, frozen=True):
    """A tenant: what belongs to one operator does not exist for another."""

    operator_id: str
    name: str
    region: str
    created_ms: int


class ClientSettings(msgspec.Struct, frozen=True):
    """What an administrator sets for a client.

    ``limits`` overrides rate limits by class, ``allowed_networks`` (CIDR) restricts where calls may
    come from (empty: anywhere), ``cors_origins`` names the browsers' origins that may call.
    ``customer`` is whose portal it is, as consents name customers; set for portals alone.
    """

    name: str
    scopes: frozenset[ClientScope]
    limits: dict[str, int] = {}
    allowed_networks: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    vin_mode: VinMode = VinMode.FULL
    signing: SigningPolicy = SigningPolicy.OFF
    customer: str | None = None


class ClientSecret(msgspec.Struct, frozen=True):
    """One secret of a client; it works until ``retires_ms``, or on and on without one.

    ``sealed`` is its text under the instance key, there only where the client may sign.
    """

    secret_id: str
    verifier: bytes
    created_ms: int
    first_used_ms: int | None = None
    retires_ms: int | None = None
    sealed: bytes | None = None


class Client(msgspec.Struct, frozen=True):
    """A program of an operator. ``revision`` orders what was read in the writer's transactions."""

    client_id: str
    operator_id: str
    settings: ClientSettings
    generation: int
    revoked_ms: int | None
    created_ms: int
    secrets: tuple[ClientSecret, ...] = ()
    revision: int = 0


class ServiceAccount(msgspec.Struct, frozen=True):
    """A program that administers the platform."""

    service_account_id: str
    name: str
    scopes: frozenset[AdminScope]
    verifier: bytes
    generation: int
    revoked_ms: int | None
    created_ms: int
    revision: int = 0

    @property
    def retires_ms(self) -> int | None:
        """When its one secret stops to work: with the account."""
        return self.revoked_ms


class DeviceSecret(msgspec.Struct, frozen=True):
    """One secret of a device.

    ``expires_ms`` is advice: an overdue secret still works. ``retires_ms`` is set on older secrets
    once a newer one has been used.
    """

    secret_id: str
    verifier: bytes
    created_ms: int
    expires_ms: int
    first_used_ms: int | None = None
    retires_ms: int | None = None
    overdue_told_ms: int | None = None


class DeviceRecord(msgspec.Struct, frozen=True):
    """A device as identity knows it, newest secret last."""

    device_no: int
    device_id: str
    operator_id: str
    generation: int
    revoked_ms: int | None
    created_ms: int
    secrets: tuple[DeviceSecret, ...] = ()
    revision: int = 0


class SigningKey(msgspec.Struct, frozen=True):
    """A key that tokens are signed with; after ``retired_ms`` it verifies no more."""

    kid: str
    sealed: bytes
    created_ms: int
    retired_ms: int | None = None


class IssuedToken(msgspec.Struct, frozen=True):
    """A bearer token and how long it lives (s)."""

    text: str
    expires_in_s: int


class IssuedClientSecret(msgspec.Struct, frozen=True):
    """A new secret of a client, readable this once, and the client after it."""

    secret_id: str
    text: str
    client: Client


class IssuedAccountSecret(msgspec.Struct, frozen=True):
    """A new secret of a service account, readable this once, and the account after it."""

    text: str
    account: ServiceAccount


class IssuedSecret(msgspec.Struct, frozen=True):
    """A new secret of a device, readable this once; ``record`` is to be remembered after commit."""

    text: str
    expires_in_s: int
    record: DeviceRecord


class SecretFirstUsed(msgspec.Struct, frozen=True):
    """Fact: a device's secret has got its first token, which activates a registration."""

    device_no: int
    now_ms: int


class SecretOverdue(msgspec.Struct, frozen=True):
    """Fact, told once per secret: a device goes on using a secret past its advised life."""

    device_no: int
    now_ms: int
    overdue_since_ms: int


class DeviceTokenIssued(msgspec.Struct, frozen=True):
    """Fact, told after commit only: a device got a token.

    ``previous_token_left_s`` is how long its last one would still have lived, 0 if none is known.
    """

    device_no: int
    now_ms: int
    previous_token_left_s: float


Fact = SecretFirstUsed | SecretOverdue | DeviceTokenIssued

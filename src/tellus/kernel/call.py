"""A call as a handler sees it: who calls, with what, when. Nothing of HTTP."""

import enum
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec

from tellus.kernel.files import Upload
from tellus.kernel.permits import OPEN, Permit

Body = TypeVar("Body")
Query = TypeVar("Query")


class Audience(enum.StrEnum):
    """Whom a route serves; tokens carry it and are refused elsewhere."""

    PUBLIC = "public"
    DEVICE = "device"
    OPERATOR = "operator"
    ADMIN = "admin"


class Principal:
    """A device, client or service account that has authenticated.

    One living object per principal: revoking or changing it bites at its next use. ``windows``
    holds its rate-limit windows by class name and is touched by the pipeline alone. A ``lenient``
    device may deviate from the contract in the ways rule P7 lists; ``deviations`` counts how often
    it did. ``signing`` is the policy of a client: ``off``, ``optional`` or ``required``;
    ``customer`` whose portal it is, empty for all other clients. What a device may be used for,
    ``permit`` says.
    """

    __slots__ = (
        "allowed_networks",
        "audience",
        "cors_origins",
        "customer",
        "deviations",
        "device_no",
        "generation",
        "last_seen_ms",
        "lenient",
        "limits",
        "operator_id",
        "permit",
        "principal_id",
        "revoked",
        "scopes",
        "signing",
        "vin_mode",
        "windows",
    )

    def __init__(
        self,
        audience: Audience,
        principal_id: str,
        operator_id: str,
        scopes: frozenset[str] = frozenset(),
        generation: int = 1,
        device_no: int = 0,
    ) -> None:
        self.audience = audience
        self.principal_id = principal_id
        self.operator_id = operator_id
        self.scopes = scopes
        self.generation = generation
        self.device_no = device_no
        self.revoked = False
        self.permit: Permit = OPEN
        self.vin_mode = "full"
        self.signing = "off"
        self.lenient = False
        self.deviations = 0
        self.limits: dict[str, int] = {}
        self.allowed_networks: tuple[Any, ...] = ()
        self.cors_origins: tuple[str, ...] = ()
        self.customer = ""
        self.last_seen_ms = 0
        self.windows: dict[str, Any] = {}


ANYONE = Principal(Audience.PUBLIC, "", "")


class Call(Generic[Body, Query]):
    """One request after authentication, limits and shape.

    ``path`` holds the path parameters by name, ``raw`` the body's bytes as sent (empty without
    one), ``address`` the caller's network address, ``authorization`` the header of that name where
    a route reads it itself (Basic), ``enrolment`` the token of a charger that registers, from its
    base URL or as bearer, ``idempotency_key`` what a control call may be repeated under. ``left``
    is there for handlers that wait: awaiting what it returns ends when the caller leaves.
    ``upload`` is a body that is a file. ``withheld`` are devices that a list has to leave out, by
    their numbers: their owners have not agreed.
    """

    __slots__ = (
        "address",
        "authorization",
        "body",
        "enrolment",
        "idempotency_key",
        "left",
        "now_ms",
        "path",
        "principal",
        "query",
        "raw",
        "request_id",
        "upload",
        "withheld",
    )

    def __init__(
        self,
        principal: Principal,
        body: Body,
        query: Query,
        now_ms: int,
        path: dict[str, Any] | None = None,
        raw: bytes = b"",
    ) -> None:
        self.principal = principal
        self.body = body
        self.query = query
        self.now_ms = now_ms
        self.path = path if path is not None else {}
        self.raw = raw
        self.address = ""
        self.authorization = ""
        self.enrolment = ""
        self.idempotency_key = ""
        self.request_id = ""
        self.left: Callable[[], Awaitable[Any]] | None = None
        self.withheld: tuple[int, ...] = ()
        self.upload: Upload | None = None


class Nothing(msgspec.Struct, frozen=True):
    """The body or query of a route that has none."""


NOTHING = Nothing()

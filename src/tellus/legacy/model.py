"""What interop knows: peers, what they are shown, their orders, and what they are owed."""

import enum

import msgspec


class PeerAuth(enum.StrEnum):
    """What our calls to a peer carry.

    ``NONE``: nothing. ``BEARER``: the secret is the token. ``CLIENT_CREDENTIALS``: a token is got
    from ``token_url`` with the secret (RFC 6749 section 4.4) and used as long as it lives.
    """

    NONE = "none"
    BEARER = "bearer"
    CLIENT_CREDENTIALS = "client_credentials"


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A platform of another operator.

    ``peer_id`` is the identifier of the client that it calls us with, ``operator_id`` the operator
    of ours that it deals with. ``push_url`` is what our pushes go below, such as
    ``https://peer.example/v1``; None: it gets none. ``timezone`` (IANA) is that of its times that
    name no zone. ``sends_discharging``: it understands the statuses of discharging in pushes.
    ``sealed_secret`` is what we prove ourselves with, under the instance key, sealed in the context
    ``peer:<peer_id>``.
    """

    peer_id: str
    operator_id: str
    name: str
    timezone: str = "UTC"
    push_url: str | None = None
    sends_discharging: bool = False
    auth: PeerAuth = PeerAuth.NONE
    token_url: str | None = None
    auth_id: str | None = None
    auth_scope: str | None = None
    sealed_secret: bytes | None = None
    created_ms: int = 0
    updated_ms: int = 0


class PushOperation(enum.StrEnum):
    """What is pushed: the last part of the path at the peer."""

    STATION_STATUS = "notification_stationStatus"
    WORK_STATUS = "notify_work_status"


class Push(msgspec.Struct, frozen=True):
    """What a peer is owed: ``body`` as it goes out (JSON).

    Of pushes with one ``ordering_key`` the peer never gets an older one after a newer.
    """

    peer_id: str
    operation: PushOperation
    ordering_key: str
    body: str
    created_ms: int


class ShareKind(enum.StrEnum):
    """What is shared with a peer: a site with all its devices, or one device."""

    SITE = "site"
    DEVICE = "device"


class Share(msgspec.Struct, frozen=True):
    """Something that a peer may see and start."""

    kind: ShareKind
    resource_id: str
    created_ms: int


class PointStatus(enum.StrEnum):
    """What a peer is told of a connector (rule L3)."""

    AVAILABLE = "Available"
    WORKING = "Working"
    FAULT = "Fault"


class Description(msgspec.Struct, frozen=True):
    """What hardly changes of a device, as peers are told.

    ``current`` is AC or DC, ``power_kw`` a whole number of at least 1, ``connector_ids`` ascend.
    """

    current: str
    power_kw: int
    lng: float
    lat: float
    connector_ids: tuple[int, ...]
    created_ms: int


Statuses = dict[int, PointStatus]
"""What a peer is told of the connectors of a device, by connector."""


class Point(msgspec.Struct, frozen=True):
    """A device as a peer knows it: described so since ``changed_ms``, with the statuses told."""

    device_id: str
    device_no: int
    described: Description
    changed_ms: int
    told: Statuses


class OrderKind(enum.StrEnum):
    """Which way the energy of an order flows."""

    CHARGE = "charge"
    DISCHARGE = "discharge"


class OrderState(enum.StrEnum):
    """Where an order stands; the published words of both ways are made of it.

    ``FLOWING`` is CHARGING or DISCHARGING, ``STOPPING`` waits for the charger's stop, ``STOPPED``
    for the vehicle to leave. The last two are terminal: ``START_FAILED`` and ``COMPLETED``.
    """

    STARTING = "starting"
    START_FAILED = "start_failed"
    FLOWING = "flowing"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"


ENDED = frozenset({OrderState.START_FAILED, OrderState.COMPLETED})
"""The states after which nothing follows."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer started here, from its start to the end.

    ``vendor_order_id`` is our identifier of it, ``order_id`` the peer's. ``first_state`` is what
    the start was answered with, and is every time. ``energy_kwh`` is that of the charging record
    once there is one, negative out of the vehicle.
    """

    vendor_order_id: str
    peer_id: str
    order_id: str
    operator_id: str
    device_no: int
    device_id: str
    connector_id: int
    kind: OrderKind
    created_ms: int
    changed_ms: int
    limit_energy_kwh: int | None = None
    first_state: OrderState = OrderState.STARTING
    state: OrderState = OrderState.STARTING
    command_id: str | None = None
    stop_command_id: str | None = None
    reason: str | None = None
    energy_kwh: float | None = None
    record_id: str | None = None
    began_ms: int | None = None
    stopped_ms: int | None = None
    unplugged_ms: int | None = None
    ended_ms: int | None = None


class Meter(msgspec.Struct, frozen=True):
    """What flows and has flowed: kW (positive into the vehicle), V, A, kWh, percent."""

    power_kw: float
    voltage_v: float
    current_a: float
    energy_kwh: float
    soc_pct: int | None = None


class ForeignPoint(msgspec.Struct, frozen=True):
    """A charge point of a peer, as it told last; times are its own, ms since 1970 UTC.

    ``statuses`` hold the connectors in the order they came in.
    """

    peer_id: str
    operator_id: str
    charge_point_id: str
    current: str
    power_kw: int
    lng: float
    lat: float
    statuses: tuple[tuple[int, PointStatus], ...]
    created_ms: int
    received_ms: int


class ForeignOrder(msgspec.Struct, frozen=True):
    """An order at a peer's charge point, as it told last; ``status`` is the published word."""

    peer_id: str
    operator_id: str
    order_id: str
    vendor_order_id: str
    charge_point_id: str
    connector_id: int
    status: str
    changed_ms: int
    received_ms: int
    meter: Meter | None = None

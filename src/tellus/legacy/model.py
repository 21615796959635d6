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
    ``https://peer.example/v1``; None: it gets none. ``timezone`` (IANA) is that of its times without
    a zone. ``sends_discharging``: it understands the statuses of discharging in pushes.
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

"""``/v1/operator/stream``: live telemetry of chosen devices, and alerts, over a WebSocket."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tellus.consent.model import NotConsented, Service
from tellus.fleet.directory import Directory
from tellus.kernel.call import Audience, Call, Nothing, Principal
from tellus.kernel.clock import Clock
from tellus.kernel.errors import (
    ApiError,
    InvalidParameter,
    MissingParameter,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    UpgradeRequired,
)
from tellus.kernel.ids import is_identifier
from tellus.surfaces.credentials import check_network, read_authorization
from tellus.surfaces.endpoint import parse_parameters
from tellus.surfaces.envelope import JSON_TYPE, encode_failure, failure_headers
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.proxies import TrustedProxies
from tellus.surfaces.guard.streamsocket import STREAM_KEY
from tellus.surfaces.http import Authenticator
from tellus.surfaces.hub import CLOSE_TOO_MANY, Channel, Hub, Subscriber, may_look_at_any
from tellus.surfaces.ratelimit import Limiter
from tellus.surfaces.reading import ReadAccounting
from tellus.surfaces.routes import LimitClass

STREAM_PATH = "/v1/operator/stream"
STREAMS_PER_CLIENT = 20
DEVICES_PER_STREAM = 1_000

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


class StreamQuery(msgspec.Struct, frozen=True):
    """``devices``: 1 to 1,000 identifiers with commas between; ``token`` replaces the header.

    ``channels``: ``telemetry``, ``alerts`` or both with a comma between. Alerts without telemetry
    need no devices and are then those of the whole operator; otherwise alerts about devices that
    are not named are left out.
    """

    devices: str = ""
    token: str = ""
    channels: str = "telemetry"


async def subscribe_telemetry(_hub: Hub, call: Call[Nothing, StreamQuery]) -> None:
    """Answer a plain GET of the stream's path: only a WebSocket handshake gets further."""
    if not call.query.devices and Channel.TELEMETRY in parse_channels(call.query.channels):
        field = "devices"
        raise MissingParameter(field)
    raise UpgradeRequired


class StreamEndpoint:
    """Judges handshakes and keeps streams open."""

    def __init__(
        self,
        hub: Hub,
        directory: Directory,
        tokens: Authenticator,
        limiter: Limiter,
        clock: Clock,
        drain: DrainState,
        proxies: TrustedProxies,
        next_request_id: Callable[[], str],
    ) -> None:
        self._hub = hub
        self._directory = directory
        self._tokens = tokens
        self._limiter = limiter
        self._clock = clock
        self._drain = drain
        self._proxies = proxies
        self._next_request_id = next_request_id
        self.revive: Callable[[str, Audience], Awaitable[Principal]] | None = None
        self.reads: ReadAccounting | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket from handshake to end."""
        request_id = self._next_request_id().encode()
        await receive()
        try:
            subscriber = await self._admit(scope)
        except ApiError as error:
            await _refuse(send, error, request_id)
            return
        await send({"type": "websocket.accept", "headers": [(b"x-request-id", request_id)]})
        held = self._hub.of_client(subscriber.principal.principal_id)
        others = [one for one in held if one.key != subscriber.key]
        if len(others) >= STREAMS_PER_CLIENT:
            await _close(send, CLOSE_TOO_MANY, f"at most {STREAMS_PER_CLIENT} streams per client")
            return
        self._hub.add(subscriber)
        try:
            await self._note_opened(subscriber)
            await self._serve(subscriber, receive, send)
        finally:
            self._hub.remove(subscriber)
            if self.reads is not None:
                self.reads.close_stream(subscriber, self._clock.now_ms())

    async def _note_opened(self, subscriber: Subscriber) -> None:
        """Have it on disk that the client reads these devices, before it gets a frame."""
        if self.reads is not None:
            principal, device_nos = subscriber.principal, subscriber.device_nos
            now_ms = self._clock.now_ms()
            await self.reads.open_stream(subscriber, principal, device_nos, now_ms)

    async def _serve(self, subscriber: Subscriber, receive: Receive, send: Send) -> None:
        reader = asyncio.create_task(_read_until_left(receive))
        snapshot = asyncio.create_task(self._hub.send_snapshot(subscriber))
        try:
            ends: set[asyncio.Future[Any]] = {reader, subscriber.closing}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if subscriber.closing.done():
                await _close(send, *subscriber.closing.result())
        finally:
            snapshot.cancel()
            reader.cancel()

    async def _authenticate(self, token: str) -> Principal:
        try:
            return self._tokens.authenticate(token, Audience.OPERATOR)
        except Unauthenticated:
            if self.revive is None:
                raise
            return await self.revive(token, Audience.OPERATOR)

    async def _admit(self, scope: Scope) -> Subscriber:
        """Return the subscriber, or raise what the handshake is refused with."""
        address = self._proxies.client_address(scope)
        now_s = self._clock.monotonic_s()
        if scope["path"] != STREAM_PATH:
            self._limiter.check_unauthenticated(address, now_s)
            raise NotFound
        try:
            token = _read_token(scope)
            principal = await self._authenticate(token)
        except ApiError:
            self._limiter.check_unauthenticated(address, now_s)
            raise
        if principal.allowed_networks:
            check_network(principal, address)
        if "read" not in principal.scopes:
            message = "This needs the scope 'read'"
            raise PermissionDenied(message, scope="read")
        if self._limiter.is_shared(LimitClass.QUERIES):
            await self._limiter.check_together(principal, LimitClass.QUERIES, now_s)
        else:
            self._limiter.check_principal(principal, LimitClass.QUERIES, now_s)
        parameters = parse_parameters(scope["query_string"])
        channels = parse_channels(parameters.get("channels", Channel.TELEMETRY.value))
        device_nos = self._read_devices(scope, principal, channels)
        if not may_look_at_any(self._directory, device_nos, self._clock.now_ms()):
            raise NotConsented(Service.DIAGNOSTICS)
        if self._drain.draining:
            message = "The server is stopping"
            raise Unavailable(message, 2)
        peer = scope["extensions"][STREAM_KEY]
        return Subscriber(peer, principal, device_nos, token, channels)

    def _read_devices(
        self, scope: Scope, principal: Principal, channels: frozenset[Channel]
    ) -> list[int]:
        text = parse_parameters(scope["query_string"]).get("devices")
        if text is None and Channel.TELEMETRY not in channels:
            return []
        if text is None:
            field = "devices"
            raise MissingParameter(field)
        names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
        if not names or len(names) > DEVICES_PER_STREAM:
            message = f"Parameter 'devices' must name 1 to {DEVICES_PER_STREAM} devices"
            raise InvalidParameter(message, "devices")
        device_nos = []
        for name in names:
            owned = self._directory.owned(name, principal.operator_id)
            device = owned if is_identifier(name) else None
            if device is None:
                raise NotFound
            device_nos.append(device.device_no)
        return device_nos


def _read_token(scope: Scope) -> str:
    authorization = read_authorization(scope)
    if authorization[:7].lower() == "bearer ":
        return authorization[7:].strip()
    try:
        token = parse_parameters(scope["query_string"]).get("token", "")
    except InvalidParameter:
        token = ""
    if not token:
        raise Unauthenticated
    return token


def parse_channels(text: str) -> frozenset[Channel]:
    """Return what a stream is to carry.

    Raises:
        InvalidParameter: a channel is not known, or none is named.
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or not names.issubset(set(Channel)):
        message = "Parameter 'channels' must be some of " + ", ".join(Channel)
        raise InvalidParameter(message, "channels", text)
    return frozenset(map(Channel, names))


async def _read_until_left(receive: Receive) -> None:
    """Take and drop what the client sends; the stream speaks one way."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _refuse(send: Send, error: ApiError, request_id: bytes) -> None:
    body = encode_failure(error)
    headers = [JSON_TYPE, (b"x-request-id", request_id), *failure_headers(error)]
    headers.append((b"content-length", b"%d" % len(body)))
    start = {"type": "websocket.http.response.start", "status": error.http_status}
    await send({**start, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def _close(send: Send, code: int, reason: str) -> None:
    await send({"type": "websocket.close", "code": code, "reason": reason})

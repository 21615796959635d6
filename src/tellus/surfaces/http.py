"""The pipeline: one order of checks for every endpoint of ``/v1``.

Address limit, authentication and signature (401), scope (403), principal limit (429), shape of
path, query and body (400), then the handler: ownership (404) and values against the resource (400,
409). The only ``except Exception`` of the platform is here.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, Protocol

from tellus.kernel.call import ANYONE, NOTHING, Audience, Call, Principal
from tellus.kernel.clock import Clock
from tellus.kernel.errors import (
    ApiError,
    InternalError,
    PermissionDenied,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from tellus.surfaces import cors
from tellus.surfaces.consenting import ConsentGate, refuse
from tellus.surfaces.credentials import (
    bearer_of,
    check_network,
    read_authorization,
    split_enrolment,
)
from tellus.surfaces.endpoint import Endpoint
from tellus.surfaces.envelope import (
    JSON_TYPE,
    NO_STORE,
    Header,
    encode_failure,
    encode_success,
    failure_headers,
)
from tellus.surfaces.guard.connections import CONNECTION_KEY, Connection
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.proxies import TrustedProxies
from tellus.surfaces.idempotency import read_key
from tellus.surfaces.media import Receive, check_media, read_body, until_left
from tellus.surfaces.ratelimit import Limiter
from tellus.surfaces.reading import ReadAccounting
from tellus.surfaces.routes import Answer, LimitClass
from tellus.surfaces.routing import Router, check_path
from tellus.surfaces.signing import Signatures, Signed, check_signed
from tellus.surfaces.streaming import Download, Downloads
from tellus.surfaces.streaming_files import StoredDownload
from tellus.surfaces.streaming_formats import choose_format
from tellus.surfaces.uploading import CLOSE, SIGNED_BYTES, Uploads, open_upload, upload_of

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Any]
Body = bytes | Download | StoredDownload
Work = Callable[[], Awaitable[Body]]


class Authenticator(Signatures, Protocol):
    """What the pipeline asks of identity."""

    def authenticate(self, token: str, audience: Audience) -> Principal:
        """Return the living principal of ``token``; raises Unauthenticated or TokenExpired."""
        ...


class Recorder(Protocol):
    """Where the pipeline reports what went wrong."""

    def failure(self, request_id: str, endpoint: str, error: ApiError, address: str) -> None:
        """Note a refused request."""
        ...

    def crash(self, request_id: str, endpoint: str, error: BaseException) -> None:
        """Note a bug."""
        ...


class Exchange:
    """One request and answer while they pass through the pipeline."""

    __slots__ = ("address", "answer", "endpoint", "headers", "request_id")

    def __init__(self, request_id: str, address: str) -> None:
        self.request_id = request_id
        self.address = address
        self.endpoint: Endpoint | None = None
        self.answer = Answer.ENVELOPE
        self.headers: list[Header] = [JSON_TYPE, (b"x-request-id", request_id.encode())]

    @property
    def name(self) -> str:
        """Return the operation's name, as logs and metrics have it."""
        return self.endpoint.route.operation_id if self.endpoint is not None else "unknown"

    def enter(self, endpoint: Endpoint) -> None:
        """Take note of the endpoint that the request has reached."""
        self.endpoint = endpoint
        self.answer = endpoint.route.answer
        if self.answer is Answer.TOKEN or endpoint.route.secret:
            self.headers.append(NO_STORE)


class Pipeline:
    """Serves the routes of ``router`` over ASGI."""

    def __init__(
        self,
        router: Router,
        authenticator: Authenticator,
        limiter: Limiter,
        clock: Clock,
        drain: DrainState,
        recorder: Recorder,
        proxies: TrustedProxies,
    ) -> None:
        self._router = router
        self.authenticate = authenticator.authenticate
        self._signatures = authenticator
        self._limiter = limiter
        self._clock = clock
        self._drain = drain
        self._recorder = recorder
        self._proxies = proxies
        self._request_numbers = count(1)
        self._request_prefix = f"req_{os.urandom(6).hex()}_"
        self.downloads = Downloads()
        self.uploads = Uploads()
        self.consents: ConsentGate | None = None
        self.admit_export: Callable[[Principal], Awaitable[None]] | None = None
        """Raises what keeps a caller from taking data away as a file, as its region may."""
        self.reads: ReadAccounting | None = None
        self.origins: Callable[[], frozenset[str]] = frozenset
        self.revive: Callable[[str, Audience], Awaitable[Principal]] | None = None

    def next_request_id(self) -> str:
        """Return an identifier that no other answer of this process carries."""
        return f"{self._request_prefix}{next(self._request_numbers):x}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        began_s = perf_counter()
        exchange = Exchange(self.next_request_id(), self._proxies.client_address(scope))
        origin = cors.origin_of(scope)
        if origin is not None and scope["method"] == "OPTIONS" and self.admits_stranger(scope):
            await cors.answer_preflight(send, origin, self.origins(), exchange.headers[1:])
            return
        work = partial(self._run, exchange, scope, receive, origin)
        await self._answer(exchange, began_s, work, send)

    async def conclude(
        self, endpoint: Endpoint, began_s: float, work: Work, scope: Scope, send: Send
    ) -> None:
        """Answer a request that came the short way; ``work`` returns the body or raises."""
        exchange = Exchange(self.next_request_id(), self._proxies.client_address(scope))
        exchange.enter(endpoint)
        await self._answer(exchange, began_s, work, send)

    async def _answer(self, exchange: "Exchange", began_s: float, work: Work, send: Send) -> None:
        try:
            status, body = 200, await work()
        except ApiError as error:
            status, body = error.http_status, encode_failure(error, exchange.answer)
            exchange.headers += failure_headers(error)
            if exchange.endpoint is not None and exchange.endpoint.route.upload:
                exchange.headers.append(CLOSE)
            self._recorder.failure(exchange.request_id, exchange.name, error, exchange.address)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a bug becomes a 500 and a log line
            status, body = 500, encode_failure(InternalError(), exchange.answer)
            self._recorder.crash(exchange.request_id, exchange.name, error)
        if exchange.endpoint is not None:
            exchange.endpoint.tally(status, perf_counter() - began_s)
        if not isinstance(body, bytes):
            await self._deliver(exchange, body, send)
            return
        headers = exchange.headers
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _deliver(
        self, exchange: "Exchange", file: Download | StoredDownload, send: Send
    ) -> None:
        """Send a file; what fails on the way leaves it without an end: the server breaks off."""
        try:
            await file.deliver(exchange.headers, send)
        except ApiError as error:
            self._recorder.failure(exchange.request_id, exchange.name, error, exchange.address)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._recorder.crash(exchange.request_id, exchange.name, error)

    def admits_stranger(self, scope: Scope) -> bool:
        """Count a request that needs no token; tell whether its address may send another one."""
        address = self._proxies.client_address(scope)
        try:
            self._limiter.check_unauthenticated(address, self._clock.monotonic_s())
        except TooManyRequests:
            return False
        return True

    async def _run(
        self, exchange: "Exchange", scope: Scope, receive: Receive, origin: str | None
    ) -> Body:
        """Return the body of the answer, after all checks in their order."""
        path, enrolment = split_enrolment(scope["path"])
        endpoint, parameters = self._find(scope["method"], path, exchange.address)
        exchange.enter(endpoint)
        authorization = read_authorization(scope)
        try:
            principal = self._identify(endpoint, authorization, exchange.address)
        except Unauthenticated:
            if self.revive is None:
                raise
            principal = await self.revive(bearer_of(authorization), endpoint.audience)
        signed = None
        if principal.signing != "off":
            signed = await self._check_signed(endpoint, scope, receive, principal, exchange.address)
        connection = scope["extensions"].get(CONNECTION_KEY)
        self.admit(endpoint, connection, principal, exchange.address)
        if self._limiter.is_shared(endpoint.limit):
            now_s = self._clock.monotonic_s()
            await self._limiter.check_together(principal, endpoint.limit, now_s)
        if origin is not None and origin in principal.cors_origins:
            exchange.headers += cors.allow(origin)
        read = partial(_body_of, signed, receive, scope, endpoint.body_bytes)
        call = await self._shape(endpoint, scope, (receive, read), principal, parameters)
        call.idempotency_key = read_key(endpoint.route, scope)
        if self.consents is not None and endpoint.bit:
            await self.consents.admit(endpoint, call)
        call.address = exchange.address
        call.request_id = exchange.request_id
        call.authorization = authorization
        call.enrolment = enrolment or authorization.removeprefix("Bearer ")
        return await self._respond(exchange, endpoint, call, (scope, receive), signed)

    async def _respond(
        self,
        exchange: "Exchange",
        endpoint: Endpoint,
        call: Call[Any, Any],
        source: tuple[Scope, Receive],
        signed: Signed | None,
    ) -> Body:
        """Return the body of the answer to a call that may be made."""
        scope, receive = source
        kind = None if endpoint.route.table is None else choose_format(scope)
        is_file = kind is not None or exchange.answer is Answer.FILE
        if is_file and self.admit_export is not None:
            await self.admit_export(call.principal)
        if kind is not None:
            check = partial(self._check_consent, endpoint, call)
            download = await self.downloads.begin(endpoint, call, kind, check)
            await self._note_read(endpoint, call, None)
            return download
        if exchange.answer is Answer.FILE:
            stored = await self.downloads.begin_stored(endpoint, call)
            if self.reads is not None:
                await self._note_read(endpoint, call, await self.reads.subject_of(call))
            return stored
        answer = partial(self._handle, endpoint, call, exchange.answer)
        if self.consents is not None and endpoint.bit:
            answer = partial(self.consents.track, call, answer)
        if endpoint.route.upload:
            if signed is None:
                call.upload = open_upload(receive, scope, endpoint.body_bytes)
            else:
                call.upload = upload_of(signed.body, scope)
            answer = partial(self.uploads.take, call, answer)
        if signed is not None and endpoint.route.is_control:
            return await self._signatures.answer_once(call.principal, signed.signature, answer)
        return await answer()

    async def _handle(self, endpoint: Endpoint, call: Call[Any, Any], answer: Answer) -> bytes:
        result = await endpoint.handle(call)
        if endpoint.reads is not None:
            await self._note_read(endpoint, call, result)
        return encode_success(result, answer)

    async def _note_read(self, endpoint: Endpoint, call: Call[Any, Any], result: Any) -> None:
        """Count what was read of devices; the first of a day is on disk before the answer."""
        if self.reads is None or endpoint.reads is None:
            return
        if self.reads.count(endpoint.reads, call, result):
            await self.reads.flush()

    def _check_consent(self, endpoint: Endpoint, call: Call[Any, Any]) -> None:
        if self.consents is not None and endpoint.bit:
            self.consents.check(endpoint, call)

    def _find(self, method: str, path: str, address: str) -> tuple[Endpoint, dict[str, Any]]:
        try:
            return self._router.find(method, path)
        except ApiError:
            self._limiter.check_unauthenticated(address, self._clock.monotonic_s())
            raise

    def admit(
        self, endpoint: Endpoint, connection: Connection | None, principal: Principal, address: str
    ) -> None:
        """Check scope and limits of who calls, and count the call; raises what refuses it."""
        if endpoint.audience is Audience.PUBLIC:
            self._check_draining()
            return
        if principal.allowed_networks:
            check_network(principal, address)
        if endpoint.scope is not None and endpoint.scope not in principal.scopes:
            raise PermissionDenied(f"This needs the scope '{endpoint.scope}'", scope=endpoint.scope)
        self._check_draining()
        if endpoint.audience is Audience.DEVICE:
            principal.last_seen_ms = now_ms = self._clock.now_ms()
            if connection is not None and not connection.claim_device(principal.principal_id):
                raise TooManyRequests(1, "This device holds too many connections")
            if endpoint.bit and not principal.permit.allows(endpoint.bit, now_ms):
                refuse(endpoint)
        if endpoint.limit is not LimitClass.NONE and not self._limiter.is_shared(endpoint.limit):
            self._limiter.check_principal(principal, endpoint.limit, self._clock.monotonic_s())

    def _identify(self, endpoint: Endpoint, authorization: str, address: str) -> Principal:
        """Return who calls."""
        if endpoint.audience is Audience.PUBLIC:
            self._limiter.check_unauthenticated(address, self._clock.monotonic_s())
            return ANYONE
        try:
            return self.authenticate(bearer_of(authorization), endpoint.audience)
        except ApiError:
            self._limiter.check_unauthenticated(address, self._clock.monotonic_s())
            raise

    async def _check_signed(
        self, endpoint: Endpoint, scope: Scope, receive: Receive, principal: Principal, address: str
    ) -> Signed | None:
        """Return the signature of a client that may or must sign; a wrong one counts as none."""
        caller = (principal, endpoint.route.is_control, self._clock.now_ms())
        most = min(endpoint.body_bytes, SIGNED_BYTES)
        read = partial(read_body, receive, scope, most)
        try:
            return await check_signed(self._signatures, scope, caller, read)
        except Unauthenticated:
            self._limiter.check_unauthenticated(address, self._clock.monotonic_s())
            raise

    def _check_draining(self) -> None:
        if self._drain.draining:
            raise Unavailable("The server is stopping", 2)

    async def _shape(
        self,
        endpoint: Endpoint,
        scope: Scope,
        source: tuple[Receive, Callable[[], Awaitable[bytes]]],
        principal: Principal,
        parameters: dict[str, Any],
    ) -> Call[Any, Any]:
        """Return the call with path, query and body in their types."""
        receive, read = source
        path = check_path(parameters) if parameters else parameters
        query = endpoint.decode_query(scope["query_string"])
        raw = b""
        body: Any = NOTHING
        if endpoint.reads_body:
            form = not endpoint.route.optional_body and check_media(scope, endpoint)
            raw = await read()
            if raw and endpoint.route.optional_body:
                form = check_media(scope, endpoint)
            body = self._decode(endpoint, principal, raw, form=form)
        call = Call(principal, body, query, self._clock.now_ms(), path, raw)
        if endpoint.hears_leaving:
            call.left = partial(until_left, receive)
        return call

    def _decode(self, endpoint: Endpoint, principal: Principal, raw: bytes, *, form: bool) -> Any:
        try:
            return endpoint.decode_body(raw, form=form)
        except ApiError:
            tolerate = endpoint.route.lenient
            if tolerate is None or not principal.lenient:
                raise
            body = tolerate(raw)
            principal.deviations += 1
            return body


async def _body_of(
    signed: Signed | None, receive: Receive, scope: Scope, limit_bytes: int
) -> bytes:
    """Return the body; where a signature was checked it has been read."""
    return signed.body if signed is not None else await read_body(receive, scope, limit_bytes)

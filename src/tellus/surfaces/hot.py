"""The short way of hot routes: a request is an errand, its answer a callback of the commit.

It serves what the pipeline would answer with 200 and nothing else. Its checks are the pipeline's
own; before the first of them leaves a trace all that leaves none have passed, and what any refuses
is declined: the pipeline then finds the same, in its order, and says so.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError
from tellus.surfaces import cors
from tellus.surfaces.credentials import bearer_of, read_authorization
from tellus.surfaces.endpoint import Endpoint
from tellus.surfaces.envelope import JSON_TYPE, NULL_BODY
from tellus.surfaces.guard.errands import Headers
from tellus.surfaces.guard.protocol import GuardProtocol
from tellus.surfaces.http import Pipeline, Scope, Send
from tellus.surfaces.media import check_media

Enqueue = Callable[[Any, Any, "Answer"], None]
"""``Database.enqueue``."""

_BEFORE_ID = b"%b: %b\r\nx-request-id: " % JSON_TYPE
_AFTER_ID = b"\r\ncontent-length: %d\r\n\r\n%b" % (len(NULL_BODY), NULL_BODY)


class HotRoutes:
    """Recognises the errands of routes that have a hot operation."""

    def __init__(
        self, endpoints: Iterable[Endpoint], pipeline: Pipeline, enqueue: Enqueue, clock: Clock
    ) -> None:
        self.pipeline = pipeline
        self.enqueue = enqueue
        self.now_ms = clock.now_ms
        self._endpoints = {
            (endpoint.route.method, endpoint.route.path.encode()): endpoint
            for endpoint in endpoints
            if endpoint.route.hot is not None
        }

    def recognise(self, method: str, target: bytes, headers: Headers) -> "HotErrand | None":
        """Return the errand of a head; None where the pipeline has anything to ask about it."""
        endpoint = self._endpoints.get((method, target))
        if endpoint is None:
            return None
        head = {"headers": headers}
        try:
            token = bearer_of(read_authorization(head))
            check_media(head, endpoint)
        except ApiError:
            return None
        if cors.origin_of(head) is not None:
            return None
        forwarded = [header for header in headers if header[0] == b"x-forwarded-for"]
        return HotErrand(self, endpoint, token, forwarded)


class HotErrand:
    """What one head asks for: which endpoint, by whom."""

    __slots__ = ("endpoint", "forwarded", "hot", "token")

    def __init__(self, hot: HotRoutes, endpoint: Endpoint, token: str, forwarded: Headers) -> None:
        self.hot = hot
        self.endpoint = endpoint
        self.token = token
        self.forwarded = forwarded

    def run(self, peer: GuardProtocol, body: bytes) -> bool:
        """Queue the operation and owe its answer to ``peer``, or decline and leave no trace."""
        began_s = perf_counter()
        hot, endpoint = self.hot, self.endpoint
        if len(body) > endpoint.body_bytes:
            return False
        try:
            principal = hot.pipeline.authenticate(self.token, endpoint.audience)
            if principal.signing != "off" or principal.allowed_networks:
                return False
            decoded = endpoint.decode_body(body, form=False)
            operation = endpoint.prepare(decoded, principal, hot.now_ms())
            if operation is None:
                return False
            hot.pipeline.admit(endpoint, peer.connection, principal, "")
        except Exception:  # noqa: BLE001 - errors and bugs alike are the pipeline's to tell
            return False
        answer = Answer(self, peer, began_s)
        peer.owe(answer)
        try:
            hot.enqueue(*operation, answer)
        except ApiError as error:
            answer.set_exception(error)
        return True


class Answer:
    """The answer that is owed for an errand; it waits for the commit as a future would."""

    __slots__ = ("_began_s", "_errand", "_given", "_lost", "_peer")

    more_body = False

    def __init__(self, errand: HotErrand, peer: GuardProtocol, began_s: float) -> None:
        self._errand = errand
        self._peer = peer
        self._began_s = began_s
        self._given = False
        self._lost = False

    def lose(self) -> None:
        """Hear that the peer is gone."""
        self._lost = True

    def done(self) -> bool:
        """Tell whether the answer was given."""
        return self._given

    def set_result(self, _result: Any) -> None:
        """Answer with 200: the operation is durable."""
        peer, errand = self._peer, self._errand
        if self._lost or peer.guard.drain.draining:
            self._conclude(_null)
            return
        self._given = True
        errand.endpoint.tally(200, perf_counter() - self._began_s)
        request_id = errand.hot.pipeline.next_request_id().encode()
        peer.give(peer.guard.begin_of_ok + _BEFORE_ID + request_id + _AFTER_ID)

    def set_exception(self, error: Exception) -> None:
        """Answer with a failure."""
        self._conclude(partial(_raise, error))

    def _conclude(self, work: Callable[[], Awaitable[bytes]]) -> None:
        """Let the pipeline answer: it knows failures, and how a connection ends."""
        self._given = True
        errand, began_s = self._errand, self._began_s
        scope = {
            "type": "http",
            "method": errand.endpoint.route.method,
            "client": self._peer.client,
            "headers": errand.forwarded,
        }

        async def app(scope: Scope, _receive: Any, send: Send) -> None:
            await errand.hot.pipeline.conclude(errand.endpoint, began_s, work, scope, send)

        self._peer.give_by_task(scope, app)


async def _null() -> bytes:
    return NULL_BODY


async def _raise(error: Exception) -> bytes:
    raise error

"""One attempt at a push over real HTTP: what each kind of peer makes of it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest
from aiohttp import web

from tellus.delivery.client import ANSWER_BYTES
from tellus.delivery.model import Outcome, Verdict
from tellus.legacy.delivery import Delivery
from tellus.legacy.model import PeerAuth, PushOperation
from tellus.legacy.model_outbox import Destination, OwedPush
from tests.unit.legacy.outbox_bench import BODY, owed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Peer:
    """An HTTP server on a free port that answers as it is told, and keeps what it is asked."""

    def __init__(self, answer: Handler) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            (request.method, request.path, dict(request.headers), await request.read())
        )
        return await self._answer(request)

    def destination(self, **changes: Any) -> Destination:
        return Destination(push_url=f"http://127.0.0.1:{self.port}/v1", **changes)


def answering(content: bytes | str, status: int = 200, **headers: str) -> Handler:
    """A peer that always answers the same."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        body = content.encode() if isinstance(content, str) else content
        return web.Response(body=body, status=status, headers=headers)

    return answer


def attempt(
    answer: Handler, push: OwedPush | None = None, *, timeout_s: float = 20.0, **changes: Any
) -> tuple[Verdict, Peer]:
    """Send a push to a peer that answers so; return how it went, and the peer."""
    peer = Peer(answer)

    async def scenario() -> Verdict:
        async with peer:
            delivery = Delivery(allows_private=True, timeout_s=timeout_s)
            try:
                return await delivery.send(peer.destination(**changes), push or owed())
            finally:
                await delivery.close()

    return asyncio.run(scenario()), peer


@pytest.mark.parametrize(
    ("operation", "method"),
    [(PushOperation.WORK_STATUS, "POST"), (PushOperation.STATION_STATUS, "PUT")],
)
def test_delivery__peer_accepts__body_goes_as_it_is_by_the_published_method(
    operation: PushOperation, method: str
) -> None:
    """Each push goes to its published path and method, with its bytes and nothing added."""
    verdict, peer = attempt(answering('{"Status":"Accept"}'), owed(operation))
    assert verdict == (Outcome.ACCEPTED, 200)
    ((asked, path, headers, body),) = peer.asked
    assert (asked, path, body.decode()) == (method, f"/v1/customer/{operation.value}", BODY)
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answering('{"Status":"Reject"}'), (Outcome.REJECTED, 200)),
        (answering('{"Status":"accept"}'), (Outcome.GARBAGE, 200)),
        (answering("{}"), (Outcome.GARBAGE, 200)),
        (answering("<html>"), (Outcome.GARBAGE, 200)),
        (answering(b"\xff\xfe\x00"), (Outcome.GARBAGE, 200)),
        (answering("[" * 60_000), (Outcome.GARBAGE, 200)),
        (answering('{"Status":"Accept"}', 500), (Outcome.BAD_STATUS, 500)),
        (answering('{"Status":"Reject"}', 404), (Outcome.BAD_STATUS, 404)),
        (answering('{"Status":"Accept"}', 201), (Outcome.BAD_STATUS, 201)),
        (answering(" " * ANSWER_BYTES + '{"Status":"Accept"}'), (Outcome.TOO_LARGE, 200)),
    ],
)
def test_delivery__other_answers__are_told_apart(
    answer: Handler, expected: tuple[Outcome, int]
) -> None:
    """Only a 200 that says Accept or Reject is a verdict."""
    verdict, _ = attempt(answer)
    assert verdict == expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_delivery__redirect__is_not_followed(status: int) -> None:
    """A peer cannot send a push elsewhere."""

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        if request.path == "/stolen":
            return web.Response(text='{"Status":"Accept"}')
        return web.Response(status=status, headers={"Location": "/stolen"})

    verdict, peer = attempt(elsewhere)
    assert verdict == (Outcome.REDIRECTED, status)
    assert [asked[1] for asked in peer.asked] == ["/v1/customer/notify_work_status"]


def test_delivery__silent_peer__ends_in_time() -> None:
    """A peer that says nothing is left when the time is over."""

    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    verdict, _ = attempt(silent, timeout_s=0.3)
    assert verdict == (Outcome.TIMEOUT, None)


def test_delivery__peer_that_drips__ends_in_time() -> None:
    """Time is counted for the whole answer, not for each of its parts."""

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    verdict, _ = attempt(dripping, timeout_s=0.3)
    assert verdict == (Outcome.TIMEOUT, None)


def test_delivery__nobody_listens__is_unreachable() -> None:
    """A port where nobody listens is an outcome like any other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def scenario() -> Verdict:
        delivery = Delivery(allows_private=True, timeout_s=20.0)
        try:
            to = Destination(push_url=f"http://127.0.0.1:{port}")
            return await delivery.send(to, owed())
        finally:
            await delivery.close()

    assert asyncio.run(scenario()) == (Outcome.UNREACHABLE, None)


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_delivery__peer_speaks_no_http__is_an_outcome(said: bytes) -> None:
    """Whatever comes over the connection, the attempt ends with an outcome."""

    async def scenario() -> Verdict:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        delivery = Delivery(allows_private=True, timeout_s=20.0)
        try:
            async with server:
                to = Destination(push_url=f"http://127.0.0.1:{port}")
                return await delivery.send(to, owed())
        finally:
            await delivery.close()

    assert asyncio.run(scenario()).outcome in (Outcome.GARBAGE, Outcome.UNREACHABLE)


def test_delivery__bearer_secret__goes_along() -> None:
    """A peer that gave us a token gets it with each push."""
    _, peer = attempt(answering('{"Status":"Accept"}'), auth=PeerAuth.BEARER, secret="tok_1")
    assert peer.asked[0][2]["Authorization"] == "Bearer tok_1"


@pytest.mark.parametrize("secret", ["", "tok\r\nX-Other: 1", "tökén"])
def test_delivery__secret_that_fits_no_header__is_not_sent(secret: str) -> None:
    """What would break out of its header never leaves."""
    verdict, peer = attempt(answering('{"Status":"Accept"}'), auth=PeerAuth.BEARER, secret=secret)
    assert verdict == (Outcome.UNAUTHENTICATED, None)
    assert peer.asked == []


class TokenPeer(Peer):
    """A peer that gives out tokens; ``forget`` makes the last one void."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.given = 0
        self.good = ""
        self.status = 200

    def forget(self) -> None:
        self.good = ""

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/token"):
            self.given += 1
            self.good = f"tok_{self.given}"
            answer = {"access_token": self.good, "token_type": "Bearer", "expires_in": 86_400}
            return web.json_response(answer, status=self.status)
        if request.headers.get("Authorization") != f"Bearer {self.good}":
            return web.Response(status=401)
        return web.json_response({"Status": "Accept"})

    def destination(self, **changes: Any) -> Destination:
        return super().destination(
            auth=PeerAuth.CLIENT_CREDENTIALS,
            secret="sk_made_up",
            token_url=f"http://127.0.0.1:{self.port}/v1/operator/oauth/token",
            auth_id="cl_us",
        )


def test_delivery__client_credentials__one_token_serves_many_and_is_renewed() -> None:
    """A token is fetched once and used again; one that the peer forgot is replaced at once."""
    peer = TokenPeer()

    async def scenario() -> list[Outcome]:
        async with peer:
            delivery = Delivery(allows_private=True, timeout_s=20.0)
            try:
                outcomes = [(await delivery.send(peer.destination(), owed())).outcome]
                outcomes.append((await delivery.send(peer.destination(), owed())).outcome)
                peer.forget()
                outcomes.append((await delivery.send(peer.destination(), owed())).outcome)
                return outcomes
            finally:
                await delivery.close()

    assert asyncio.run(scenario()) == [Outcome.ACCEPTED] * 3
    assert peer.given == 2


def test_delivery__peer_gives_no_token__push_is_not_sent() -> None:
    """Without a token nothing goes out, and the attempt says so."""
    peer = TokenPeer()
    peer.status = 403

    async def scenario() -> Verdict:
        async with peer:
            delivery = Delivery(allows_private=True, timeout_s=20.0)
            try:
                return await delivery.send(peer.destination(), owed())
            finally:
                await delivery.close()

    assert asyncio.run(scenario()) == (Outcome.UNAUTHENTICATED, 403)
    assert [asked[1] for asked in peer.asked] == ["/v1/operator/oauth/token"]


def test_destination__shown__keeps_its_secret() -> None:
    """A destination can be logged without giving anything away."""
    to = Destination(push_url="https://peer.example/v1", auth=PeerAuth.BEARER, secret="tok_1")
    assert "tok_1" not in f"{to} {to!r}"

"""What is no valid request gets an answer in the envelope and never reaches the application."""

import contextlib

import pytest

from tests.api.server.conftest import Serve

HEAD = b"POST /ok HTTP/1.1\r\nHost: x\r\n"

MALFORMED = {
    "length and chunked": HEAD
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "length twice": HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "list of lengths": HEAD + b"Content-Length: 3, 3\r\n\r\nabc",
    "signed length": HEAD + b"Content-Length: +3\r\n\r\nabc",
    "negative length": HEAD + b"Content-Length: -3\r\n\r\nabc",
    "huge length": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "empty length": HEAD + b"Content-Length: \r\n\r\n",
    "unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "gzip then chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity and chunked": HEAD
    + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST /ok HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "bare CR in a value": HEAD + b"X: a\rb\r\n\r\n",
    "bare CR as line end": b"GET /ok HTTP/1.1\rHost: x\r\r",
    "bare LF as line end": b"GET /ok HTTP/1.1\nHost: x\n\n",
    "NUL in a value": HEAD + b"X: a\0b\r\n\r\n",
    "NUL in a name": HEAD + b"X\0: a\r\n\r\n",
    "control in a value": HEAD + b"X: a\x01b\r\n\r\n",
    "folded line": HEAD + b"X: a\r\n b\r\n\r\n",
    "empty name": HEAD + b": a\r\n\r\n",
    "two hosts": HEAD + b"Host: y\r\n\r\n",
    "unknown method": b"FOO /ok HTTP/1.1\r\n\r\n",
    "connect": b"CONNECT a:80 HTTP/1.1\r\n\r\n",
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3": b"GET /ok HTTP/3.0\r\n\r\n",
    "HTTP/0.9": b"GET /ok\r\n\r\n",
    "bytes over 127 in the target": b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "target without a path": b"GET ok HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed__sent_at_once__is_400_and_never_seen_by_the_application(
    serve: Serve, name: str
) -> None:
    """A request that two parsers could read differently is refused and not handled."""
    rig = serve()
    rig.ask(MALFORMED[name]).assert_refusal(400, 1001)
    assert rig.app.started == []


@pytest.mark.parametrize("name", ["length and chunked", "NUL in a value", "folded line"])
def test_malformed__sent_byte_by_byte__is_400(serve: Serve, name: str) -> None:
    """How the bytes are cut into packets makes no difference."""
    rig = serve(head_timeout_s=5.0)
    with rig.connect() as peer:
        peer.sock.setsockopt(6, 1, 1)
        for byte in MALFORMED[name]:
            try:
                peer.send(bytes([byte]))
            except ConnectionError:
                break
        peer.read().assert_refusal(400, 1001)
    assert rig.app.started == []


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"3\nabc\n", b"-1\r\n", b"3\r\nabcd\r\n"])
def test_bad_chunk__in_mid_body__is_400_and_the_handler_sees_a_disconnect(
    serve: Serve, chunk: bytes
) -> None:
    """A body that breaks off in nonsense ends the request instead of hanging it."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"POST /park HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        rig.eventually(lambda: rig.app.started)
        peer.send(chunk)
        peer.read().assert_refusal(400, 1001)
        assert peer.is_closed()


def test_malformed__behind_a_good_request__is_answered_after_it(serve: Serve) -> None:
    """A refusal never takes the place of an answer that is owed."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /park HTTP/1.1\r\n\r\nGET /ok HTTP/1.1\r\nX: a\0b\r\n\r\n")
        rig.eventually(lambda: rig.app.parked)
        rig.app.call(rig.app.release.set)
        assert peer.read().status == 200
        peer.read().assert_refusal(400, 1001)
        assert peer.is_closed()
    assert rig.app.started == ["/park"]


def test_trailers__that_look_like_headers__are_not_added(serve: Serve) -> None:
    """Nobody slips an Authorization header in behind the body."""
    rig = serve()
    request = (
        b"POST /ok HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    )
    assert rig.ask(request).json["size"] == 3
    assert rig.app.trailing == [[b"transfer-encoding"]]


def test_trailers__without_end__are_refused(serve: Serve) -> None:
    """What is neither head nor body is bounded as well."""
    rig = serve(body_timeout_s=10.0)
    with rig.connect() as peer:
        peer.send(b"POST /ok HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                peer.send(b"a" * 1024)
        peer.read().assert_refusal(400, 1001)


def test_pipeline__of_many_requests__is_answered_in_order(serve: Serve) -> None:
    """Requests sent ahead are answered one after the other."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"".join(b"GET /a%d HTTP/1.1\r\n\r\n" % n for n in range(100)))
        assert [peer.read().json["path"] for _ in range(100)] == [f"/a{n}" for n in range(100)]


def test_pipeline__beyond_the_bound__is_refused_after_what_was_taken(serve: Serve) -> None:
    """A flood of requests without awaiting answers is cut off."""
    rig = serve(pipelined_requests=10)
    with rig.connect() as peer:
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n" * 100)
        assert [peer.read().status for _ in range(11)] == [200] * 11
        peer.read().assert_refusal(400, 1001)


@pytest.mark.parametrize("split", [False, True])
def test_upgrade__to_another_protocol__is_ignored_and_the_body_is_read(
    serve: Serve, *, split: bool
) -> None:
    """A client that offers HTTP/2 in clear (as Java's does) is served over HTTP/1.1."""
    rig = serve()
    with rig.connect() as peer:
        head = (
            b"POST /ok HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n"
        )
        second = b"GET /next HTTP/1.1\r\n\r\n"
        if split:
            peer.send(head)
            rig.eventually(lambda: rig.app.started)
            peer.send(b"ab")
            peer.send(b"cde" + second)
        else:
            peer.send(head + b"abcde" + second)
        assert peer.read().json["size"] == 5
        assert peer.read().json["path"] == "/next"
        peer.send(b"GET /third HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + second)
        assert peer.read().json["path"] == "/third"
        assert peer.read().json["path"] == "/next"


def test_crash__of_a_handler__is_500_in_the_envelope_and_logged(serve: Serve) -> None:
    """A bug is answered like every failure, before or after the answer was begun."""
    rig = serve()
    for path in (b"/crash", b"/halfway"):
        rig.ask(b"GET " + path + b" HTTP/1.1\r\n\r\n").assert_refusal(500, 9001)
    assert [event for event, _ in rig.logged].count("application_error") == 2


def test_crash__in_mid_answer__cuts_the_connection(serve: Serve) -> None:
    """An answer that cannot be completed is never passed off as complete."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /torn HTTP/1.1\r\n\r\n")
        seen = b""
        while data := _receive(peer.sock):
            seen += data
        assert not seen.endswith(b"0\r\n\r\n")


def _receive(sock: object) -> bytes:
    try:
        return sock.recv(4096)  # type: ignore[attr-defined]
    except ConnectionError:
        return b""

"""Sizes and deadlines of what a peer sends."""

import time

import pytest

from tests.api.server.conftest import Serve


def test_target__over_its_bound__is_414(serve: Serve) -> None:
    """A request target of more than 32 KiB is refused."""
    rig = serve()
    good = rig.ask(b"GET /" + b"a" * 32767 + b" HTTP/1.1\r\n\r\n")
    assert good.status == 200
    rig.ask(b"GET /" + b"a" * 32768 + b" HTTP/1.1\r\n\r\n").assert_refusal(414, 1001)


def test_target__that_never_ends__is_414_before_its_end(serve: Serve) -> None:
    """The bound bites while the target is still coming."""
    rig = serve(head_timeout_s=10.0)
    with rig.connect() as peer:
        peer.send(b"GET /" + b"a" * 33_000)
        peer.read().assert_refusal(414, 1001)


def test_headers__over_their_bound__are_431(serve: Serve) -> None:
    """Headers of more than 16 KiB in all are refused, many small ones or one large one."""
    rig = serve()
    overhead = len("x: \r\n")
    for lines in (b"X: %b\r\n" % (b"a" * (16384 - overhead)), b"X: a\r\n" * (16384 // 6)):
        assert rig.ask(b"GET /ok HTTP/1.1\r\n" + lines + b"\r\n").status == 200
        rig.ask(b"GET /ok HTTP/1.1\r\n" + lines + b"Y: b\r\n\r\n").assert_refusal(431, 1001)


def test_headers__that_never_end__are_431_before_their_end(serve: Serve) -> None:
    """The bound bites while a header is still coming."""
    rig = serve(head_timeout_s=10.0)
    with rig.connect() as peer:
        peer.send(b"GET /ok HTTP/1.1\r\nX: ")
        for _ in range(5):
            peer.send(b"a" * 8192)
        peer.read().assert_refusal(431, 1001)


def test_refused_peer__sending_on__is_heard_no_more(serve: Serve) -> None:
    """What follows a refusal is thrown away, even a request that would be good."""
    rig = serve(head_timeout_s=10.0)
    with rig.connect() as peer:
        peer.send(b"GET /ok HTTP/1.1\r\nX: " + b"a" * 30_000)
        peer.read_head()
        peer.send(b"\r\n\r\nGET /ok HTTP/1.1\r\n\r\n")
        rig.eventually(lambda: not rig.server.guard.requests)
    assert rig.app.started == []
    assert rig.server.guard.refused == {431: 1}


def test_refused_peers__one_after_the_other__leave_nothing_behind(serve: Serve) -> None:
    """Every refused peer may read its refusal, and the room for that is given back."""
    rig = serve()
    for _ in range(100):
        rig.ask(b"GET /ok HTTP/3.0\r\n\r\n").assert_refusal(400, 1001)
    rig.eventually(lambda: not rig.server.guard.requests)
    assert rig.server.guard.register.begin_linger()
    assert rig.server.guard.register._lingering == 1


def test_headers__behind_a_large_body_in_one_packet__are_not_blamed_for_it(serve: Serve) -> None:
    """Only a request's own head counts against its bound."""
    rig = serve()
    with rig.connect() as peer:
        body = b"b" * 60_000
        for _ in range(3):
            request = b"POST /ok HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + body
            peer.send(request + b"GET /ok HTTP/1.1\r\nX: ")
            assert peer.read().json["size"] == 60_000
            peer.send(b"a\r\n\r\n")
            assert peer.read().status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /ok HT", b"GET /ok HTTP/1.1\r\nX: a\r\n"])
def test_head__that_does_not_arrive__is_408(serve: Serve, sent: bytes) -> None:
    """A connection that never says what it wants is answered and closed."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(sent)
        peer.read().assert_refusal(408, 1001)
        assert peer.is_closed()


def test_head__trickling__is_408_in_spite_of_every_byte(serve: Serve) -> None:
    """Single bytes do not buy time."""
    rig = serve()
    with rig.connect() as peer:
        ends_at = time.monotonic() + 10
        peer.sock.settimeout(0.05)
        peer.send(b"GET /ok HTTP/1.1\r\nX: ")
        while time.monotonic() < ends_at:
            try:
                peer.send(b"a")
                if peer._more():
                    break
            except (TimeoutError, ConnectionError):
                continue
        peer.read().assert_refusal(408, 1001)


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
)
def test_body__that_does_not_arrive__is_408_and_a_disconnect(serve: Serve, framing: bytes) -> None:
    """The handler that waits for the body is told, the peer is answered."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"POST /ok HTTP/1.1\r\n" + framing)
        peer.read().assert_refusal(408, 1001)
        assert peer.is_closed()
    rig.eventually(lambda: not rig.server.server_state.tasks)


def test_body__slow_but_at_the_allowed_pace__is_read(serve: Serve) -> None:
    """A large upload over a slow line takes the time it needs."""
    rig = serve(body_timeout_s=0.2, body_rate_bytes_s=10_000)
    with rig.connect() as peer:
        peer.send(b"POST /ok HTTP/1.1\r\nContent-Length: 20000\r\n\r\n")
        for _ in range(20):
            peer.send(b"b" * 1000)
            time.sleep(0.04)
        assert peer.read().json["size"] == 20_000


def test_body__of_a_patient_route__may_falter_for_its_grace_and_no_longer(serve: Serve) -> None:
    """Grace is for one request: it may stand still that much longer, the next one may not."""
    rig = serve(body_timeout_s=0.2)
    head = b"POST /%b HTTP/1.1\r\nContent-Length: 2\r\n\r\na"
    with rig.connect() as peer:
        peer.send(head % b"patient")
        time.sleep(0.6)
        peer.send(b"b")
        assert peer.read().json["size"] == 2
        peer.send(head % b"ok")
        peer.read().assert_refusal(408, 1001)
    with rig.connect() as peer:
        began_s = time.monotonic()
        peer.send(head % b"patient")
        peer.read().assert_refusal(408, 1001)
        assert time.monotonic() - began_s > 1.0


def test_body__waiting_in_the_server__is_not_the_peers_delay(serve: Serve) -> None:
    """A handler that reads late costs the peer nothing."""
    rig = serve(body_timeout_s=1.0, body_rate_bytes_s=10**9)
    with rig.connect() as peer:
        size = 16 * 1024 * 1024
        peer.send(b"POST /stuck HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
        peer.sock.setblocking(False)
        left = _fill(peer, size)
        time.sleep(2.0)
        rig.app.call(rig.app.release.set)
        peer.sock.settimeout(10)
        peer.send(b"b" * left)
        assert peer.read().json["size"] == size


def test_body__of_a_gigabyte_that_nobody_reads__stays_outside(serve: Serve) -> None:
    """Back-pressure reaches the sender: the server holds some KiB, not what was offered."""
    rig = serve(body_timeout_s=10.0)
    with rig.connect() as peer:
        peer.send(b"POST /stuck HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n")
        rig.eventually(lambda: rig.app.parked)
        peer.sock.setblocking(False)
        left = _fill(peer, 1_000_000_000)
        held = max(len(p.cycle.body) for p in rig.server.guard.requests if p.cycle)
        assert left > 900_000_000
        assert 0 < held < 1_000_000


def test_parked_request__longer_than_every_deadline__is_no_offence(serve: Serve) -> None:
    """A long-poll waits in peace, and so does the idle connection after it."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /park HTTP/1.1\r\n\r\n")
        time.sleep(1.0)
        rig.app.call(rig.app.release.set)
        assert peer.read().status == 200
        time.sleep(1.0)
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
        assert peer.read().status == 200


def test_half_a_request__behind_a_parked_one__has_its_time_after_it(serve: Serve) -> None:
    """A refusal for the second request waits for the first one's answer."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /park HTTP/1.1\r\n\r\nGET /ok HT")
        time.sleep(1.0)
        rig.app.call(rig.app.release.set)
        assert peer.read().status == 200
        peer.read().assert_refusal(408, 1001)


def test_idle_connection__after_keep_alive__is_closed_silently(serve: Serve) -> None:
    """An idle connection ends without an answer that nobody asked for."""
    rig = serve(keep_alive_s=1)
    with rig.connect() as peer:
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
        assert peer.read().status == 200
        assert peer.is_closed()


def test_early_answer__before_the_body__reaches_the_peer_and_keeps_the_connection(
    serve: Serve,
) -> None:
    """Whoever is refused before the body was read may go on after sending it."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"POST /early HTTP/1.1\r\nContent-Length: 200000\r\n\r\n")
        assert peer.read().status == 401
        peer.send(b"b" * 200_000)
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
        assert peer.read().status == 200


def test_early_answer__with_a_body_beyond_measure__ends_the_connection(serve: Serve) -> None:
    """Nobody keeps the server reading what it throws away."""
    rig = serve(discard_bytes=100_000)
    with rig.connect() as peer:
        peer.send(b"POST /early HTTP/1.1\r\nContent-Length: 900000000\r\n\r\n")
        assert peer.read().status == 401
        with pytest.raises(OSError):  # noqa: PT012 - any of many sends
            for _ in range(10_000):
                peer.send(b"b" * 100_000)


def test_early_answer__that_the_body_is_too_large__says_that_it_closes(serve: Serve) -> None:
    """Whoever is told early that a body is too large is told not to go on with the connection."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"POST /large HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n")
        answer = peer.read()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert peer.is_closed()


def test_early_answer__instead_of_100_continue__closes(serve: Serve) -> None:
    """After a refusal nobody can tell whether the announced body follows."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"POST /early HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        answer = peer.read()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert peer.is_closed()


def test_100_continue__when_the_handler_reads__is_sent(serve: Serve) -> None:
    """A client that asks before sending its body is told to go on."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"POST /ok HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert peer.read_head()[0] == 100
        peer.send(b"hello")
        assert peer.read().json["size"] == 5


def test_peer__that_never_reads_its_answer__is_dropped(serve: Serve) -> None:
    """An endless answer to a peer that has stopped reading ends."""
    rig = serve(write_stall_s=0.3)
    with rig.connect() as peer:
        peer.send(b"GET /endless HTTP/1.1\r\n\r\n")
        rig.eventually(lambda: rig.app.started)
        rig.eventually(lambda: rig.server.guard.register.open_count == 0)
        rig.app.call(rig.app.release.set)
        assert peer.sock.fileno() > 0


def test_peer__that_leaves__is_a_disconnect_for_the_handler(serve: Serve) -> None:
    """A parked handler learns that nobody waits any more, and what was counted is given back."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /park HTTP/1.1\r\n\r\n")
        rig.eventually(lambda: rig.app.parked)
    rig.eventually(lambda: rig.app.left == ["http.disconnect"])
    rig.eventually(lambda: rig.server.guard.register.open_count == 0)


def test_date__of_a_parked_answer__is_that_of_the_answer(serve: Serve) -> None:
    """A charger may set its clock by any answer, also by one that was long in coming."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /park HTTP/1.1\r\n\r\n")
        rig.eventually(lambda: rig.app.parked)
        stamp = rig.server.guard.state.default_headers[0][1].decode()
        rig.eventually(
            lambda: rig.server.guard.state.default_headers[0][1].decode() != stamp,
        )
        rig.app.call(rig.app.release.set)
        assert peer.read().headers["date"] != stamp


def _fill(peer: object, size: int) -> int:
    """Send until the socket takes no more for a while; return what is left to send."""
    left, quiet_since = size, time.monotonic()
    while left and time.monotonic() - quiet_since < 0.5:
        try:
            left -= peer.sock.send(b"b" * min(left, 262_144))  # type: ignore[attr-defined]
            quiet_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    return left

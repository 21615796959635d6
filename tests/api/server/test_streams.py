"""WebSocket connections: handshake, bounds, back-pressure, ends."""

import socket
import time

import pytest

from tellus.surfaces.guard.streamsocket import text_frame
from tests.api.server.conftest import Serve
from tests.api.server.rig import Rig, frame, upgrade_request


def test_stream__accepted__echoes_without_compression(serve: Serve) -> None:
    """A stream is upgraded, dated, and never compressed, even when the peer offers it."""
    rig = serve()
    with rig.connect() as peer:
        offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
        answer = peer.upgrade("/echo?token=x", offer)
        assert answer.status == 101
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert "sec-websocket-extensions" not in answer.headers
        assert answer.headers["date"].endswith("GMT")
        peer.send(frame(1, b"hello"))
        assert peer.read_frame() == (1, b"5")


def test_stream__with_frames_right_behind_the_handshake__loses_none(serve: Serve) -> None:
    """A peer that does not await the answer is heard all the same, its pings after the answer."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(upgrade_request("/echo") + frame(9, b"p") + frame(1, b"hello"))
        assert peer.read().status == 101
        assert [peer.read_frame(), peer.read_frame()] == [(10, b"p"), (1, b"5")]


def test_stream__with_frames_before_it_is_accepted__answers_them_afterwards(serve: Serve) -> None:
    """Nothing is sent ahead of the handshake's answer."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(upgrade_request("/late"))
        rig.eventually(lambda: rig.app.started)
        peer.send(frame(9, b"p") + frame(1, b"hello"))
        rig.eventually(lambda: any(stream.early for stream in rig.server.guard.streams))
        rig.app.call(rig.app.release.set)
        assert peer.read().status == 101
        assert [peer.read_frame(), peer.read_frame()] == [(10, b"p"), (1, b"5")]


def test_stream__flooding_before_it_is_accepted__is_dropped(serve: Serve) -> None:
    """What is kept back for a handler that has not accepted is bounded."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(upgrade_request("/late"))
        rig.eventually(lambda: rig.app.started)
        peer.send(frame(1, b"a" * 4000) * 5)
        assert peer.is_closed()


def test_stream__refused_by_the_application__is_an_http_answer(serve: Serve) -> None:
    """A refusal before the upgrade has its status and body."""
    rig = serve()
    with rig.connect() as peer:
        answer = peer.upgrade("/refuse")
        assert (answer.status, answer.json["code"]) == (404, 3001)
        assert answer.headers["x-request-id"] == "req_1"
        assert answer.headers["connection"] == "close"
        assert "date" in answer.headers
        assert peer.is_closed()


@pytest.mark.parametrize(
    "broken",
    [
        b"Sec-WebSocket-Key: a\r\n",
        b"Sec-WebSocket-Version: 12\r\n",
        b"Content-Length: 3\r\n",
    ],
)
def test_stream__with_a_broken_handshake__is_400(serve: Serve, broken: bytes) -> None:
    """A handshake that is none is refused in the envelope."""
    rig = serve()
    request = upgrade_request("/echo")
    name = broken.partition(b":")[0]
    lines = [x for x in request.split(b"\r\n") if not x.startswith(name)]
    lines.insert(1, broken.strip())
    rig.ask(b"\r\n".join(lines)).assert_refusal(400, 1001)
    assert rig.app.started == []


def test_stream__asked_for_by_post_or_without_upgrade__is_a_plain_request(serve: Serve) -> None:
    """What is no handshake is the application's to answer."""
    rig = serve()
    plain = upgrade_request("/ok").replace(b"GET", b"POST", 1)
    assert rig.ask(plain).json["method"] == "POST"
    assert rig.ask(b"GET /ok HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").json["method"] == "GET"


def test_stream__crashing_before_acceptance__is_500(serve: Serve) -> None:
    """A bug is answered like every failure."""
    rig = serve()
    rig.ask(upgrade_request("/crash")).assert_refusal(500, 9001)
    assert [event for event, _ in rig.logged].count("application_error") == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(1, b"a" * 4097), 1009),
        (frame(1, b"a" * 4000, fin=False) + frame(0, b"a" * 97), 1009),
        (frame(1, b"\xff\xfe"), 1007),
        (frame(1, b"a", reserved=0x40), 1002),
        (frame(3, b"a"), 1002),
        (frame(0, b"a"), 1002),
        (b"\x81\x01a", 1002),
    ],
)
def test_stream__breaking_a_rule__is_closed_with_its_code(
    serve: Serve, sent: bytes, code: int
) -> None:
    """Too large is 1009, no UTF-8 is 1007, other breaches are 1002; the handler learns it."""
    rig = serve()
    with rig.connect() as peer:
        assert peer.upgrade("/echo").status == 101
        peer.send(frame(1, b"a" * 4096))
        assert peer.read_frame() == (1, b"4096")
        peer.send(sent)
        assert peer.close_code() == code
    rig.eventually(lambda: rig.app.left == [str(code)])
    rig.eventually(lambda: rig.server.guard.register.open_count == 0)


def test_stream__of_empty_fragments__holds_nothing(serve: Serve) -> None:
    """Fragments without content are not collected."""
    rig = serve()
    with rig.connect() as peer:
        assert peer.upgrade("/echo").status == 101
        peer.send(frame(1, b"ab", fin=False) + frame(0, b"", fin=False) * 20_000)
        peer.send(frame(9, b"p"))
        assert peer.read_frame() == (10, b"p")
        assert [len(stream.frames) for stream in rig.server.guard.streams] == [1]
        peer.send(frame(0, b"c"))
        assert peer.read_frame() == (1, b"3")
        peer.send(frame(1, b""))
        assert peer.read_frame() == (1, b"0")


def test_stream__closed_by_the_application__says_why(serve: Serve) -> None:
    """The application's close codes reach the peer, and the connection ends."""
    rig = serve()
    with rig.connect() as peer:
        peer.upgrade("/close")
        assert peer.read_frame() == (8, (4408).to_bytes(2, "big") + b"slow")
        peer.send(frame(8, (4408).to_bytes(2, "big")))
        assert peer.is_closed()


def test_stream__whose_peer_leaves__tells_the_handler_and_logs_nothing(serve: Serve) -> None:
    """A peer that goes is no error."""
    rig = serve()
    with rig.connect() as peer:
        peer.upgrade("/echo")
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    rig.eventually(lambda: rig.app.left)
    rig.eventually(lambda: not rig.server.guard.streams)
    assert [event for event, _ in rig.logged] == ["server_started"]


def test_stream__whose_peer_answers_no_ping__is_dropped(serve: Serve) -> None:
    """A dead peer is found by its silence."""
    rig = serve(stream_ping_s=0.2)
    with rig.connect() as peer:
        peer.upgrade("/echo")
        assert peer.read_frame()[0] == 9
        rig.eventually(lambda: rig.app.left == ["1006"])
        rig.eventually(lambda: not rig.server.guard.streams)


def test_stream__whose_peer_answers_pings__stays(serve: Serve) -> None:
    """A living peer that has nothing to say is kept."""
    rig = serve(stream_ping_s=0.1)
    with rig.connect() as peer:
        peer.upgrade("/echo")
        for _ in range(5):
            opcode, payload = peer.read_frame()
            assert opcode == 9
            peer.send(frame(10, payload))
        assert rig.app.left == []


def test_slow_peer__that_reads_nothing__is_seen_as_not_writable_and_bounded(serve: Serve) -> None:
    """A sender that asks first keeps little for a slow peer, in the process and in the kernel."""
    rig = serve()
    with rig.connect() as peer:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.upgrade("/echo")
        offered, taken = _offer(rig, 5000, 1000)
        assert offered == 5000
        assert taken < 1500
        assert rig.app.peers[0].buffered_bytes() < 80 * 1024
        while taken:
            peer.read_frame()
            taken -= 1
        rig.eventually(rig.app.peers[0].is_writable)


def test_slow_peer__closed_by_the_application__hears_why_when_it_reads(serve: Serve) -> None:
    """A close does not wait until the slow peer has caught up, and comes after what was sent."""
    rig = serve()
    with rig.connect() as peer:
        peer.upgrade("/slow")
        rig.eventually(lambda: rig.app.left == ["closed"])
        assert peer.close_code() == 4408


def test_slow_peer__closed_and_still_not_reading__is_dropped(serve: Serve) -> None:
    """A peer that never takes its close frame does not stay for it."""
    rig = serve(stream_close_s=0.3)
    with rig.connect() as peer:
        peer.upgrade("/slow")
        rig.eventually(lambda: rig.app.left == ["closed"])
        rig.eventually(lambda: rig.server.guard.register.open_count == 0)
        assert not rig.app.peers[0].is_open()


def test_slow_peer__dropped_by_the_application__is_gone_at_once(serve: Serve) -> None:
    """Dropping does not wait for what cannot be sent."""
    rig = serve()
    with rig.connect() as peer:
        peer.upgrade("/echo")
        _offer(rig, 20_000, 10_000)
        assert not rig.app.peers[0].is_writable()
        rig.app.call(rig.app.peers[0].abort)
        rig.eventually(lambda: not rig.server.guard.streams)
        assert not rig.app.peers[0].is_open()
        assert not rig.app.peers[0].write_frame(b"")


def test_pings__from_a_peer_that_reads_nothing__pile_up_no_answers(serve: Serve) -> None:
    """A flood of pings costs its sender, not the server."""
    rig = serve()
    with rig.connect() as peer:
        peer.upgrade("/echo")
        flood = frame(9, b"p" * 125) * 2000
        ends_at = time.monotonic() + 5
        peer.sock.settimeout(0.2)
        try:
            for _ in range(100):
                peer.send(flood)
                assert time.monotonic() < ends_at
        except TimeoutError:
            pass
        assert rig.app.peers[0].buffered_bytes() < 1_000_000


def test_plain_request__after_an_early_upgrade_behind_another__is_refused(serve: Serve) -> None:
    """A handshake cannot overtake an answer that is owed."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /park HTTP/1.1\r\n\r\n" + upgrade_request("/echo"))
        rig.eventually(lambda: rig.app.parked)
        rig.app.call(rig.app.release.set)
        assert peer.read().status == 200
        peer.read().assert_refusal(400, 1001)
    assert rig.app.started == ["/park"]


def _offer(rig: Rig, count: int, size: int) -> tuple[int, int]:
    """Write prepared frames while the peer is writable; return how many were offered and taken."""
    results: list[tuple[int, int]] = []
    peer = rig.app.peers[0]
    prepared = text_frame(b"x" * size)

    def write() -> None:
        taken = 0
        for _ in range(count):
            if peer.is_writable():
                taken += peer.write_frame(prepared)
        results.append((count, taken))

    rig.app.call(write)
    rig.eventually(lambda: results)
    return results[0]

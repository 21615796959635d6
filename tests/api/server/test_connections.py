"""Caps on connections: per address, per device, in all; who counts as whom behind proxies."""

import contextlib

import pytest

from tellus.surfaces.guard.connections import ConnectionRegister
from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.proxies import TrustedProxies
from tests.api.server.conftest import Serve


def register(**limits: object) -> ConnectionRegister:
    """Build a register with the given limits."""
    proxies = TrustedProxies(("10.9.0.0/16", "fd00::1"))
    return ConnectionRegister(GuardLimits(**limits), proxies)  # type: ignore[arg-type]


def test_total_cap__reached__is_503_until_one_leaves(serve: Serve) -> None:
    """Beyond the cap in all a newcomer is told to come back later; nobody is displaced."""
    rig = serve(connections_total=3, head_timeout_s=10.0)
    with contextlib.ExitStack() as held:
        peers = [held.enter_context(rig.connect()) for _ in range(3)]
        for peer in peers:
            peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
            assert peer.read().status == 200
        answer = rig.ask(b"GET /ok HTTP/1.1\r\n\r\n")
        answer.assert_refusal(503, 9001)
        assert int(answer.headers["retry-after"]) >= 1
        peers[0].send(b"GET /ok HTTP/1.1\r\n\r\n")
        assert peers[0].read().status == 200
    rig.eventually(lambda: rig.server.guard.register.open_count == 0)
    assert rig.ask(b"GET /ok HTTP/1.1\r\n\r\n").status == 200


def test_address_cap__on_loopback__does_not_apply(serve: Serve) -> None:
    """A proxy or simulator on the same machine speaks for many."""
    rig = serve(connections_per_address=1)
    with rig.connect() as first, rig.connect() as second:
        for peer in (first, second):
            peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
            assert peer.read().status == 200


@pytest.mark.parametrize(
    ("address", "neighbour", "counted"),
    [
        ("192.0.2.1", "192.0.2.2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", True),
        ("::ffff:192.0.2.1", "192.0.2.2", True),
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("::ffff:127.0.0.1", "", False),
        ("10.9.3.4", "", False),
        ("fd00::1", "", False),
    ],
)
def test_address_cap__by_kind_of_address__counts_strangers_only(
    address: str, neighbour: str, *, counted: bool
) -> None:
    """Loopback and trusted proxies are exempt, everyone else has a cap of its own."""
    connections = register(connections_per_address=2)
    first = connections.admit(address)
    assert first is not None
    assert connections.admit(address) is not None
    assert (connections.admit(address) is None) == counted
    if counted:
        assert connections.admit(neighbour) is not None
    first.close()
    first.close()
    assert connections.admit(address) is not None
    assert (connections.admit(address) is None) == counted


def test_address_cap__for_one_ipv6_network__counts_all_its_addresses() -> None:
    """Whoever owns a /64 has no more connections than one address."""
    connections = register(connections_per_address=2)
    assert connections.admit("2001:db8::1") is not None
    assert connections.admit("2001:db8::ffff:2") is not None
    assert connections.admit("2001:db8::3") is None


def test_address_cap__after_everybody_left__keeps_nothing() -> None:
    """Counts do not outlive the connections."""
    connections = register()
    held = [connections.admit(f"192.0.2.{n}") for n in range(50)]
    for n, connection in enumerate(held):
        assert connection is not None
        assert connection.claim_device(f"dvc_{n}")
        connection.close()
    counts = (connections.open_count, connections.address_count, connections.device_count)
    assert counts == (0, 0, 0)


def test_total_cap__by_default__is_four_fifths_of_the_file_limit() -> None:
    """Files are left for the database and for listening."""
    import resource  # noqa: PLC0415

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert GuardLimits().resolved_total() == int(soft * 0.8)


def test_device_cap__of_other_connections__is_refused_until_one_closes(serve: Serve) -> None:
    """A device holds eight connections; the ninth is refused, the eight go on."""
    rig = serve(head_timeout_s=10.0, loopback_is_exempt=False)
    ask = b"GET /device?dvc_1 HTTP/1.1\r\n\r\n"
    with contextlib.ExitStack() as held:
        peers = [held.enter_context(rig.connect()) for _ in range(9)]
        for peer in peers[:8]:
            for _ in range(2):
                peer.send(ask)
                assert peer.read().status == 200
        peers[8].send(ask)
        assert peers[8].read().status == 429
        peers[8].send(b"GET /device?dvc_2 HTTP/1.1\r\n\r\n")
        assert peers[8].read().status == 200
        peers[0].sock.close()
        rig.eventually(lambda: rig.server.guard.register._by_device["dvc_1"] == 7)
        peers[8].send(ask)
        assert peers[8].read().status == 200
    rig.eventually(lambda: rig.server.guard.register.device_count == 0)


def test_device_cap__behind_a_trusted_proxy__counts_requests_in_flight(serve: Serve) -> None:
    """A proxy's pooled connections serve one device after the other."""
    rig = serve(trusted_proxies=("127.0.0.1",), connections_per_device=1)
    with rig.connect() as first, rig.connect() as second:
        for peer in (first, second, first):
            peer.send(b"GET /device?dvc_1 HTTP/1.1\r\n\r\n")
            assert peer.read().status == 200
    assert rig.server.guard.register.device_count == 0


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ((), b"203.0.113.5", "127.0.0.1"),
        (("10.0.0.0/8",), b"203.0.113.5", "127.0.0.1"),
        (("127.0.0.1",), b"203.0.113.5", "203.0.113.5"),
        (("127.0.0.1",), b"6.6.6.6, 203.0.113.5", "203.0.113.5"),
        (("127.0.0.1", "10.0.0.0/8"), b"6.6.6.6, 203.0.113.5, 10.1.2.3", "203.0.113.5"),
        (("127.0.0.1",), b"203.0.113.5:4711", "203.0.113.5"),
        (("127.0.0.1",), b"[2001:db8::5]:4711", "2001:db8::5"),
        (("127.0.0.1",), b"2001:db8::5", "2001:db8::5"),
        (("127.0.0.1",), b"nonsense", "127.0.0.1"),
        (("127.0.0.1",), b"203.0.113.5, nonsense", "127.0.0.1"),
        (("127.0.0.1",), b"203.0.113.5\r\nX-Forwarded-For: 203.0.113.6", "203.0.113.6"),
    ],
)
def test_client_address__by_who_forwards__believes_trusted_proxies_only(
    serve: Serve, trusted: tuple[str, ...], forwarded: bytes, address: str
) -> None:
    """Nobody chooses the address that limits are counted by."""
    rig = serve(trusted_proxies=trusted)
    request = b"GET /whoami HTTP/1.1\r\nX-Forwarded-For: " + forwarded + b"\r\n\r\n"
    assert rig.ask(request).json["address"] == address


def test_trusted_proxies__that_are_no_addresses__are_an_error() -> None:
    """A typing error in the configuration is found at start."""
    with pytest.raises(ValueError, match="does not appear"):
        TrustedProxies(("proxy.example",))


def test_many_addresses__asked_about__are_not_remembered_for_ever() -> None:
    """The memory of known addresses is bounded."""
    proxies = TrustedProxies(("10.0.0.0/8",))
    for n in range(10_000):
        proxies.trusts(f"192.0.{n // 256}.{n % 256}")
    assert len(proxies._known) <= 4096


def test_device_cap__on_loopback__does_not_count(serve: Serve) -> None:
    """A gateway on the same machine may pool its connections as it likes."""
    rig = serve(connections_per_device=1)
    with rig.connect() as first, rig.connect() as second:
        for peer in (first, second):
            peer.send(b"GET /device?dvc_1 HTTP/1.1\r\n\r\n")
            assert peer.read().status == 200


def test_device_cap__of_a_pooled_connection__counts_for_its_last_device() -> None:
    """A connection that serves many devices in turn holds a place of the last one alone."""
    connections = register(connections_per_device=1)
    first, second = connections.admit("192.0.2.1"), connections.admit("192.0.2.1")
    assert first is not None
    assert second is not None
    assert first.claim_device("dvc_1")
    assert first.claim_device("dvc_2")
    assert second.claim_device("dvc_1")
    assert not second.claim_device("dvc_2")
    assert first.claim_device("dvc_1")

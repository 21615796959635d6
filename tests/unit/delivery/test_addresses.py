"""Pushes cannot be led astray: not by names, not by numbers in disguise, not by redirects."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tellus.delivery.addresses import AddressRefused, CheckedResolver, check_url, is_allowed
from tellus.delivery.model import Outcome, Verdict
from tellus.legacy.delivery import Delivery
from tellus.legacy.model_outbox import Destination
from tests.unit.legacy.outbox_bench import owed

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"]
NEAR = [
    "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "192.0.2.1", "192.0.0.192", "192.88.99.1", "fec0::1",
    "64:ff9b:1::7f00:1", "3fff::1", "::ffff:192.0.0.192", "64:ff9b::c000:c0",
]  # fmt: skip
NEVER = [
    "0.0.0.0",  # noqa: S104 - what is never to be connected to
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "::ffff:0.0.0.0",
]


def infos(*addresses: str, port: int = 443) -> Sequence[tuple[Any, ...]]:
    """What a lookup that finds these addresses returns."""
    return [
        (
            socket.AF_INET6 if ":" in address else socket.AF_INET,
            socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port),
        )
        for address in addresses
    ]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_is_allowed__public_address__always(text: str) -> None:
    """The internet is where peers are."""
    address = ipaddress.ip_address(text)
    assert is_allowed(address, allows_private=False)
    assert is_allowed(address, allows_private=True)


@pytest.mark.parametrize("text", NEAR)
def test_is_allowed__near_address__only_where_allowed(text: str) -> None:
    """This machine and its networks are out of reach unless that is wanted."""
    assert not is_allowed(ipaddress.ip_address(text), allows_private=False)


@pytest.mark.parametrize("text", ["127.0.0.1", "10.1.2.3", "100.64.0.1", "::1", "::ffff:127.0.0.1"])
def test_is_allowed__near_address_allowed__is_reached(text: str) -> None:
    """A sandbox reaches its own machine."""
    assert is_allowed(ipaddress.ip_address(text), allows_private=True)


@pytest.mark.parametrize("text", NEVER)
def test_is_allowed__no_single_machine__never(text: str) -> None:
    """What is no single machine is no peer, whatever is allowed."""
    assert not is_allowed(ipaddress.ip_address(text), allows_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://peer.example/v1", "ftp://peer.example/", "https://", "https://:443/", "a.example",
        "https://user@peer.example/", "https://user:word@peer.example/", "https://peer.example/?x=1",
        "https://peer.example/#x", "https://peer.example:0/", "https://peer.example:99999/",
        "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1:8443/v1", "https://peer example/",
        "https://peer.example\\@127.0.0.1/", "file:///etc/passwd", "https://[::1", "",
        "https://peer.example/\r\nX: 1",
    ],
)  # fmt: skip
def test_check_url__not_what_pushes_go_to__is_named(url: str) -> None:
    """A configured address is HTTPS to a host that is not ours, and nothing more."""
    assert check_url(url, allows_private=False)


@pytest.mark.parametrize("url", ["https://peer.example", "https://peer.example:8443/v1/"])
def test_check_url__https_to_a_host__is_fine(url: str) -> None:
    """An ordinary address has nothing wrong with it."""
    assert check_url(url, allows_private=False) is None
    assert check_url("http://127.0.0.1:8600/v1", allows_private=True) is None


class Trap:
    """A listener on 127.0.0.1 that counts who connects."""

    def __init__(self) -> None:
        self.connected = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._count, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _count(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        writer.close()


async def send(
    to: str,
    answers: list[Sequence[tuple[Any, ...]]],
    asked: list[str],
    *,
    allows_private: bool = False,
) -> Verdict:
    """Send a push where names resolve as told, one answer after the other."""

    def look_up(host: str, _port: int) -> Sequence[tuple[Any, ...]]:
        asked.append(host)
        return answers.pop(0)

    delivery = Delivery(allows_private=allows_private, lookup=look_up, timeout_s=20.0)
    try:
        return await delivery.send(Destination(push_url=to), owed())
    finally:
        await delivery.close()


@pytest.mark.parametrize("host", ["peer.example", "localhost", "127.1", "2130706433", "0x7f.1"])
def test_delivery__name_of_this_machine__is_never_connected_to(host: str) -> None:
    """A name, or a number in disguise, that leads to this machine is refused before a byte goes."""

    async def scenario() -> None:
        async with Trap() as trap:
            asked: list[str] = []
            found = infos("127.0.0.1", port=trap.port)
            verdict = await send(f"https://{host}:{trap.port}/v1", [found], asked)
            assert verdict == (Outcome.ADDRESS_REFUSED, None)
            assert trap.connected == 0

    asyncio.run(scenario())


def test_delivery__near_address_allowed__is_connected_to() -> None:
    """The trap of these tests does notice who comes."""

    async def scenario() -> None:
        async with Trap() as trap:
            found = infos("127.0.0.1", port=trap.port)
            to = f"https://peer.example:{trap.port}/v1"
            verdict = await send(to, [found], [], allows_private=True)
            assert verdict.outcome is not Outcome.ADDRESS_REFUSED
            assert trap.connected == 1

    asyncio.run(scenario())


def test_delivery__name_that_changes__is_resolved_once() -> None:
    """A name that is harmless at first and then leads here is not asked a second time."""

    async def scenario() -> None:
        async with Trap() as trap:
            asked: list[str] = []
            # The first answer is a near address that the check refuses; the second would be used
            # if anything asked again.
            answers = [infos("10.255.255.1", port=trap.port), infos("93.184.216.34")]
            verdict = await send(f"https://peer.example:{trap.port}/", answers, asked)
            assert verdict == (Outcome.ADDRESS_REFUSED, None)
            assert asked == ["peer.example"]

    asyncio.run(scenario())


def test_resolver__near_among_public__only_the_public_are_left() -> None:
    """What is handed to the client is what was checked."""

    async def scenario() -> None:
        found = infos("127.0.0.1", "93.184.216.34")
        resolver = CheckedResolver(allows_private=False, lookup=lambda _host, _port: found)
        assert [one["host"] for one in await resolver.resolve("peer.example", 443)] == [
            "93.184.216.34"
        ]
        with pytest.raises(AddressRefused):
            resolver.make_socket(tuple(found[0]))
        resolver.make_socket(tuple(found[1])).close()
        await resolver.close()

    asyncio.run(scenario())


def _write_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate for ``name`` that vouches for itself; return it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, secret


@pytest.mark.parametrize(
    ("host", "is_trusted", "expected"),
    [
        ("peer.example", True, (Outcome.ACCEPTED, 200)),
        ("other.example", True, (Outcome.TLS_FAILED, None)),
        ("peer.example", False, (Outcome.TLS_FAILED, None)),
    ],
)
def test_delivery__tls__is_for_the_name_though_the_address_was_chosen(
    tmp_path: Path, host: str, *, is_trusted: bool, expected: tuple[Outcome, int | None]
) -> None:
    """The certificate is checked against the configured name, at the address that was checked."""
    chain, key = _write_certificate(tmp_path, "peer.example")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(chain, key)
    trusting = ssl.create_default_context(cafile=str(chain)) if is_trusted else None

    async def accept(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"Status": "Accept"})

    async def scenario() -> Verdict:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", accept)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving).start()
        port = runner.addresses[0][1]
        delivery = Delivery(
            allows_private=True,
            lookup=lambda _host, _port: infos("127.0.0.1", port=port),
            tls=trusting,
            timeout_s=20.0,
        )
        try:
            to = Destination(push_url=f"https://{host}:{port}/v1")
            return await delivery.send(to, owed())
        finally:
            await delivery.close()
            await runner.cleanup()

    assert asyncio.run(scenario()) == expected

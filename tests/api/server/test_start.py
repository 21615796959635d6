"""Starting: ports, TLS, failures."""

import asyncio
import datetime as dt
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tellus.surfaces.guard.server import ServerStartError, TlsFiles, build_server
from tests.api.server.conftest import Serve
from tests.api.server.rig import DoorApp, upgrade_request

FRAME = b"\x81\x85\0\0\0\0hello"


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    """A certificate for localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, private = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return TlsFiles(chain, private)


def test_tls__served_directly__carries_requests_streams_and_refusals(
    serve: Serve, files: TlsFiles
) -> None:
    """Everything works the same inside TLS."""
    rig = serve(tls=files)
    context = ssl.create_default_context(cafile=files.certificate)
    with rig.connect(context) as peer:
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
        assert peer.read().status == 200
        peer.send(b"GET /ok HTTP/1.1\r\nX: \0\r\n\r\n")
        peer.read().assert_refusal(400, 1001)
    with rig.connect(context) as peer:
        peer.send(upgrade_request("/echo") + FRAME)
        assert peer.read().status == 101
        assert peer.read_frame() == (1, b"5")


def test_tls__older_than_1_2__is_refused(serve: Serve, files: TlsFiles) -> None:
    """Protocols that are broken are not spoken."""
    rig = serve(tls=files)
    context = ssl.create_default_context(cafile=files.certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)), rig.connect(context):
        pass


def test_tls__with_unusable_files__does_not_start(tmp_path: Path) -> None:
    """A wrong path is an error at start, not at the first connection."""
    app = DoorApp()
    server = build_server(app, tls=TlsFiles(tmp_path / "none", tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        asyncio.run(server.serve())


def test_port__already_taken__is_an_error_before_the_application_starts(serve: Serve) -> None:
    """A second server on the port fails with the system's own words."""
    rig = serve()
    app = DoorApp()
    with pytest.raises(OSError, match="in use"):
        asyncio.run(build_server(app, port=rig.port).serve())
    assert app.loop is None


def test_application__that_does_not_start__ends_the_server() -> None:
    """A failed start is an error for the caller, and nothing listens."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    server = build_server(app)
    with pytest.raises(ServerStartError):
        asyncio.run(server.serve())
    assert not server.ready.is_set()


def test_server__on_localhost__listens_for_both_families_on_one_port() -> None:
    """A name with two addresses is served on both."""
    app = DoorApp()
    server = build_server(app, host="localhost")
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.ready.wait(10)
    assert server.bound_port > 0
    server.request_stop()
    thread.join(10)
    assert not thread.is_alive()

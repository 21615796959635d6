"""The sample files for proxies: each is loaded by its proxy and carries what tellus needs.

With several nodes the first of them is gone: whoever calls must not notice. A proxy that is not
installed here is skipped.
"""

import asyncio
import datetime as dt
import ipaddress
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect

from tellus.surfaces.stream import DEVICES_PER_STREAM
from tests.docs.markdown import REPOSITORY
from tests.server import RunningServer, start_server

SAMPLES = REPOSITORY / "deploy" / "proxies"
_READY_WITHIN_S = 15.0


@dataclass(frozen=True)
class Files:
    """Where one run of a proxy keeps its things."""

    folder: Path
    port: int
    upstream: str
    nobody: str

    @property
    def configuration(self) -> Path:
        """The file that the proxy reads."""
        return self.folder / "proxy.conf"

    @property
    def log(self) -> Path:
        """Where it logs to."""
        return self.folder / "access.log"


def write_nginx(files: Files, *, nodes: str = "one-node") -> list[str]:
    """Write the samples below the rest of a configuration; return the command."""
    sample = _adapted(
        ("nginx/tellus.conf", f"nginx/{nodes}.conf"),
        {
            "listen 443 ssl;": f"listen 127.0.0.1:{files.port} ssl;",
            **_node_addresses(files, nodes),
            "/etc/ssl/tellus": str(files.folder),
            "/var/log/nginx/tellus.log": str(files.log),
            "/var/log/nginx/tellus.error.log": str(files.folder / "error.log"),
        },
    )
    places = "".join(
        f"{kind}_temp_path {files.folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Its workers have to write into a folder that is this user's alone.
    user = "user root;\n" if os.geteuid() == 0 else ""
    files.configuration.write_text(
        f"{user}daemon off;\npid {files.folder}/pid;\nworker_processes 1;\nevents {{}}\n"
        f"http {{\n{places}{sample}}}\n"
    )
    early = str(files.folder / "start.log")
    return ["nginx", "-p", str(files.folder), "-e", early, "-c", str(files.configuration)]


def write_caddy(files: Files) -> list[str]:
    """Write the sample for a name that Caddy signs by itself; return the command."""
    certificate = f"tls {files.folder}/certificate.pem {files.folder}/key.pem"
    sample = _adapted(
        ("Caddyfile",),
        {
            "{\n\t# Access": "{\n\tadmin off\n\tauto_https disable_redirects\n\t# Access",
            "tellus.example.com {": f"https://127.0.0.1:{files.port} {{\n\t{certificate}",
            "reverse_proxy 127.0.0.1:8600": f"reverse_proxy {files.upstream}",
            "/var/log/caddy/tellus.log": str(files.log),
        },
    )
    files.configuration.write_text(sample)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(files.configuration)]


def write_haproxy(files: Files, *, nodes: str = "one-node") -> list[str]:
    """Write the samples; return the command."""
    both = (files.folder / "certificate.pem").read_text() + (files.folder / "key.pem").read_text()
    (files.folder / "both.pem").write_text(both)
    sample = _adapted(
        ("haproxy/haproxy.cfg", f"haproxy/{nodes}.cfg"),
        {
            "maxconn 20000": "maxconn 200",
            "bind :443": f"bind 127.0.0.1:{files.port}",
            "/etc/ssl/tellus": str(files.folder),
            **_node_addresses(files, nodes),
        },
    )
    files.configuration.write_text(sample)
    return ["haproxy", "-f", str(files.configuration)]


def _node_addresses(files: Files, nodes: str) -> dict[str, str]:
    """Return what stands for the addresses of a sample; the first of several is nobody's."""
    if nodes == "one-node":
        return {"127.0.0.1:8600": files.upstream}
    return {"172.30.86.11:8600": files.nobody, "172.30.86.12:8600": files.upstream}


def _adapted(names: Sequence[str], places: dict[str, str]) -> str:
    """Return samples, one below the other, with their places replaced; each must be there."""
    text = "\n".join((SAMPLES / name).read_text() for name in names)
    for place, ours in places.items():
        assert place in text, f"{names} no longer hold {place!r}"
        text = text.replace(place, ours)
    return text


CHECKS = {
    "nginx": lambda command: [*command, "-t"],
    "caddy": lambda command: [command[0], "validate", *command[2:]],
    "haproxy": lambda command: [*command, "-c"],
}
WRITERS: dict[str, Callable[[Files], list[str]]] = {
    "nginx": write_nginx,
    "nginx-several": partial(write_nginx, nodes="several-nodes"),
    "caddy": write_caddy,
    "haproxy": write_haproxy,
    "haproxy-several": partial(write_haproxy, nodes="several-nodes"),
}
"""What writes the configuration of each proxy, for one node and for several."""


@pytest.fixture(params=list(WRITERS))
def proxy(request: pytest.FixtureRequest) -> str:
    """Each proxy that is installed, in each of its shapes."""
    name: str = request.param
    if shutil.which(_program(name), path=_search_path()) is None:
        pytest.skip(f"{_program(name)} is not installed here")
    return name


def _program(name: str) -> str:
    return name.partition("-")[0]


def _search_path() -> str:
    return os.environ["PATH"] + ":/usr/sbin:/sbin"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A platform that believes a proxy on 127.0.0.1."""
    trusted = {"TELLUS_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    running = start_server(tmp_path / "data", environment=trusted)
    yield running
    running.stop()


@pytest.fixture
def files(tmp_path: Path, server: RunningServer) -> Files:
    """A folder with a certificate for 127.0.0.1."""
    folder = tmp_path / "proxy"
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    upstream = server.base_url.removeprefix("http://")
    return Files(folder, _free_port(), upstream, f"127.0.0.1:{_free_port()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_proxy(name: str, files: Files) -> Iterator[str]:
    """The proxy for the length of a block; yields its base URL."""
    command = WRITERS[name](files)
    with (files.folder / "printed.log").open("ab") as printed:
        process = subprocess.Popen(
            command,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env={"PATH": _search_path(), "HOME": str(files.folder)},
        )
    try:
        _wait_for_port(process, files)
        yield f"https://127.0.0.1:{files.port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait_for_port(process: subprocess.Popen[bytes], files: Files) -> None:
    until_s = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < until_s and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", files.port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError((files.folder / "printed.log").read_text())


def _trust(files: Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files.folder / "certificate.pem"))


def test_proxy_sample__checked_by_its_proxy__is_valid(proxy: str, files: Files) -> None:
    """The proxy itself finds nothing wrong with the sample."""
    command = CHECKS[_program(proxy)](WRITERS[proxy](files))
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": _search_path(), "HOME": str(files.folder)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_proxy_sample__at_work__passes_streams_and_polls_and_logs_no_token(
    proxy: str, server: RunningServer, files: Files
) -> None:
    """Stream, long-poll and register pass; the log holds their paths and none of their tokens."""
    enrolment = server.provision("SN-BEHIND", _first_site(server))
    client = server.create_client()
    with running_proxy(proxy, files) as base_url, _caller(files, base_url) as caller:
        prefix = f"/e/{enrolment}"
        device_id, token = _register(caller, prefix, "SN-BEHIND")
        _take_command(caller, client.token, device_id, token)
        upload = _upload_logs(caller, client.token, device_id, token)
        url = f"wss{base_url.removeprefix('https')}/v1/operator/stream"
        query = f"devices={device_id}&token={client.token}"
        longest = f"devices={','.join([device_id] * DEVICES_PER_STREAM)}&token={client.token}"
        for asked in (query, longest):
            with connect(f"{url}?{asked}", ssl=_trust(files)) as stream:
                frame = json.loads(stream.recv(timeout=10))
                assert frame["device_id"] == device_id
        assert "127.0.0.2" in _register_addresses(server)
    server.stop()
    with running_proxy(proxy, files) as base_url, _caller(files, base_url) as caller:
        refused = caller.get(f"/v1/operator/stream?{query}")
        assert (refused.status_code, refused.json()["code"]) == (503, 9001)
        assert refused.headers["retry-after"] == "5"
    logged = "".join(path.read_text() for path in files.folder.glob("*.log"))
    assert "/v1/operator/stream" in logged
    assert "/e/-/v1/device/register" in logged
    assert "/uploads/-" in logged
    for secret in (client.token, enrolment, token, upload.rpartition("/")[2]):
        assert secret not in logged
        assert secret[-20:] not in logged


def _first_site(server: RunningServer) -> str:
    site_id: str = server.admin("GET", "/v1/admin/sites")["items"][0]["site_id"]
    return site_id


def _caller(files: Files, base_url: str) -> httpx.Client:
    """A client that calls from 127.0.0.2, so that it can be told from the proxy."""
    transport = httpx.HTTPTransport(verify=_trust(files), local_address="127.0.0.2")
    return httpx.Client(base_url=base_url, transport=transport, timeout=10)


def _register(caller: httpx.Client, prefix: str, sn: str) -> tuple[str, str]:
    """Register a charger whose base URL carries its enrolment token; return its id and a token."""
    body = {"sn": sn, "model": "TP-DC60", "manufacturer": "Maker", "firmware_version": "3.1.0"}
    made = caller.post(f"{prefix}/v1/device/register", json=body).raise_for_status().json()["data"]
    credentials = {
        "grant_type": "client_credentials",
        "device_id": made["device_id"],
        "device_secret": made["device_secret"],
    }
    answer = caller.post(f"{prefix}/v1/device/token", json=credentials).raise_for_status()
    return made["device_id"], answer.json()["access_token"]


def _upload_logs(caller: httpx.Client, operator_token: str, device_id: str, token: str) -> str:
    """Ask a charger for its logs and upload several MiB of them; return the address told."""
    path = f"/v1/operator/devices/{device_id}/diagnostics"
    headers = _bearer(operator_token)
    made = caller.post(path, headers=headers).raise_for_status().json()["data"]
    found = caller.get("/v1/device/commands?connector_id=1&wait=5", headers=_bearer(token))
    address: str = found.raise_for_status().json()["data"]["params"]["upload_url"]
    content = bytes(range(256)) * 4096 * 5
    caller.put(address, content=content).raise_for_status()
    target = f"/v1/operator/diagnostics/{made['report_id']}/download"
    assert caller.get(target, headers=headers).raise_for_status().content == content
    return address


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _take_command(caller: httpx.Client, operator_token: str, device_id: str, token: str) -> None:
    """Wait for a command that comes while waiting, and for one that never comes."""

    async def poll_and_start() -> str:
        poll = asyncio.to_thread(
            caller.get,
            "/v1/device/commands?connector_id=1&wait=9",
            headers={"Authorization": f"Bearer {token}"},
        )
        waiting = asyncio.create_task(poll)
        await asyncio.sleep(0.5)
        path = f"/v1/operator/devices/{device_id}/connectors/1/start"
        headers = {"Authorization": f"Bearer {operator_token}"}
        started = await asyncio.to_thread(caller.post, path, headers=headers)
        started.raise_for_status()
        command_id: str = (await waiting).raise_for_status().json()["data"]["command_id"]
        assert command_id == started.json()["data"]["command_id"]
        return command_id

    asyncio.run(poll_and_start())
    empty = caller.get(
        "/v1/device/commands?connector_id=2&wait=1", headers={"Authorization": f"Bearer {token}"}
    )
    assert empty.raise_for_status().json()["data"] is None


def _register_addresses(server: RunningServer) -> list[str]:
    """Return the addresses that registrations came from, as the audit log has them."""
    entries = server.admin("GET", "/v1/admin/audit-log?size=50")["items"]
    return [e["details"].get("address", "") for e in entries if e["action"] == "device.registered"]

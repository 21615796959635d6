"""No secret, token or VIN is found where none may be: log, metrics, answers, audit, files."""

import gzip
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.contract.canaries import Canary, Hit, flock, scan_bytes, scan_text
from tests.contract.canary_files import scan_packed, scan_paths
from tests.reliability.secret_texts import SecretTexts
from tests.reliability.secret_traffic import SecretTraffic, issued_canaries, plain
from tests.server import RunningServer, start_server

pytestmark = pytest.mark.slow

CANARIES = flock(2_026, each=2)
VINS = [canary for canary in CANARIES if canary.kind == "vin"]

# Loaded by the interpreter of a server that is meant to leak: every request is logged as it came,
# and one header makes the pipeline fall over what it carries.
LEAK = """
import os
import structlog
import tellus.logs
from tellus.surfaces import http

serve, read = http.Pipeline.__call__, http.read_authorization

async def serve_and_tell(self, scope, receive, send):
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    target = scope["path"] + "?" + scope["query_string"].decode("latin-1")
    structlog.get_logger().warning("planted", headers=list(headers.values()), target=target)
    await serve(self, scope, receive, send)

def read_or_fall(scope):
    for name, value in scope["headers"]:
        if name == b"x-fall":
            raise LookupError("fell over " + value.decode("latin-1"))
    return read(scope)

http.Pipeline.__call__ = serve_and_tell
http.read_authorization = read_or_fall
if os.environ.get("LEAK_UNREDACTED"):
    tellus.logs.redact_event = lambda _logger, _method, event: event
"""


@dataclass
class Remains:
    """What is left to be searched after a server took the traffic and stopped."""

    canaries: list[Canary]
    sent: int
    log: str
    metrics: str
    audit: bytes
    refusals: list[bytes]
    answers: list[bytes]
    data_dir: Path

    def hits(self) -> list[Hit]:
        """Every canary in every place."""
        found = scan_text(self.log, self.canaries, "log")
        found += scan_text(self.metrics, self.canaries, "/metrics")
        found += scan_bytes(self.audit, self.canaries, "audit log")
        for refusal in self.refusals:
            found += scan_bytes(refusal, self.canaries, f"answer {refusal[:120]!r}")
        for answer in self.answers:
            found += scan_packed(answer, self.canaries, f"list or file {answer[:120]!r}")
        return found + scan_paths(_files(self.data_dir), self.canaries)


def _files(data_dir: Path) -> list[Path]:
    """All files but the one that holds the administrator's secret by design."""
    return [path for path in data_dir.rglob("*") if path.is_file() and path.name != "admin.json"]


def _take_traffic(server: RunningServer) -> Remains:
    client, device = server.create_client(signing="optional"), server.register()
    canaries = [*CANARIES, *issued_canaries(server, client, device)]
    with SecretTraffic(server, client, device) as traffic:
        traffic.send_misplaced(CANARIES)
        canaries += traffic.upload_logs()
        canaries += traffic.configure_peers([one for one in CANARIES if one.kind != "vin"])
        canaries += traffic.set_up_webhooks([one for one in CANARIES if one.kind != "vin"])
        traffic.send_records(VINS)
        traffic.send_raw(CANARIES)
        texts = SecretTexts(traffic)
        texts.write(VINS)
        texts.read()
        texts.export_and_erase(VINS)
        sent, refusals = traffic.sent, traffic.refusals
    metrics = httpx.get(f"{server.base_url}/metrics").text
    audit = plain(server.admin("GET", "/v1/admin/audit-log?size=100"))
    # Looked at while the server runs, so that the write-ahead log is there to be searched.
    hits_alive = scan_paths(_files(server.data_dir), canaries)
    assert [str(hit) for hit in hits_alive] == []
    assert server.stop() == 0
    return Remains(
        canaries,
        sent,
        "".join(server.stderr),
        metrics,
        audit,
        refusals,
        texts.answers,
        server.data_dir,
    )


@pytest.fixture(scope="module")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remains]:
    """What a server leaves behind that logged all it could."""
    folder = tmp_path_factory.mktemp("secrets")
    server = start_server(folder / "data", "--log-level", "debug")
    try:
        yield _take_traffic(server)
    finally:
        server.stop()


def test_traffic__canaries_everywhere__none_is_found_where_none_may_be(remains: Remains) -> None:
    """Canaries and issued secrets: 0 hits in log, metrics, audit log, refusals and files."""
    assert [str(hit) for hit in remains.hits()] == []
    lines = len(remains.log.splitlines())
    print(f"T14: {remains.sent} requests, {len(remains.refusals)} refused, {lines} log lines")
    assert remains.sent > 500
    assert len(remains.refusals) > 300
    assert remains.log.count("request.refused") > 300


def test_traffic__canaries_everywhere__is_never_a_bug(remains: Remains) -> None:
    """Whatever was sent, nothing crashed over it."""
    assert "request.crashed" not in remains.log
    assert "application_error" not in remains.log


def test_database__leak_planted__is_found(remains: Remains, tmp_path: Path) -> None:
    """Negative control: one VIN and one secret in one cell of a copy, and one in its log."""
    for name in ("tellus.db", "tellus.db-wal"):
        if (remains.data_dir / name).exists():
            shutil.copyfile(remains.data_dir / name, tmp_path / name)
    with closing(sqlite3.connect(tmp_path / "tellus.db")) as database:
        secret = remains.canaries[-5].value
        database.execute("UPDATE instance SET value = ? ", (f"x {VINS[0].value} {secret}",))
        database.commit()
    found = {hit.canary.value for hit in scan_paths([tmp_path], remains.canaries)}
    assert found == {VINS[0].value, secret}


def test_answers__leak_planted__is_found(remains: Remains) -> None:
    """Negative control: a number in one of the lists that were read back, and in a bundle."""
    vin, secret = VINS[1], remains.canaries[-5]
    planted = replace(remains, answers=[b'{"note":"%s"}' % vin.value.encode()], refusals=[])
    assert {hit.canary for hit in planted.hits()} == {vin}
    packed = gzip.compress(secret.value.encode())
    assert {hit.canary for hit in replace(planted, answers=[packed]).hits()} == {secret}


def test_events__vin_in_their_data__is_not_in_the_files(tmp_path: Path) -> None:
    """A VIN that a charger puts into an event is sealed like one in a charging record."""
    server = start_server(tmp_path / "data")
    try:
        with SecretTraffic(server, server.create_client(), server.register()) as traffic:
            traffic.send_events(VINS)
    finally:
        server.stop()
    assert [str(hit) for hit in scan_paths(_files(tmp_path), VINS)] == []


@pytest.mark.parametrize("redacted", [True, False], ids=["redacted", "unredacted"])
def test_log__everything_logged_on_purpose__is_kept_clean_by_redaction_alone(
    tmp_path: Path,
    redacted: bool,  # noqa: FBT001
) -> None:
    """Logging whole requests leaks nothing; without redaction the scan finds the canaries."""
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "sitecustomize.py").write_text(LEAK)
    environment = {"PYTHONPATH": str(tmp_path / "planted")}
    environment |= {} if redacted else {"LEAK_UNREDACTED": "1"}
    server = start_server(tmp_path / "data", environment=environment)
    try:
        client, device = server.create_client(signing="optional"), server.register()
        canaries = [*CANARIES, *issued_canaries(server, client, device)]
        with SecretTraffic(server, client, device) as traffic:
            traffic.send_misplaced(CANARIES[::2])
            for canary in CANARIES[::2]:
                answer = traffic.send("GET", "/v1/operator/sites", headers={"X-Fall": canary.value})
                assert answer.status_code == 500
    finally:
        server.stop()
    log = "".join(server.stderr)
    assert "planted" in log
    assert "LookupError: fell over" in log
    found = {hit.canary for hit in scan_text(log, canaries, "log")}
    if redacted:
        assert found == set()
    else:
        assert set(CANARIES[::2]) <= found
        assert Canary("token", client.token) in found

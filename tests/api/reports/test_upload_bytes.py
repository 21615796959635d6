"""Uploads as bytes on a socket: broken, slow, too large, at once, and with little memory."""

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.api.reports.uploading import (
    UNKNOWN,
    Asked,
    answer_to,
    ask,
    begin,
    connect,
    head_of,
    put,
    wait_until,
)
from tests.api.tenancy import Charger, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer, running_server, start_server

MIB = 1024 * 1024
LARGEST = 32 * MIB


def pieces(size: int, piece: bytes = bytes(64 * 1024)) -> Iterator[bytes]:
    """So many bytes, sent in chunks without a length before them."""
    for start in range(0, size, len(piece)):
        yield piece[: size - start]


def test_upload__announced_too_large__is_refused_before_its_first_byte(charger: Charger) -> None:
    """413 comes at once, and the address is still good."""
    asked = ask(charger)
    with connect(charger.api.base_url) as connection:
        connection.sendall(head_of(asked.upload_url, f"Content-Length: {LARGEST + 1}"))
        said = answer_to(connection)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b'"code":1001' in said
    assert asked.seen()["status"] == "queued"
    assert asked.upload(b"smaller").status_code == 200


def test_upload__chunked_too_large__is_cut_where_it_passes_the_bound(charger: Charger) -> None:
    """What never said how large it is, is stopped; nothing of it stays."""
    asked = ask(charger)
    assert asked.upload(pieces(LARGEST + 64 * 1024)).status_code == 413
    wait_until(lambda: asked.seen()["status"] == "queued", "the report waits again")
    assert asked.upload(pieces(MIB)).status_code == 200


def test_upload__expecting_a_go_ahead__is_refused_without_sending(charger: Charger) -> None:
    """A charger that asks first is told 404 instead of 100, and sends nothing in vain."""
    with connect(charger.api.base_url) as connection:
        lines = ("Content-Length: 1000000", "Expect: 100-continue")
        connection.sendall(head_of(UNKNOWN, *lines))
        assert answer_to(connection).startswith(b"HTTP/1.1 404 ")
    asked = ask(charger)
    with connect(charger.api.base_url) as connection:
        lines = ("Content-Length: 3", "Expect: 100-continue", "Connection: close")
        connection.sendall(head_of(asked.upload_url, *lines))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"log")
        assert answer_to(connection).startswith(b"HTTP/1.1 200 ")


def test_upload__broken_off__leaves_nothing_and_may_come_again(charger: Charger) -> None:
    """A line that breaks in the middle costs nothing but the time."""
    asked = ask(charger)
    with begin(asked, bytes(2 * MIB), 5 * MIB):
        wait_until(lambda: asked.seen()["status"] == "uploading", "the upload is seen")
        assert asked.download().status_code == 404
    wait_until(lambda: asked.seen()["status"] == "queued", "the report waits again")
    assert asked.upload(b"at last").status_code == 200
    assert asked.download().content == b"at last"


def test_upload__while_an_older_one_hangs__takes_its_place(charger: Charger) -> None:
    """A charger that comes back need not wait until its lost connection is noticed."""
    asked = ask(charger)
    with begin(asked, bytes(MIB), 5 * MIB) as hanging:
        wait_until(lambda: asked.seen()["status"] == "uploading", "the upload is seen")
        assert asked.upload(b"the second").status_code == 200
        hanging.sendall(bytes(64 * 1024))
        assert answer_to(hanging).startswith(b"HTTP/1.1 404 ")
    assert asked.download().content == b"the second"


def test_upload__several_at_once_to_one_address__one_wins(charger: Charger) -> None:
    """Of uploads that race exactly one is kept, and told so."""
    asked = ask(charger)
    bodies = [bytes([k]) * (MIB + k) for k in range(6)]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(asked.upload, bodies))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [404] * 5
    winner = next(k for k, answer in enumerate(answers) if answer.status_code == 200)
    assert asked.download().content == bodies[winner]


def test_upload__same_bytes_at_once__no_two_files(charger: Charger) -> None:
    """Repeats that overlap get the first one's answer, or none; the file is there once."""
    asked = ask(charger)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(asked.upload, [b"z" * MIB] * 4))
    statuses = {answer.status_code for answer in answers}
    assert 200 in statuses
    assert statuses <= {200, 404}
    assert asked.download().content == b"z" * MIB


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-encoding": "gzip"}, b"x", 415),
        ({"content-encoding": "identity"}, b"x", 200),
        ({"content-type": "text/html; charset=utf-8"}, b"<b>", 200),
        ({"content-type": "nonsense"}, b"x", 200),
        ({}, b"", 400),
    ],
)
def test_upload__head_and_body__are_judged(
    charger: Charger, headers: dict[str, str], body: bytes, status: int
) -> None:
    """Any media type will do; encoded and empty bodies will not."""
    asked = ask(charger)
    assert asked.upload(body, **headers).status_code == status
    if status == 200:
        kind = asked.download().headers["content-type"]
        assert kind in {"application/zip", "text/html", "application/octet-stream"}


def test_upload__path_that_cannot_be_an_address__looks_unknown(contract: ContractClient) -> None:
    """Odd addresses get the answer of unknown ones."""
    for odd in ("x", "..", "%00", "a" * 65, "upl_%2F"):
        answer = put(f"{contract.base_url}/v1/device/diagnostics/uploads/{odd}", b"x")
        assert answer.status_code == 404
        assert answer.json()["code"] == 3001


# ----------------------------------------------------------------- a server of one's own


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose memory nobody else uses, and that is impatient."""
    with running_server(tmp_path_factory.mktemp("uploads") / "data") as server:
        yield server


def resident_bytes(server: RunningServer) -> int:
    """The highest resident memory of a server so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def tenant_charger(server: RunningServer, contract: ContractClient) -> Charger:
    """A charger on a server."""
    return new_tenant(server, contract).charger()


def test_upload__three_of_the_largest_at_once__memory_stays_bounded(
    own_server: RunningServer,
) -> None:
    """96 MiB come in and go out again while the server grows by a fraction of that."""
    with ContractClient(own_server.base_url) as contract:
        chargers = [tenant_charger(own_server, contract) for _ in range(3)]
        asked = [ask(charger) for charger in chargers]
        asked[0].upload(b"x" * MIB)  # what the first upload needs once
        asked[0] = ask(chargers[0])
        before = resident_bytes(own_server)
        block = os.urandom(MIB)
        with ThreadPoolExecutor(3) as threads:
            taken = list(threads.map(lambda one: one.upload(pieces(LARGEST, block)), asked))
            assert [answer.status_code for answer in taken] == [200] * 3
            digests = list(threads.map(digest_of, asked))
        grown = resident_bytes(own_server) - before
    assert digests == [hashlib.sha256(block * 32).hexdigest()] * 3
    print(f"grew by {grown / MIB:.1f} MiB")
    assert grown < 48 * MIB


def digest_of(asked: Asked) -> str:
    """The digest of a file as it is downloaded, never held whole here either."""
    api = asked.charger.operator
    url = f"{api.base_url}/v1/operator/diagnostics/{asked.report_id}/download"
    digest = hashlib.sha256()
    with httpx.stream("GET", url, headers={"authorization": f"Bearer {api._token}"}) as answer:
        for piece in answer.iter_bytes():
            digest.update(piece)
    return digest.hexdigest()


def test_upload__server_killed_in_the_middle__leaves_nothing_and_may_come_again(
    tmp_path: Path,
) -> None:
    """After a power cut the address still works, and the half file is nobody's."""
    server = start_server(tmp_path / "data")
    try:
        with ContractClient(server.base_url) as contract:
            charger = tenant_charger(server, contract)
            asked = ask(charger)
            with begin(asked, bytes(2 * MIB), 5 * MIB):
                wait_until(lambda: asked.seen()["status"] == "uploading", "the upload is seen")
                server.kill()
        server = start_server(tmp_path / "data")
        with ContractClient(server.base_url) as contract:
            base = contract.base_url
            answer = put(base + asked.upload_url, b"after the cut")
            assert answer.status_code == 200, answer.text
            api = contract.operator(charger.operator._token or "")
            seen = api.get(f"/v1/operator/diagnostics/{asked.report_id}", expect=200).data
            assert (seen["status"], seen["file_size"]) == ("ready", 13)
    finally:
        server.stop()

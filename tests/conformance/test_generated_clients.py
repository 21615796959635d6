"""Clients that others generate or already have take the quickstart's five steps unchanged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.charger import Charger, working_charger
from tests.conformance.toolchain import (
    SCRIPTS,
    install_node,
    install_python,
    published_file,
    run,
)
from tests.server import Client, RunningServer

CONTROLLED = "TP-DC180-V2G"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the foreign Python tools."""
    return install_python(tmp_path_factory.mktemp("python") / "venv")


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the foreign Node tools."""
    folder = tmp_path_factory.mktemp("node")
    install_node(folder)
    return folder


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    """A client of the operator that open registration lands on."""
    return server.create_client()


@pytest.fixture
def charger(server: RunningServer) -> Iterator[Charger]:
    """A charger at work."""
    with working_charger(server) as working:
        yield working


def _environment(server: RunningServer, client: Client, charger: Charger) -> dict[str, str]:
    return {
        "BASE_URL": server.base_url,
        "CLIENT_ID": client.client_id,
        "CLIENT_SECRET": client.client_secret,
        "TOKEN": client.token,
        "DEVICE_ID": charger.device_id,
        "AUTHLIB_INSECURE_TRANSPORT": "1",
    }


def _last_json(output: str) -> Any:
    return json.loads([line for line in output.splitlines() if line.startswith("{")][-1])


def _generate(programs: Path, document: Path, folder: Path, package: str) -> str:
    """Generate a Python client; return what the generator said."""
    # The generator tidies up with ruff where it finds it; that changes no meaning.
    environment = {"PATH": f"{programs}:/usr/bin:/bin"}
    options = ("--meta", "none", "--output-path", folder / package)
    command = [programs / "openapi-python-client", "generate", "--path", document, *options]
    return run(command, folder, environment)


def test_quickstart__client_generated_from_the_published_file__works_unchanged(
    server: RunningServer, client: Client, charger: Charger, programs: Path, tmp_path: Path
) -> None:
    """openapi-python-client reads the contract whole, and its client takes all five steps."""
    said = _generate(programs, published_file(), tmp_path, "published_client")
    assert "Warning" not in said
    output = run(
        [programs / "python", SCRIPTS / "quickstart_generated.py", "published_client"],
        tmp_path,
        _environment(server, client, charger) | {"PYTHONPATH": str(tmp_path)},
    )
    found = _last_json(output)
    assert found["token_type"] == "Bearer"
    assert found["expires_in"] == 86_400
    assert found["total"] == len(found["sites"]) >= 1
    assert found["device"] == found["frame"] == charger.device_id
    assert found["connectors"] == ["charging"]
    assert found["frame_state"] == "charging"
    assert found["soc"] == 55
    assert found["queued"] == "queued"
    assert found["status"] == "completed"
    assert "start_charging" in charger.done


@pytest.fixture
def fleet(server: RunningServer) -> Iterator[tuple[Client, Charger]]:
    """A client whose whole fleet is one charger that can discharge a vehicle, at work."""
    operator_id = server.create_operator("Control")
    site_id = server.create_site(operator_id)
    token = server.provision("SN-CONTROL", site_id, CONTROLLED)
    device = server.register("SN-CONTROL", CONTROLLED, token)
    with working_charger(server, device) as working:
        yield server.create_client(operator_id), working


def test_control__client_generated_from_the_published_file__does_all_of_it(
    server: RunningServer, fleet: tuple[Client, Charger], programs: Path, tmp_path: Path
) -> None:
    """Every published control operation reaches its charger and is followed to its end.

    Controls of a fleet are over with their duration; then they say what became of each charger.
    """
    client, charger = fleet
    _generate(programs, published_file(), tmp_path, "published_client")
    output = run(
        [programs / "python", SCRIPTS / "control_generated.py", "published_client"],
        tmp_path,
        _environment(server, client, charger)
        | {"PYTHONPATH": str(tmp_path), "OPERATOR_ID": client.operator_id},
    )
    found = _last_json(output)
    for name in ("start", "stop", "discharge"):
        assert found[name] == ["queued", "completed"], name
    for target_type in ("site", "operator", "all"):
        control = found[target_type]
        assert (control["answered"], control["status"]) == ("executing", "completed")
        assert control["under_way"] == "accepted"
        targets = [(one["device_id"], one["status"]) for one in control["targets"]]
        assert targets == [(charger.device_id, "completed")]
    assert set(charger.done) == {
        "start_charging", "stop_charging", "discharge", "set_schedule", "set_power_limit",
    }  # fmt: skip


def test_own_document__both_generators__read_it_whole(
    server: RunningServer, programs: Path, node_folder: Path, tmp_path: Path
) -> None:
    """The document that this server offers is one that generators understand completely."""
    document = tmp_path / "openapi.json"
    document.write_bytes(httpx.get(f"{server.base_url}/openapi.json").content)
    assert "Warning" not in _generate(programs, document, tmp_path, "own_client")
    command = [programs / "python", "-c", "import own_client.client, own_client.models"]
    run(command, tmp_path, {"PYTHONPATH": str(tmp_path)})
    _generate_types(node_folder, document, tmp_path / "own.d.ts")
    assert "listChargingRecords" in (tmp_path / "own.d.ts").read_text("utf-8")


def test_quickstart__types_generated_from_the_published_file__compile_and_work(
    server: RunningServer, client: Client, charger: Charger, node_folder: Path
) -> None:
    """openapi-typescript's types compile strictly against the steps, and the steps succeed."""
    _generate_types(node_folder, published_file(), node_folder / "api.d.ts")
    (node_folder / "quickstart.mts").write_text((SCRIPTS / "quickstart.ts").read_text("utf-8"))
    options = ("--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext")
    run([node_folder / "node_modules" / ".bin" / "tsc", *options, "quickstart.mts"], node_folder)
    environment = _environment(server, client, charger)
    found = _last_json(run(["node", "quickstart.mjs"], node_folder, environment))
    assert found["total"] >= 1
    assert found["device"] == found["frame"] == charger.device_id
    assert found["connectors"] == ["charging"]
    assert found["queued"] == "queued"
    assert found["status"] == "completed"
    assert "stop_charging" in charger.done


def test_reference_page__opened_in_a_page__authorizes_and_tries_a_call(
    server: RunningServer, client: Client, charger: Charger, node_folder: Path
) -> None:
    """The page shows every operation, takes client credentials, and its "try it" gets an answer."""
    script = node_folder / "reference_page.mjs"
    script.write_text((SCRIPTS / script.name).read_text("utf-8"))
    found = _last_json(run(["node", script], node_folder, _environment(server, client, charger)))
    paths = httpx.get(f"{server.base_url}/openapi.json").json()["paths"]
    assert found["operations"] == sum(len(operations) for operations in paths.values())
    assert found["problems"] == []
    assert found["status"] == "200"
    assert "site_id" in found["answer"]
    assert found["fetched"] == [
        "/docs/openapi.json", "/v1/operator/oauth/token", "/v1/operator/sites",
    ]  # fmt: skip


def _generate_types(node_folder: Path, document: Path, types: Path) -> None:
    program = node_folder / "node_modules" / ".bin" / "openapi-typescript"
    run([program, document, "-o", types], node_folder)


def test_token__authlib__gets_one_by_basic_and_by_form(
    server: RunningServer, client: Client, charger: Charger, programs: Path, tmp_path: Path
) -> None:
    """A general OAuth 2.0 client needs nothing special; a wrong secret is invalid_client."""
    script = [programs / "python", SCRIPTS / "oauth_client.py"]
    found = _last_json(run(script, tmp_path, _environment(server, client, charger)))
    for method in ("client_secret_basic", "client_secret_post"):
        token_type, expires_in, sites = found[method]
        assert (token_type, expires_in) == ("Bearer", 86_400)
        assert sites >= 1
    assert found["refused"] == "invalid_client"


def test_stream__websocket_client__reads_it_by_header_and_by_query(
    server: RunningServer, client: Client, charger: Charger, programs: Path, tmp_path: Path
) -> None:
    """The stream is an ordinary WebSocket: snapshot, then changes; foreign devices are 404."""
    script = [programs / "python", SCRIPTS / "stream_reader.py"]
    found = _last_json(run(script, tmp_path, _environment(server, client, charger)))
    assert found["header"] == found["query"] == [charger.device_id] * 2
    assert found["foreign"] == [404, 3001]

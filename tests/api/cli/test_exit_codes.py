"""Scripts tell by the exit code what went wrong, people by the message."""

import json
import socket
from pathlib import Path

import pytest

from tests.api.cli.console import Console, Served, free_port
from tests.api.cli.test_administration import register


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("clients", "show", "cli_nobody"), 3, "not found"),
        (("sites", "show", "../operators"), 2, "identifier"),
        (("sites", "create", "--name", "X"), 2, "--operator"),
        (("sites", "create", "--operator", "op_x", "--name", "X", "--lat", "1"), 2, "--lng"),
        (("sites", "create", "--operator", "op_x", "--name", ""), 2, "name"),
        (("clients", "update", "cli_x"), 2, "Nothing"),
        (("clients", "create", "--operator", "o", "--scope", "read", "--limit", "x"), 2, "CLASS=N"),
        (("clients", "create", "--operator", "o", "--scope", "admin"), 2, "admin"),
        (("devices", "provision", "--sn", "a b", "--model", "M", "--site", "s"), 2, "sn"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_command__refused__exit_code_and_message_say_why(
    console: Console, words: tuple[str, ...], code: int, told: str
) -> None:
    """What was wrong is named on stderr, nothing is printed on stdout."""
    ended = console.run(*words)
    assert ended.code == code
    assert told in ended.err
    assert ended.out == ""


def test_command__field_refused_by_the_server__is_named(console: Console, operator_id: str) -> None:
    """A value that only the server can judge is named by its field."""
    words = ("sites", "create", "--operator", operator_id, "--name", "X", "--timezone", "Mars")
    ended = console.run(*words)
    assert ended.code == 2
    assert "timezone" in ended.err


def test_command__conflict__is_6(console: Console, served: Served, site_id: str) -> None:
    """A serial number that is a device already cannot be expected again."""
    words = ("devices", "provision", "--sn", "TWICE", "--model", "TP-DC180", "--site", site_id)
    register(served, "TWICE", console.json(*words)["enrolment_token"])
    assert console.run(*words).code == 6


def test_command__wrong_secret__is_4(served: Served, tmp_path: Path) -> None:
    """A service account with another secret is not authenticated."""
    variables = served.variables | {"TELLUS_ADMIN_SECRET": "wrong"}
    assert Console(tmp_path, variables).run("operators", "list").code == 4


def test_command__rate_limited__is_7_and_says_how_long(
    console: Console, served: Served, operator_id: str
) -> None:
    """A refusal by a limit tells when to come back."""
    words = ("clients", "create", "--operator", operator_id, "--scope", "read")
    made = console.json(*words, "--limit", "queries=1")
    limited = Console(console.folder, client_variables(served, made))
    codes = {limited.run("api", "GET", "/v1/operator/sites").code for _ in range(52)}
    assert codes == {0, 7}
    assert "try again in" in limited.run("api", "GET", "/v1/operator/sites").err


def client_variables(served: Served, made: dict[str, str]) -> dict[str, str]:
    """Return the variables of a client."""
    return {
        "TELLUS_BASE_URL": served.access["base_url"],
        "TELLUS_CLIENT_ID": made["client_id"],
        "TELLUS_CLIENT_SECRET": made["client_secret"],
    }


def test_command__nobody_there__is_1_and_names_the_address(tmp_path: Path) -> None:
    """A platform that does not answer is told apart from one that refuses."""
    url = f"http://127.0.0.1:{free_port()}"
    variables = {
        "TELLUS_BASE_URL": url,
        "TELLUS_ADMIN_ID": "sa_x",
        "TELLUS_ADMIN_SECRET": "x",
    }
    for words in (("operators", "list"), ("status",), ("api", "GET", "/livez")):
        ended = Console(tmp_path, variables).run(*words)
        assert ended.code == 1
        assert url in ended.err


def test_command__no_access_given__is_2_and_says_how(tmp_path: Path) -> None:
    """Without any way to a platform the message names all of them."""
    ended = Console(tmp_path).run("operators", "list")
    assert ended.code == 2
    assert "--data-dir" in ended.err
    assert "TELLUS_BASE_URL" in ended.err


def test_command__env_file_in_the_folder__is_used_alone(served: Served, tmp_path: Path) -> None:
    """`.env.tellus` serves where the environment says nothing, and is never mixed with it."""
    lines = [f"{name}={value}" for name, value in served.variables.items()]
    (tmp_path / ".env.tellus").write_text("# remark\n" + "\n".join(lines) + "\n")
    assert Console(tmp_path).run("operators", "list").code == 0
    partly = Console(tmp_path, {"TELLUS_BASE_URL": "http://127.0.0.1:1"})
    assert partly.run("operators", "list").code == 2


def test_doctor__healthy_then_open_to_others__10_only_for_findings(
    console: Console, served: Served
) -> None:
    """The check-up of a healthy installation is 0; a key file that others can read is found."""
    console.variables["TELLUS_SERVER__PORT"] = str(free_port())
    healthy = console.run("doctor", "--json", "--deep")
    assert healthy.code == 0, healthy.out
    checks = {check["name"]: check["verdict"] for check in healthy.json["checks"]}
    assert healthy.json["findings"] == 0
    for name in ("data_dir", "key_file", "admin_file", "database", "durability", "server", "clock"):
        assert checks[name] == "ok", name
    path = served.data_dir / "keys.json"
    path.chmod(0o644)
    try:
        ended = console.run("doctor", "--json")
    finally:
        path.chmod(0o600)
    assert ended.code == 10
    assert ended.json["findings"] == 1
    (found,) = [check for check in ended.json["checks"] if check["verdict"] == "finding"]
    assert found["name"] == "key_file"
    assert found["advice"]


def test_doctor__nothing_there_yet__finds_nothing(tmp_path: Path) -> None:
    """Before the first start there is nothing wrong, and the check-up makes nothing."""
    console = Console(tmp_path, {"TELLUS_SERVER__PORT": str(free_port())})
    assert console.run("doctor", "--data-dir", str(tmp_path / "none")).code == 0
    assert list(tmp_path.iterdir()) == []


def test_doctor__configuration_wrong__is_a_finding(tmp_path: Path) -> None:
    """A setting that does not exist is found, not a crash."""
    ended = Console(tmp_path, {"TELLUS_SERVER__PROT": "1"}).run("doctor", "--json")
    assert ended.code == 10
    assert "TELLUS_SERVER__PROT" in json.dumps(ended.json)


def test_doctor__port_taken_by_another_program__is_a_finding(tmp_path: Path) -> None:
    """Whoever else listens there is no platform."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        variables = {"TELLUS_SERVER__PORT": str(other.getsockname()[1])}
        ended = Console(tmp_path, variables).run("doctor", "--json")
    assert ended.code == 10
    (found,) = [check for check in ended.json["checks"] if check["verdict"] == "finding"]
    assert found["name"] == "port"

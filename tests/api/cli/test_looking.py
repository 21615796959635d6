"""Commands that look: status, raw calls, configuration, completion, help."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.cli.console import TELLUS, Console, Served, clean_environment
from tests.api.cli.test_exit_codes import client_variables


def test_status__running_platform__tells_node_counts_and_checks(
    console: Console, operator_id: str
) -> None:
    """One look shows whether it is ready, what runs and how much it holds."""
    found = console.json("status")
    assert found["ready"] is True
    assert found["counts"]["operators"] >= 2
    assert found["counts"]["devices"] == (
        found["counts"]["devices_online"] + found["counts"]["devices_offline"]
    )
    (node,) = found["nodes"]
    assert node["version"] == found["version"]
    assert node["storage_queue_operations"] >= 0
    assert node["uptime_s"] >= 0
    assert {check["name"] for check in found["checks"]} >= {"storage", "writer_queue", "migrations"}
    shown = console.run("status").out
    assert "ready" in shown
    assert found["base_url"] in shown


def test_api__as_admin_and_as_client__prints_the_answer_as_it_came(
    console: Console, served: Served, operator_id: str, tmp_path: Path
) -> None:
    """The path decides who calls; the body comes from the line, a file or the input."""
    body = json.dumps({"operator_id": operator_id, "name": "By hand"})
    answer = console.run("api", "POST", "/v1/admin/sites", "-d", body)
    assert answer.json["data"]["name"] == "By hand"
    (tmp_path / "body.json").write_text(body)
    assert console.run("api", "POST", "/v1/admin/sites", "-d", "@body.json").code == 0
    assert console.run("api", "POST", "/v1/admin/sites", "-d", "@-", stdin=body).code == 0
    words = ("clients", "create", "--operator", operator_id, "--scope", "read")
    client = Console(tmp_path, client_variables(served, console.json(*words)))
    listed = client.run("api", "GET", "/v1/operator/sites?size=2")
    assert (listed.json["code"], len(listed.json["data"]["items"])) == (0, 2)
    refused = client.run("api", "GET", "/v1/operator/sites/site_x", "-i")
    assert refused.code == 3
    assert refused.out.startswith("404 ")
    assert '"code":3001' in refused.out


def test_api__public_path__needs_no_credentials(console: Console) -> None:
    """What everybody may read is read without a token."""
    assert "tellus_build_info" in console.run("api", "GET", "/metrics").out
    assert console.run("api", "GET", "/v1/operator/sites", "--as", "nobody").code == 4


def test_config_show__value_from_the_environment__says_so(tmp_path: Path) -> None:
    """Each setting is printed with its value and where that came from."""
    (tmp_path / "tellus.toml").write_text("[limits]\nscale = 2.0\n")
    console = Console(tmp_path, {"TELLUS_SERVER__PORT": "9000"})
    settings = {one["name"]: one for one in console.json("config", "show")["settings"]}
    assert (settings["server.port"]["value"], settings["server.port"]["origin"]) == (
        9000,
        "environment",
    )
    assert (settings["limits.scale"]["value"], settings["limits.scale"]["origin"]) == (2.0, "file")
    assert settings["server.host"]["origin"] == "default"
    assert "server.port" in console.run("config", "show").out


def test_config_show__secret__is_masked(tmp_path: Path) -> None:
    """A password is never printed."""
    console = Console(tmp_path, {"TELLUS_SERVER__TLS_KEY_PASSWORD": "hunter2-canary"})
    for words in (("config", "show"), ("config", "show", "--json")):
        assert "hunter2" not in console.run(*words).out


def test_keys_create__twice__first_file_stays(tmp_path: Path) -> None:
    """A key file is private and never replaced."""
    console = Console(tmp_path)
    path = tmp_path / "keys.json"
    assert console.json("keys", "create", "keys.json") == {"file": "keys.json"}
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    assert console.run("keys", "create", "keys.json").code == 6
    assert path.read_bytes() == content


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion__each_shell__prints_its_script(tmp_path: Path, shell: str) -> None:
    """The script calls tellus back, and a shell that is at hand can read it."""
    script = Console(tmp_path).run("completion", shell).out
    assert f"_TELLUS_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_completion__beginning_of_a_name__is_completed() -> None:
    """Commands complete by name, verbs within their noun."""
    for line, count, wanted in (("tellus op", 1, "operators"), ("tellus clients ro", 2, "rotate")):
        variables = {
            "_TELLUS_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(count),
        }
        command = [*TELLUS[:-1], "from tellus.cli import main; main(prog_name='tellus')"]
        done = subprocess.run(
            command, env=clean_environment(**variables), capture_output=True, text=True, check=True
        )
        assert wanted in done.stdout


def test_help__of_the_whole__imports_no_command() -> None:
    """`tellus --help` and completion answer quickly because they load nothing they do not show."""
    code = (
        "import sys\nfrom tellus.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'aiohttp', 'tellus.app', 'tellus.config', 'cryptography'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sandbox" in done.stdout
    assert done.stderr.strip() == "[]"


def test_audit_verify__log_as_written__says_so(console: Console, operator_id: str) -> None:
    """The command checks the whole chain, and ends with 0 where nothing is wrong."""
    found = console.json("audit", "verify")
    assert found["problems"] == []
    assert "as it was written" in console.run("audit", "verify").out

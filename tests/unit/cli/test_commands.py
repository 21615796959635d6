"""The table of commands, and what is shared by them."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tellus.cli import COMMANDS, main
from tellus.cli.client import ExitCode, failure_of, unreachable
from tellus.cli.environment import find_variables, read_env_file, write_env_file
from tellus.cli.output import show_list
from tellus.cli.status_nodes import read_metrics

WANTED = ("TELLUS_BASE_URL", "TELLUS_ADMIN_ID")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_commands__each_of_the_table__is_there_and_explains_itself(name: str) -> None:
    """Every name leads to a command of that name whose help can be shown."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert CliRunner().invoke(command, ["--help"]).exit_code == 0


def test_commands__interrupted__end_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C has the exit code that shells know for it."""

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tellus.cli.configuration.load_configuration", interrupt)
    assert CliRunner().invoke(main, ["config", "show"]).exit_code == ExitCode.INTERRUPTED


def test_find_variables__partly_in_both__nothing_is_mixed(tmp_path: Path) -> None:
    """A secret of the file never goes to an address of the environment."""
    variables = {"TELLUS_BASE_URL": "http://file", "TELLUS_ADMIN_ID": "sa_file"}
    write_env_file(tmp_path / ".env.tellus", variables, "for a test")
    assert find_variables(WANTED, {}, tmp_path) == ("http://file", "sa_file")
    assert find_variables(WANTED, {"TELLUS_BASE_URL": "http://env"}, tmp_path) is None
    whole = {"TELLUS_BASE_URL": "http://env", "TELLUS_ADMIN_ID": "sa_env"}
    assert find_variables(WANTED, whole, tmp_path) == ("http://env", "sa_env")


def test_write_env_file__over_an_open_one__is_private(tmp_path: Path) -> None:
    """The file is its owner's alone, also where another one stood."""
    path = tmp_path / ".env.tellus"
    path.write_text("OLD=1\n")
    path.chmod(0o644)
    write_env_file(path, {"A": "b=c"}, "for a test")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_env_file(path) == {"A": "b=c"}


def test_show_list__text_of_a_charger__cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Control characters are shown as question marks."""
    show_list([{"sn": "a\x1b[2Jb\nc"}], ("sn",), as_json=False)
    assert capsys.readouterr().out == "SN\na?[2Jb?c\n"


def test_failure_of__field_not_in_the_message__is_added() -> None:
    """The message always names the field at fault."""
    answer = {"code": 1001, "message": "No such zone", "details": {"field": "timezone"}}
    assert failure_of(answer, 400).message == "No such zone (field: timezone)"


def test_unreachable__timeout__is_124() -> None:
    """Having waited too long is not the same as having been refused."""
    assert unreachable("http://x", TimeoutError()).exit_code == ExitCode.TIMEOUT
    assert unreachable("http://x", OSError("no")).exit_code == ExitCode.FAILED


def test_read_metrics__page_of_a_platform__is_taken_apart() -> None:
    """Values without labels are found by name, build and node by their labels."""
    page = '# HELP x y\ntellus_build_info{python="3.11.7",version="1.2"} 1.0\nx 3.0\ny{a="b"} 4\n'
    page += 'tellus_node_info{node_id="node_1"} 1.0\n'
    assert read_metrics(page) == {
        "tellus_node_info.node_id": "node_1",
        "tellus_build_info.python": "3.11.7",
        "tellus_build_info.version": "1.2",
        "x": "3.0",
    }

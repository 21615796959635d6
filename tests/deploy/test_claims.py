"""Files for deployment and the pages about it name commands and settings that exist."""

from pathlib import Path

import pytest

from tellus.config import ConfigurationError, load_configuration
from tests.deploy.claims import DEPLOY, commands_in, list_files, refuse_command, unknown_variables
from tests.docs.markdown import REPOSITORY, read_blocks

HOW_TO = REPOSITORY / "docs" / "how-to"
PAGES = [HOW_TO / name for name in ("deploy.md", "upgrade.md", "back-up-and-restore.md")]
INJECTED = "TELLUS_SERVICE_HOST"
"""What Kubernetes would set by itself for a Service called tellus; deployment.yaml names it."""


def _text(path: Path) -> str:
    """What a file claims: of a page its blocks."""
    if path.suffix != ".md":
        return path.read_text()
    return "\n".join(block.text for block in read_blocks(path)).replace("\\\n", " ")


FILES = [*list_files(), *PAGES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_file__commands_of_tellus_in_it__are_understood(path: Path) -> None:
    """Each command that is written out is one, with options that it has."""
    assert [why for words in commands_in(_text(path)) if (why := refuse_command(words))] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_file__variables_of_tellus_in_it__are_read_by_something(path: Path) -> None:
    """Each variable is a setting, or one that the command line reads."""
    assert unknown_variables(_text(path)) - {INJECTED} == set()


def test_commands__in_all_files__are_many() -> None:
    """The look at commands sees them, in units and manifests and pages."""
    seen = [words for path in FILES for words in commands_in(_text(path))]
    assert len(seen) > 15
    assert ["keys", "create", "keys.json"] in seen


def test_claims__wrong_ones__are_found_out() -> None:
    """A command, an option and a variable that do not exist are found; a right one is not."""
    text = "ExecStart=/opt/tellus/.venv/bin/tellus serve --prot 1\n`tellus keys make FILE`"
    first, second = (refuse_command(words) for words in commands_in(text))
    assert "--prot" in first
    assert "no such command" in second
    assert refuse_command(["serve", "--port", "1"]) == ""
    assert refuse_command(["keys"]) == "no such command: keys"
    assert unknown_variables("TELLUS_DATA_DIR=x TELLUS_DATADIR=y") == {"TELLUS_DATADIR"}


def test_variables__naming_a_file__bring_what_it_holds(tmp_path: Path) -> None:
    """The address of the database may come from a file, as the unit for nodes has it."""
    file = tmp_path / "database-url"
    file.write_text("postgresql://tellus@host/tellus\n")
    variable = "TELLUS_DATABASE__URL_FILE"
    url = load_configuration(environment={variable: str(file)}).settings.database.url
    assert url is not None
    assert url.get_secret_value() == "postgresql://tellus@host/tellus"
    assert variable in (DEPLOY / "systemd" / "tellus@.service").read_text()


def test_variables__set_for_services_by_kubernetes__would_be_refused() -> None:
    """Why the manifest switches service links off: what they set is no setting."""
    with pytest.raises(ConfigurationError, match="is not a setting"):
        load_configuration(environment={INJECTED: "10.0.0.1"})

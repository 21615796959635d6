"""The reference pages of the repository are those that the code writes, and leave out nothing."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tellus.cli import COMMANDS, main
from tellus.cli.reference import build_pages
from tellus.config import describe_settings
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.fleet.model import FAULT_KEYS
from tellus.kernel.limits import RATES
from tellus.privacy.record import load_record
from tellus.runbooks.library import RunbookCatalogue
from tellus.surfaces.openapi.answers import ERROR_CODES
from tellus.surfaces.site.metric_table import METRICS
from tellus.surfaces.tables import ROUTES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
REMEDY = "run: tellus docs generate docs/reference"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The pages as the code writes them now."""
    return build_pages()


@pytest.mark.parametrize("name", sorted(build_pages()))
def test_reference_page__committed__is_what_the_code_writes(
    pages: dict[str, str], name: str
) -> None:
    """Each committed reference page equals the generated one."""
    assert (REFERENCE / name).read_text("utf-8") == pages[name], REMEDY


def test_reference_pages__everything_there_is__is_documented(pages: dict[str, str]) -> None:
    """Every setting, metric, error code, limit, operation, command, fault and step is there."""
    expected = {
        "configuration.md": [f"`{variable}`" for _, variable, _, _ in describe_settings()],
        "metrics.md": [f"`{metric.name}`" for metric in METRICS],
        "errors.md": [f"| {row['code']} | {row['http']} |" for row in ERROR_CODES],
        "rate-limits.md": [f"`{name}`" for name in RATES],
        "api.md": [f"`{route.method} {route.path}`" for route in ROUTES],
        "cli.md": [f"## tellus {name}" for name in COMMANDS],
        "faults.md": [f"## {code} " for code in FAULT_KEYS],
        "runbooks.md": [
            heading
            for runbook in RunbookCatalogue.load(FaultDictionary.load())
            for heading in (
                f"## {runbook.title}\n\n`{runbook.slug}`. ",
                *(
                    f"### {n} {step.title} ({runbook.slug})"
                    for n, step in enumerate(runbook.steps, 1)
                ),
            )
        ],
        "processing.md": [f"### {table.name}" for table in load_record()],
    }
    assert expected.keys() == pages.keys()
    missing = [
        text for name, texts in expected.items() for text in texts if text not in pages[name]
    ]
    assert missing == []


def test_reference_pages__settings_and_commands__all_have_words(pages: dict[str, str]) -> None:
    """No setting and no option is documented by its name alone."""
    for name in ("configuration.md", "metrics.md", "cli.md"):
        assert re.findall(r"^\|.*\| *\|$", pages[name], re.MULTILINE) == []


def test_docs_generate__folder__gets_all_pages(tmp_path: Path, pages: dict[str, str]) -> None:
    """The command writes the pages and names them; it is not among the listed commands."""
    folder = tmp_path / "reference"
    result = CliRunner().invoke(main, ["docs", "generate", str(folder)])
    assert result.exit_code == 0, result.output
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == pages
    assert "docs" not in main.list_commands(click.Context(main))

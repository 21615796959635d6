"""Every dependency is explained, and nothing is explained that is no dependency."""

import re
import tomllib
from itertools import chain

import pytest

from tests.docs.markdown import REPOSITORY

PAGE = REPOSITORY / "docs" / "explanation" / "dependencies.md"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def explained(heading: str) -> list[str]:
    """The packages in the table below a heading."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE)


def asked_for() -> tuple[list[str], ...]:
    """The packages that the project asks for: to run, to develop, and for those who like."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = dict(project["optional-dependencies"])
    lists = (project["dependencies"], extras.pop("dev"), [*chain(*extras.values())])
    return tuple([_NAME.match(entry)[0] for entry in entries] for entries in lists)  # type: ignore[index]


@pytest.mark.parametrize(
    ("heading", "number"), [("To run", 0), ("To develop", 1), ("For some, if they like", 2)]
)
def test_dependencies__page__explains_each_and_no_other(heading: str, number: int) -> None:
    """The tables name the packages of pyproject.toml, in alphabetical order."""
    assert explained(heading) == sorted(asked_for()[number])


def test_dependencies__table_to_run__names_parts_that_exist() -> None:
    """The column "where" names folders or modules of the package."""
    section = PAGE.read_text().split("## To run\n")[1].split("\n## ")[0]
    for row in re.findall(r"^\| `.*$", section, re.MULTILINE):
        where = row.split(" | ")[2]
        for part in re.findall(r"`(\w+)`", where):
            package = REPOSITORY / "src" / "tellus"
            assert (package / part).is_dir() or (package / f"{part}.py").is_file(), part

"""ARCHITECTURE.md, and what else names files, tells of the tree as it is."""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import REPOSITORY, list_documents, read_blocks

PAGE = REPOSITORY / "ARCHITECTURE.md"
PACKAGE = REPOSITORY / "src" / "tellus"

_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.-]+/[\w./-]*|[\w-]+\.(?:py|toml|sql|md)")
_MADE_UP = {
    "keys.json",
    "tellus.toml",
    "src/tellus/storage/migrations/0002_what.sql",
}
"""Files of a running platform, and of examples."""


def named_paths(page: Path) -> list[str]:
    """What a page names in code spans and looks like a path of the repository."""
    spans = _SPAN.findall(page.read_text())
    return [span for span in spans if _PATH.fullmatch(span) and span not in _MADE_UP]


def exists(path: str) -> bool:
    """Tell whether a path is there: from the package, from the top, or a bare name anywhere."""
    if "/" not in path and any(PACKAGE.rglob(path)):
        return True
    return any((root / path).exists() for root in (PACKAGE, REPOSITORY))


def packages() -> set[str]:
    """The folders of the package that hold code."""
    return {entry.parent.name for entry in PACKAGE.glob("*/__init__.py")}


INSIDE = [
    page
    for page in list_documents()
    if page.parent.name in {"adr", "explanation"} or page.name in {"CONTRIBUTING.md", PAGE.name}
]


@pytest.mark.parametrize("page", INSIDE, ids=lambda page: page.name)
def test_page_about_the_code__paths_it_names__exist(page: Path) -> None:
    """Every path in a code span is a file or folder of the repository."""
    assert [path for path in named_paths(page) if not exists(path)] == []


def test_paths__that_are_not_there__are_found_out() -> None:
    """The look at paths sees many, and tells what exists from what does not."""
    assert len(named_paths(PAGE)) > 60
    assert exists("surfaces/http.py")
    assert not exists("surfaces/no_such_file.py")


def test_architecture__packages__are_all_in_its_table() -> None:
    """Each folder of src/tellus and each module beside them has its line in the table."""
    table = set(re.findall(r"^\| `([\w.]+)/?` \|", PAGE.read_text(), re.MULTILINE))
    modules = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert packages() | modules <= table


def test_architecture__storeys__are_those_of_the_import_contract() -> None:
    """The picture of the storeys is in the order that is checked, without those that are empty."""
    [picture] = [block.text for block in read_blocks(PAGE) if block.text.startswith("cli\n")]
    drawn = [set(line.split()) for line in picture.splitlines()]
    contract = re.search(r"\nlayers = \[(.*?)\n\]", _project(), re.DOTALL)
    assert contract is not None
    built = packages() | {path.stem for path in PACKAGE.glob("*.py")} - {"__main__", "__init__"}
    checked = [set(re.findall(r"\((\w+)\)", line)) & built for line in contract[1].splitlines()]
    assert drawn == [storey for storey in checked if storey]


def _project() -> str:
    path: Path = REPOSITORY / "pyproject.toml"
    return path.read_text()

"""RELIABILITY.md names every harness there is, and nothing that is not there."""

import re
from pathlib import Path

from tests.docs.markdown import REPOSITORY

PAGE = REPOSITORY / "RELIABILITY.md"
HARNESSES = REPOSITORY / "tests" / "reliability"

_FILE = re.compile(r"tests/[\w/]+\.py")
_SETTING = re.compile(r"TELLUS_TEST_\w+")
_TARGET = re.compile(r"`make ([a-z]+)")


def rows(text: str) -> list[str]:
    """The lines of tables, and of prose each of its own."""
    return text.splitlines()


def find_faults(text: str) -> list[str]:
    """What a page says that is not so."""
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    faults = [f"make {name}" for name in _TARGET.findall(text) if name not in targets]
    for row in rows(text):
        files = [REPOSITORY / name for name in _FILE.findall(row)]
        faults += [str(file.relative_to(REPOSITORY)) for file in files if not file.exists()]
        code = "".join(file.read_text() for file in files if file.exists())
        if row.startswith("|"):
            faults += [name for name in _SETTING.findall(row) if name not in code]
            faults += ["an empty cell"] * bool(re.search(r"\|\s*\|", row[1:]) and files)
    return faults


def missing_harnesses(text: str) -> set[str]:
    """The harnesses that no row of a table names."""
    named = {name for row in rows(text) if row.startswith("|") for name in _FILE.findall(row)}
    there = {str(path.relative_to(REPOSITORY)) for path in HARNESSES.glob("test_*.py")}
    return there - named


def test_page__files_settings_and_commands_it_names__exist() -> None:
    """Every file is there, every setting of a row is read by a test of it, every target is made."""
    assert find_faults(PAGE.read_text()) == []


def test_page__harnesses__are_all_in_a_table() -> None:
    """No harness is without a row that says what it promises and what was measured."""
    assert missing_harnesses(PAGE.read_text()) == set()


def test_page__can_be_reached__from_where_readers_begin() -> None:
    """The front page and the index of documents lead to it."""
    for page in (REPOSITORY / "README.md", REPOSITORY / "docs" / "README.md"):
        assert "RELIABILITY.md)" in page.read_text(), page


def test_faults__of_a_page_that_is_wrong__are_found(tmp_path: Path) -> None:
    """A file, a setting and a target that are not there are found, and so is a missing harness."""
    page = tmp_path / "page.md"
    page.write_text(
        "`make nothing`\n"
        "| kept | `tests/reliability/test_kill.py` | `TELLUS_TEST_KILLS` | well | caught |\n"
        "| a | `tests/reliability/test_gone.py` | `TELLUS_TEST_KILLS` | well | caught |\n"
        "| b | `tests/reliability/test_kill.py` | the same | | caught |\n"
    )
    assert find_faults(page.read_text()) == [
        "make nothing",
        "tests/reliability/test_gone.py",
        "TELLUS_TEST_KILLS",
        "an empty cell",
    ]
    assert "tests/reliability/test_power_cut.py" in missing_harnesses(page.read_text())

"""Names, marks and addresses that the repository does not contain."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source_tree import (
    PACKAGE,
    PYTHON_ROOTS,
    ROOT,
    name_of,
    parse,
    published_files,
    python_files,
)

VAGUE_WORDS = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "base"}
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b")
MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:work|root|home/\w+|Users/\w+)/")
INDEX_ADDRESS = re.compile(
    r"(?:https?|file)://[^\s\"'`<>)]*/(?:simple|packages|-)/"
    r"|--(?:extra-)?index-url[= ]\S*://|--find-links[= ]\S*/|trusted-host[= ]\S+\.\w"
)
PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>\S+) \\$")


def vague_names(names: list[str]) -> list[str]:
    """Return the names that say nothing of their subject."""
    return [name for name in names if VAGUE_WORDS.intersection(name.lower().split("_"))]


def findings(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return the lines of ``text`` in which ``pattern`` is found."""
    return [line.strip() for line in text.splitlines() if pattern.search(line)]


def findings_in(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Return the findings in text files, with the name of the file."""
    return [
        f"{name_of(path)}: {line[:160]}"
        for path in paths
        for line in findings(pattern, path.read_text(encoding="utf-8", errors="replace"))
    ]


def printing_calls(tree: ast.Module) -> list[int]:
    """Return the lines that call ``print``."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]


def test_modules__of_the_repository__are_named_for_their_subject() -> None:
    """No module and no folder of code is called utils, helpers, common, manager or base."""
    names = {path.stem for path in python_files()}
    for root in PYTHON_ROOTS:
        names |= {path.name for path in (ROOT / root).rglob("*") if path.is_dir()}
    assert "source_tree" in names
    assert vague_names(sorted(names)) == []


def test_source__of_the_package__has_no_unfinished_marks() -> None:
    """Nothing in the package is marked as still to be done."""
    assert findings_in(UNFINISHED, python_files("src")) == []


def test_published_files__all_of_them__name_no_machine_path() -> None:
    """No file names a folder of the machine it was written on."""
    assert findings_in(MACHINE_PATH, published_files()) == []


def test_published_files__all_of_them__name_no_package_index() -> None:
    """No file names the address of a package index: where packages come from is the reader's."""
    assert findings_in(INDEX_ADDRESS, published_files()) == []


def test_source__outside_the_command_line__does_not_print() -> None:
    """Only the command line writes to standard output; everything else logs."""
    printing = [
        f"{name_of(path)}:{line}"
        for path in python_files("src")
        if path.relative_to(PACKAGE).parts[0] not in {"cli.py", "cli"}
        for line in printing_calls(parse(path))
    ]
    assert printing == []


def test_constraints__every_line__is_a_pin_a_hash_or_a_comment() -> None:
    """The pinned list consists of exact versions with hashes, and of every direct dependency."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins: dict[str, int] = {}
    current = ""
    for line in lines:
        if match := PINNED.match(line):
            current = match["name"]
            pins[current] = 0
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line):
            pins[current] += 1
        else:
            assert line.lstrip().startswith("#") or not line.strip(), line
    assert [name for name, hashes in pins.items() if hashes == 0] == []
    # A list made for one platform alone would know one or two files of these.
    for compiled in ("apsw", "httptools", "uvloop", "msgspec", "cryptography"):
        assert pins[compiled] > 20, compiled

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    names = {re.split(r"[=<>!~; \[]", requirement)[0] for requirement in wanted}
    assert names - pins.keys() == set()


@pytest.mark.parametrize("name", ["utils", "fleet_helpers", "base", "session_manager", "common"])
def test_vague_names__a_planted_one__is_found(name: str) -> None:
    """A name that says nothing is caught, also as one of its words."""
    assert vague_names([name, "database", "commands"]) == [name]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNFINISHED, "# " + "TO" + "DO: later"),
        (UNFINISHED, "raise NotImplemented" + "Error"),
        (MACHINE_PATH, 'open("/wo' + 'rk/main/x")'),
        (MACHINE_PATH, "cd /home" + "/alice/tellus"),
        (INDEX_ADDRESS, "https://mirror.example" + "/pypi/simple" + "/apsw/"),
        (INDEX_ADDRESS, "--index" + "-url https://mirror.example/pypi"),
        (INDEX_ADDRESS, "--find" + "-links /opt/wheels"),
    ],
)
def test_findings__a_planted_line__is_found(pattern: re.Pattern[str], line: str) -> None:
    """Each pattern catches what it is for."""
    assert findings(pattern, f"first\n{line}\nlast") == [line]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNFINISHED, "return NotImplemented"),
        (MACHINE_PATH, "/v1/operator/home"),
        (MACHINE_PATH, "/var/lib/tellus/"),
        (INDEX_ADDRESS, "http://127.0.0.1:8600/v1/operator/sites"),
    ],
)
def test_findings__an_innocent_line__is_left_alone(pattern: re.Pattern[str], line: str) -> None:
    """The patterns do not catch their neighbours."""
    assert findings(pattern, line) == []


def test_printing_calls__a_planted_print__is_found() -> None:
    """A call of print is seen, a method of that name is not."""
    assert printing_calls(ast.parse("x = 1\nprint(x)\nlog.print(x)\n")) == [2]

"""Files stay under 400 lines and functions under 40."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, name_of, parse, python_files

FILE_LIMIT = 400
FUNCTION_LIMIT = 40
EXCEPTIONS = Path(__file__).with_name("size_exceptions.toml")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_in(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Yield every function below ``node`` with its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from functions_in(child, f"{name}.")
        else:
            yield from functions_in(child, prefix)


def lines_of(function: Function) -> int:
    """Return the lines from ``def`` to the end without the docstring: explaining is not length."""
    first = function.body[0]
    explained = 0
    if ast.get_docstring(function, clean=False) is not None:
        explained = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - explained


def measured_files() -> dict[str, int]:
    """Return the length of every Python file."""
    return {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()
    }


def measured_functions() -> dict[str, int]:
    """Return the length of every function, by file and dotted name."""
    return {
        f"{name_of(path)}::{name}": lines_of(function)
        for path in python_files()
        for name, function in functions_in(parse(path))
    }


def objections(measured: dict[str, int], limit: int, excepted: dict[str, int]) -> list[str]:
    """Say what is too long and which exceptions no longer hold."""
    found = [
        f"{name}: {lines} lines, the limit is {limit - 1}"
        for name, lines in measured.items()
        if lines >= limit and name not in excepted
    ]
    for name, allowed in excepted.items():
        lines = measured.get(name)
        if lines is None:
            found.append(f"{name}: gone, remove it from the exceptions")
        elif lines < limit:
            found.append(f"{name}: {lines} lines fit the limit, remove it from the exceptions")
        elif lines > allowed:
            found.append(f"{name}: grew from {allowed} to {lines} lines")
        elif lines < allowed:
            found.append(f"{name}: shrank to {lines} lines, lower its exception from {allowed}")
    return found


def test_files__of_the_repository__stay_under_400_lines() -> None:
    """No Python file has 400 lines or more, except those listed, at no more than their length."""
    excepted = tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))["files"]
    assert objections(measured_files(), FILE_LIMIT, excepted) == []


def test_functions__of_the_repository__stay_under_40_lines() -> None:
    """No function has 40 lines or more, except those listed, at no more than their length."""
    excepted = tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))["functions"]
    assert objections(measured_functions(), FUNCTION_LIMIT, excepted) == []


def test_measures__this_very_file__are_taken() -> None:
    """The measures see real files: this one and its functions are among them."""
    name = Path(__file__).relative_to(ROOT).as_posix()
    assert measured_files()[name] > 100
    assert measured_functions()[f"{name}::objections"] > 10


@pytest.mark.parametrize(
    ("lines", "excepted", "objection"),
    [
        (399, {}, None),
        (400, {}, "the limit is 399"),
        (450, {"a.py": 450}, None),
        (451, {"a.py": 450}, "grew from 450"),
        (449, {"a.py": 450}, "lower its exception"),
        (399, {"a.py": 450}, "remove it"),
        (399, {"b.py": 450}, "gone"),
    ],
)
def test_objections__around_the_limit_and_the_exceptions__bite(
    lines: int, excepted: dict[str, int], objection: str | None
) -> None:
    """A long file is refused, and an exception holds for its exact length only."""
    found = objections({"a.py": lines}, FILE_LIMIT, excepted)
    assert len(found) == (objection is not None)
    assert all((objection or "") in text for text in found)


def test_lines_of__a_long_docstring__does_not_count() -> None:
    """Only the signature and the code count, not the explanation."""
    source = (
        'class A:\n    def f(self):\n        """One.\n\n        Two.\n        """\n        pass\n'
    )
    [(name, function)] = functions_in(ast.parse(source))
    assert (name, lines_of(function)) == ("A.f", 2)

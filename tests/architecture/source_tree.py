"""The repository's files as the architecture tests read them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tellus"
PYTHON_ROOTS = ("src", "tests", "bench", "examples")
UNTRACKED = {".venv", ".git", ".hypothesis", "var", "node_modules", "build", "dist"}


def python_files(*roots: str) -> list[Path]:
    """Return the Python files below ``roots`` (all of the repository's when none is named)."""
    return [
        path
        for root in roots or PYTHON_ROOTS
        for path in sorted((ROOT / root).rglob("*.py"))
        if not UNTRACKED.intersection(path.relative_to(ROOT).parts)
    ]


def name_of(path: Path) -> str:
    """Return the path from the root of the repository, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def published_files() -> list[Path]:
    """Return the files that git tracks or would add; without git, all but the known rest."""
    # The checkout may belong to another user than the one who runs the tests.
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z", "-co"]
    try:
        listed = subprocess.run(
            [*command, "--exclude-standard"], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return [path for path in _all_files() if path.is_file()]
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def _all_files() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if not UNTRACKED.intersection(parts) and not any("cache" in part for part in parts):
            yield path

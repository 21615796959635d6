"""The import contracts are kept by the package and broken by planted bad imports."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.part_table import Table
from tests.architecture.source_tree import PACKAGE, ROOT, name_of, parse, python_files

CLOCK_READERS = {"now", "utcnow", "today"}

# A house in miniature: every part, with imports that are allowed.
SKELETON = {
    "kernel/errors.py": "import msgspec\nimport time",
    "config.py": "import pydantic_settings",
    "storage/database.py": "import tellus.kernel.errors",
    "storage/sqlite.py": "import apsw\nimport tellus.storage.database",
    "bus/port.py": "",
    "audit/model.py": "",
    "audit/service.py": "import structlog\nimport tellus.audit.model",
    "fleet/model.py": "import enum\nimport msgspec\nfrom tellus.kernel import errors",
    "fleet/rules.py": "from tellus.fleet import model\nfrom tellus.audit.model import __name__",
    "fleet/store.py": "from tellus.fleet import model\nimport tellus.storage.database",
    "fleet/directory.py": "from tellus.fleet import model\nimport asyncio",
    "fleet/service.py": "from tellus.fleet import directory, rules, store\nimport tellus.bus.port\n"
    "import tellus.audit.service",
    "fleet/device_api.py": "import tellus.fleet.service\nfrom tellus.fleet import model",
    "commands/model.py": "",
    "commands/rules.py": "import tellus.commands.model\nimport tellus.fleet.model",
    "commands/service.py": "import tellus.fleet.service\nimport tellus.fleet.directory",
    "commands/device_api.py": "import tellus.commands.service",
    "surfaces/device.py": "import tellus.fleet.device_api\nimport tellus.commands.device_api",
    "surfaces/guard/server.py": "import uvicorn\nimport starlette\nimport tellus.config",
    "simulator/fleet.py": "import aiohttp\nimport tellus.kernel.errors",
    "app.py": "import tellus.surfaces.guard.server\nimport tellus.storage.sqlite",
    "cli.py": "import click\nimport tellus.app\nimport tellus.simulator.fleet",
}


def build_house(root: Path, planted: dict[str, str]) -> Path:
    """Write the miniature house with ``planted`` lines at the end of its files."""
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "tests" / "architecture").mkdir(parents=True)
    (root / "tests" / "__init__.py").touch()
    shutil.copy(ROOT / "tests" / "architecture" / "part_table.py", root / "tests" / "architecture")
    package = root / "src" / "tellus"
    for name in {*SKELETON, *planted}:
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        (package / "__init__.py").touch()
        lines = f"{SKELETON.get(name, '')}\n{planted.get(name, '')}\n"
        path.write_text(lines, encoding="utf-8")
    return root


def check_contracts(root: Path) -> tuple[int, str]:
    """Run the contracts on the package below ``root``; return the exit code and what was said."""
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [tool, "--no-cache"],
        cwd=root,
        env={
            **os.environ,
            "COLUMNS": "400",
            "PYTHONPATH": str(root / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def table_of_the_project() -> Table:
    """Return the table of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [parts] = [contract for contract in contracts if contract["id"] == "parts"]
    return Table(parts["features"], parts["rows"])


def impurities(tree: ast.Module) -> list[int]:
    """Return the lines that wait or read a clock."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.Attribute) and node.attr in CLOCK_READERS)
    ]


def test_contracts__the_package_as_it_is__are_kept() -> None:
    """The package keeps every import contract."""
    code, said = check_contracts(ROOT)
    assert code == 0, said


def test_contracts__a_house_of_allowed_imports__are_kept(tmp_path: Path) -> None:
    """A house in miniature that uses what the table allows passes: refusals mean something."""
    code, said = check_contracts(build_house(tmp_path, {}))
    assert code == 0, said


@pytest.mark.parametrize(
    ("file", "line", "refusal"),
    [
        (
            "kernel/errors.py",
            "import tellus.fleet.model",
            "tellus.kernel.errors may not import tellus.fleet.model",
        ),
        (
            "fleet/service.py",
            "from tellus.commands.service import __name__",
            "tellus.fleet.service may not import tellus.commands.service",
        ),
    ],
)
def test_contracts__one_planted_import__are_broken(
    tmp_path: Path, file: str, line: str, refusal: str
) -> None:
    """One import upwards breaks both contracts, and the file and its import are named."""
    code, said = check_contracts(build_house(tmp_path, {file: line}))
    assert code == 1
    assert refusal in said
    assert "0 kept, 2 broken" in said


def test_contracts__many_planted_imports__are_all_named(tmp_path: Path) -> None:
    """Impure rules, a web framework below the surfaces, a homeless module: each is named."""
    planted = {
        "fleet/rules.py": "import logging",
        "fleet/store.py": "import apsw",
        "commands/service.py": "import starlette",
        "commands/device_api.py": "def late():\n    import tellus.fleet.service",
        "simulator/fleet.py": "import tellus.fleet.model",
        "surfaces/device.py": "import tellus.fleet.service",
        "stray/thing.py": "",
    }
    code, said = check_contracts(build_house(tmp_path, planted))
    assert code == 1
    for refusal in (
        "tellus.fleet.rules may not import logging",
        "tellus.fleet.store may not import apsw",
        "tellus.commands.service may not import starlette",
        "tellus.commands.device_api may not import tellus.fleet.service",
        "tellus.simulator.fleet may not import tellus.fleet.model",
        "tellus.surfaces.device may not import tellus.fleet.service",
        "tellus.stray.thing has no row in the table",
    ):
        assert refusal in said
    assert said.count("may not import") == 6


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("tellus.kernel.ids", "msgspec", True),
        ("tellus.kernel.ids", "structlog", False),
        ("tellus.fleet.model", "tellus.kernel.ids", True),
        ("tellus.fleet.model", "tellus.identity.model", True),
        ("tellus.fleet.model", "tellus.telemetry.model", False),
        ("tellus.fleet.model", "tellus.identity.service", False),
        ("tellus.fleet.model", "time", False),
        ("tellus.fleet.rules_presence", "tellus.fleet.model", True),
        ("tellus.fleet.rules", "tellus.telemetry.model", False),
        ("tellus.telemetry.store_packed", "tellus.telemetry.store", True),
        ("tellus.telemetry.store", "tellus.fleet.store", False),
        ("tellus.telemetry.store", "tellus.storage.sqlite", False),
        ("tellus.telemetry.service", "tellus.fleet.service", True),
        ("tellus.telemetry.service", "tellus.fleet.store", False),
        ("tellus.telemetry.service", "tellus.fleet.rules", False),
        ("tellus.telemetry.service", "tellus.fleet.device_api", False),
        ("tellus.telemetry.service", "tellus.bus.memory", False),
        ("tellus.telemetry.device_api", "tellus.telemetry.model", True),
        ("tellus.telemetry.device_api", "tellus.telemetry.store", False),
        ("tellus.telemetry.device_api", "tellus.surfaces.http", False),
        ("tellus.flexibility.service", "tellus.commands.service", True),
        ("tellus.flexibility.service", "tellus.firmware.service", False),
        ("tellus.firmware.service", "tellus.flexibility.service", False),
        ("tellus.diagnostics.service", "tellus.firmware.service", True),
        ("tellus.surfaces.http", "uvicorn", True),
        ("tellus.surfaces.http", "apsw", False),
        ("tellus.surfaces.http", "tellus.identity.service", True),
        ("tellus.surfaces.http", "tellus.identity.store", False),
        ("tellus.surfaces.http", "tellus.app", False),
        ("tellus.legacy.translate", "tellus.fleet.service", True),
        ("tellus.legacy.translate", "tellus.fleet.store", False),
        ("tellus.storage.sqlite_session", "apsw", True),
        ("tellus.storage.database", "apsw", False),
        ("tellus.app", "tellus.cli", False),
        ("tellus.app", "tellus.storage.sqlite", True),
        ("tellus.cli.main", "tellus.app", True),
        ("tellus.cli.main", "uvicorn", False),
        ("tellus.fleet", "tellus.fleet.service", False),
    ],
)
def test_table__one_import__is_judged(importer: str, imported: str, allowed: object) -> None:
    """The table of the project says yes and no where the architecture does."""
    table = table_of_the_project()
    row = table.row_of(importer)
    assert row is not None
    assert table.allows(row, importer, imported) is allowed


def test_folders__with_modules__are_packages() -> None:
    """Every folder of code is a package: the contracts do not see the modules of any other."""
    folders = {path.parent for path in python_files("src")} - {ROOT / "src"}
    assert PACKAGE in folders
    assert [name_of(path) for path in sorted(folders) if not (path / "__init__.py").exists()] == []


def test_models_and_rules__of_every_feature__neither_wait_nor_read_a_clock() -> None:
    """Models and rules decide on what they are given: no await and no present time."""
    found = [
        f"{name_of(path)}:{line}"
        for path in python_files("src")
        if path.parts[-1].startswith(("model", "rules"))
        for line in impurities(parse(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code", ["async def f(): ...", "x = datetime.now(UTC)", "x = date.today()"]
)
def test_impurities__planted__are_found(code: str) -> None:
    """A coroutine and a reading of the clock are caught."""
    assert impurities(ast.parse(code)) == [1]

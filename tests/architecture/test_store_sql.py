"""A feature writes only to tables of its own, and SQL stands only where it belongs."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGE, name_of, parse, python_files

MIGRATIONS = PACKAGE / "storage" / "migrations"
OWNER = re.compile(r"^-- owner: (?P<owner>[a-z]+)\s*$")
CREATE_TABLE = re.compile(
    r"^\s*CREATE\s+(?:VIRTUAL\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<table>\w+)", re.IGNORECASE
)
# What stands for a part of a statement that is only known when the program runs.
UNKNOWN = "?"
# A name, or else (a mark, a placeholder, the end of the text) something that names nothing.
TABLE_NAME = r"(?P<table>\w+|[^\w\s]\S*|$)"
WRITES = [
    re.compile(rf"\b(?:INSERT(?:\s+OR\s+\w+)?|REPLACE)\s+INTO\s+{TABLE_NAME}", re.IGNORECASE),
    re.compile(rf"\bDELETE\s+FROM\s+{TABLE_NAME}", re.IGNORECASE),
    re.compile(
        rf"(?<!\bDO\s)\bUPDATE\s+(?:OR\s+\w+\s+)?{TABLE_NAME}(?:\s+(?:AS\s+)?\w+)?\s+SET\b",
        re.IGNORECASE,
    ),
]


@dataclass(frozen=True)
class Write:
    """A statement that changes ``table``; ``None`` when the text does not say which."""

    line: int
    table: str | None


def owners_in(sql: str) -> tuple[dict[str, str], list[str]]:
    """Return the owner of each table created in ``sql``, and the tables without an owner line."""
    owners: dict[str, str] = {}
    ownerless: list[str] = []
    owner = ""
    for line in sql.splitlines():
        if match := OWNER.match(line):
            owner = match["owner"]
        elif match := CREATE_TABLE.match(line):
            if owner:
                owners[match["table"]] = owner
            else:
                ownerless.append(match["table"])
            owner = ""
        elif line.strip() and not line.startswith("--"):
            owner = ""
    return owners, ownerless


def table_owners() -> tuple[dict[str, str], list[str]]:
    """Return the owners of all tables of the migrations, and the tables that have none."""
    owners: dict[str, str] = {}
    ownerless: list[str] = []
    for path in sorted(MIGRATIONS.glob("*.sql")):
        found, without = owners_in(path.read_text(encoding="utf-8"))
        owners |= found
        ownerless += without
    return owners, ownerless


def text_of(node: ast.expr) -> str | None:
    """Return the text that ``node`` builds, with marks for unknown parts; None if it is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or UNKNOWN for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        left, right = text_of(node.left), text_of(node.right)
        if left is None and right is None:
            return None
        return (left or UNKNOWN) + (right or UNKNOWN if isinstance(node.op, ast.Add) else "")
    return None


def texts_in(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every text below ``node`` once, with its line; docstrings are not texts."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.expr) and (text := text_of(child)) is not None:
            yield child.lineno, text
        else:
            yield from texts_in(child)


def writes_in(tree: ast.Module) -> list[Write]:
    """Return the tables that the statements of a module change."""
    return [
        Write(line, match["table"].lower() if match["table"].isidentifier() else None)
        for line, text in texts_in(tree)
        for pattern in WRITES
        for match in pattern.finditer(text)
    ]


def objections(feature: str, writes: list[Write], owners: dict[str, str]) -> list[str]:
    """Say which writes are not the feature's own."""
    found = []
    for write in writes:
        if write.table is None:
            found.append(f"line {write.line}: the table is not named in the statement")
        elif write.table not in owners:
            found.append(f"line {write.line}: no migration creates {write.table}")
        elif owners[write.table] != feature:
            found.append(
                f"line {write.line}: {feature} writes to {write.table} of {owners[write.table]}"
            )
    return found


def is_store(path: Path) -> bool:
    """Tell whether a module is a feature's store or part of one."""
    return any(part.startswith("store") for part in path.relative_to(PACKAGE).parts[1:])


def part_of(path: Path) -> str:
    """Return the first folder below the package."""
    return path.relative_to(PACKAGE).parts[0]


def test_migrations__every_table__names_its_owner() -> None:
    """Each CREATE TABLE stands below a line that says which feature owns it."""
    owners, ownerless = table_owners()
    assert ownerless == []
    assert owners
    parts = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert sorted(set(owners.values()) - parts) == []


def test_stores__of_every_feature__write_only_their_own_tables() -> None:
    """A store may read what lies below it; it changes only tables that its feature owns."""
    owners, _ = table_owners()
    stores = [path for path in python_files("src") if path.is_relative_to(PACKAGE)]
    found = [
        f"{name_of(path)} {objection}"
        for path in stores
        if is_store(path) and part_of(path) != "storage"
        for objection in objections(part_of(path), writes_in(parse(path)), owners)
    ]
    assert found == []


def test_writes__outside_stores_and_storage__do_not_exist() -> None:
    """No other module holds a statement that changes a table."""
    found = [
        f"{name_of(path)}:{write.line} writes to {write.table}"
        for path in python_files("src")
        if not is_store(path) and part_of(path) != "storage"
        for write in writes_in(parse(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "tables"),
    [
        ('SQL = "INSERT INTO devices (a) VALUES ($1)"', ["devices"]),
        ('tx.run("insert or ignore into Devices (a) "\n "VALUES ($1)")', ["devices"]),
        ('tx.run(f"INSERT INTO devices ({names}) VALUES {rows}")', ["devices"]),
        ('SQL = "WITH x AS (SELECT 1) DELETE FROM devices WHERE 1"', ["devices"]),
        ('SQL = "UPDATE devices AS d SET a = $1"', ["devices"]),
        ('SQL = """\n    UPDATE devices\n    SET a = $1"""', ["devices"]),
        ('SQL = "REPLACE INTO devices VALUES ($1)"', ["devices"]),
        ('SQL = "INSERT INTO devices (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = 1"', None),
        ('tx.run(f"DELETE FROM {table}")', [None]),
        ('tx.run("INSERT INTO " + table + " VALUES (1)")', [None]),
        ('tx.run("UPDATE %s SET a = 1" % table)', [None]),
        ('tx.run("DELETE FROM {}".format(table))', [None]),
        ('SQL = "SELECT a FROM devices FOR UPDATE"', []),
        ('def f():\n    """INSERT INTO devices what is new."""', []),
        ('message = "cannot update the device"', []),
    ],
)
def test_writes_in__one_statement__names_its_table(
    code: str, tables: list[str | None] | None
) -> None:
    """Statements are found however they are written; reading and prose are not."""
    expected = ["devices"] if tables is None else tables
    assert [write.table for write in writes_in(ast.parse(code))] == expected


def test_objections__planted_writes__are_found() -> None:
    """Another feature's table, an unknown one and an unnamed one are refused; one's own is not."""
    owners, ownerless = owners_in(
        "-- owner: fleet\nCREATE TABLE devices (\n  a TEXT\n);\n"
        "-- owner: telemetry\n-- one row per reading\nCREATE TABLE IF NOT EXISTS samples (a);\n"
        "CREATE TABLE strays (a);\n"
    )
    assert ownerless == ["strays"]
    writes = [Write(line, table) for line, table in enumerate(["samples", "devices", "x", None])]
    assert objections("telemetry", writes, owners) == [
        "line 1: telemetry writes to devices of fleet",
        "line 2: no migration creates x",
        "line 3: the table is not named in the statement",
    ]

"""The audit log: one entry per recorded action, whole with it, never changed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from tellus.audit.admin_api import AuditQuery, list_audit_log
from tellus.audit.model import Filter
from tellus.audit.service import AuditService, record
from tellus.kernel.call import ANYONE, NOTHING, Call
from tellus.storage.sqlite import SQLiteDatabase

NOW_MS = 1_742_031_000_000


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[SQLiteDatabase], Awaitable[None]]], None]:
    """Run a coroutine function over a started store."""

    def run_test(test: Callable[[SQLiteDatabase], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with SQLiteDatabase.open(tmp_path / "tellus.db") as database:
                await test(database)

        asyncio.run(whole())

    return run_test


def note(tx: Any, number: int, actor: str = "sa_1", kind: str = "client", **details: Any) -> None:
    """Record that a client or site was created."""
    record(
        tx, actor, f"{kind}.created", kind, f"{kind}_{number}", "op_1", "req_1", NOW_MS, **details
    )


def test_record__with_details__is_read_back_whole(run: Any) -> None:
    """An entry keeps who, what, which, when and its details; what is absent stays absent."""

    async def test(database: SQLiteDatabase) -> None:
        audit = AuditService(database)
        await database.write(note, 1, scopes=["read"], overlap_s=5)
        await database.write(
            lambda tx: record(tx, "platform", "key.created", "key", "k", None, None, NOW_MS)
        )
        call = Call(ANYONE, NOTHING, AuditQuery(), NOW_MS)
        page = msgspec.to_builtins(await list_audit_log(audit, call))
        assert page["total"] == 2
        second, first = page["items"]
        assert first == {
            "entry_no": 1,
            "at": "2025-03-15T09:30:00Z",
            "actor": "sa_1",
            "action": "client.created",
            "resource_type": "client",
            "resource_id": "client_1",
            "operator_id": "op_1",
            "request_id": "req_1",
            "details": {"scopes": ["read"], "overlap_s": 5},
        }
        assert "operator_id" not in second
        assert "request_id" not in second

    run(test)


def test_record__transaction_undone__leaves_no_entry(run: Any) -> None:
    """There is no entry for what did not happen."""

    async def test(database: SQLiteDatabase) -> None:
        def fail(tx: Any) -> None:
            note(tx, 1)
            raise LookupError

        with pytest.raises(LookupError):
            await database.write(fail)
        assert await AuditService(database).list_entries(Filter(), 0, 10) == (0, [])

    run(test)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "REPLACE INTO audit_log SELECT entry_no, 0, '', '', '', '', '', '', '' FROM audit_log",
    ],
)
def test_audit_log__change_or_delete__is_refused_by_the_database(run: Any, statement: str) -> None:
    """Nothing that uses the database through its rules can rewrite what was recorded."""

    async def test(database: SQLiteDatabase) -> None:
        await database.write(note, 1)
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            await database.write(lambda tx: tx.execute(statement))
        total, entries = await AuditService(database).list_entries(Filter(), 0, 10)
        assert (total, entries[0].actor) == (1, "sa_1")

    run(test)


@pytest.mark.parametrize("name", ["secret", "client_secret", "device_secret", "token", "vin"])
def test_record__detail_named_like_a_secret__is_refused(run: Any, name: str) -> None:
    """Secrets, tokens and vehicle identification numbers cannot be recorded by their names."""

    async def test(database: SQLiteDatabase) -> None:
        with pytest.raises(ValueError, match=name):
            await database.write(note, 1, **{name: "hidden"})

    run(test)


def test_list_entries__filters_and_pages__newest_first(run: Any) -> None:
    """Filters combine, the total counts all that match, and pages follow each other."""

    async def test(database: SQLiteDatabase) -> None:
        audit = AuditService(database)
        for number in range(5):
            await database.write(note, number, actor=f"sa_{number % 2}")
            await database.write(note, number, kind="site")

        async def ids(wanted: Filter, offset: int = 0, size: int = 10) -> tuple[int, list[str]]:
            total, entries = await audit.list_entries(wanted, offset, size)
            return total, [entry.resource_id for entry in entries]

        assert (await ids(Filter()))[0] == 10
        assert await ids(Filter(resource_type="site"), 1, 2) == (5, ["site_3", "site_2"])
        assert await ids(Filter("client", None, "sa_1")) == (2, ["client_3", "client_1"])
        assert await ids(Filter(None, "client_4")) == (1, ["client_4"])
        assert await ids(Filter(actor="nobody")) == (0, [])
        assert await ids(Filter(), 20) == (10, [])

    run(test)

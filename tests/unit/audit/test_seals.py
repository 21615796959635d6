"""The chain over the audit log: it grows with the log, and shows whatever was done to it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tellus.audit.model import Problem, ProblemKind, Verification
from tellus.audit.sealing import Sealer
from tellus.audit.service import record
from tellus.kernel.clock import SystemClock
from tellus.storage.database import Database, Tx
from tests.databases import POSTGRES, Choice, open_database

NOW_MS = 1_742_031_000_000
LATER_MS = NOW_MS + 3_600_000
KEY = b"k" * 32
GUARDS = ("audit_log", "audit_seals")
Test = Callable[[Database, Sealer], Awaitable[None]]
RunSealed = Callable[[Test], None]


def write_entries(tx: Tx, first: int, count: int) -> None:
    """Record that clients were created."""
    for number in range(first, first + count):
        record(
            tx, "sa_1", "client.created", "client", f"cli_{number}", "op_1", None, NOW_MS, n=number
        )


def lift_guards(tx: Tx) -> None:
    """Take the triggers away, as somebody with full rights in the database can."""
    if Choice.kind == POSTGRES:
        for table in GUARDS:
            tx.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        return
    for (name,) in tx.rows(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit%'"
    ):
        tx.execute(f"DROP TRIGGER {name}")


async def verify(sealer: Sealer, limit: int = 7) -> list[Problem]:
    """Return all problems, looked for in parts."""
    problems: list[Problem] = []
    part = Verification(0, 0, is_last=False, problems=[])
    while not part.is_last:
        part = await sealer.verify(part.checked_to, limit, LATER_MS)
        problems += part.problems
    return problems


@pytest.fixture
def run_sealed(database_kind: str, tmp_path: Path) -> RunSealed:
    """Run a test over a log of thirty sealed entries, on each database."""
    del database_kind

    def run(test: Test) -> None:
        async def whole() -> None:
            async with open_database(tmp_path / "tellus.db", SystemClock()) as database:
                sealer = Sealer(database, KEY, tmp_path / "audit-head.json")
                await database.write(write_entries, 1, 30)
                assert await sealer.seal() == 30
                assert await verify(sealer) == []
                await test(database, sealer)

        asyncio.run(whole())

    return run


def test_seal__grows_with_the_log__and_nothing_is_wrong(
    run_sealed: RunSealed, tmp_path: Path
) -> None:
    """Entries that come later go on with the chain; sealing again changes nothing."""

    async def test(database: Database, sealer: Sealer) -> None:
        assert await sealer.seal() == 0
        await database.write(write_entries, 100, 3)
        assert await sealer.seal() == 3
        assert await verify(sealer) == []
        other = Sealer(database, b"x" * 32, tmp_path / "none.json")
        assert {one.kind for one in await verify(other)} == {ProblemKind.CHANGED}

    run_sealed(test)


def edit(tx: Tx) -> None:
    """Change who did it."""
    tx.execute("UPDATE audit_log SET actor = 'sa_2' WHERE entry_no = 12")


def delete(tx: Tx) -> None:
    """Remove an entry."""
    tx.execute("DELETE FROM audit_log WHERE entry_no = 12")


def delete_both(tx: Tx) -> None:
    """Remove an entry with its seal, and close the gap."""
    tx.execute("DELETE FROM audit_log WHERE entry_no = 12")
    tx.execute("DELETE FROM audit_seals WHERE entry_no = 12")
    for seal_no in range(13, 31):
        tx.execute("UPDATE audit_seals SET seal_no = $1 WHERE seal_no = $2", seal_no - 1, seal_no)


def swap(tx: Tx) -> None:
    """Let two entries change places."""
    for before, after in ((12, 9_999), (13, 12), (9_999, 13)):
        tx.execute("UPDATE audit_log SET entry_no = $1 WHERE entry_no = $2", after, before)


def cut_off(tx: Tx) -> None:
    """Remove the last entries with their seals."""
    tx.execute("DELETE FROM audit_log WHERE entry_no > 20")
    tx.execute("DELETE FROM audit_seals WHERE entry_no > 20")


def empty(tx: Tx) -> None:
    """Remove everything."""
    tx.execute("DELETE FROM audit_log")
    tx.execute("DELETE FROM audit_seals")


def slip_in(tx: Tx) -> None:
    """Add an entry under a number that the sealer has long passed."""
    tx.execute(
        "INSERT INTO audit_log (entry_no, at_ms, actor, action, resource_type, resource_id,"
        " details) VALUES (-5, $1, 'sa_1', 'client.created', 'client', 'cli_x', '{}')",
        NOW_MS,
    )


TAMPERINGS = {
    edit: ProblemKind.CHANGED,
    delete: ProblemKind.MISSING,
    delete_both: ProblemKind.CHANGED,
    swap: ProblemKind.CHANGED,
    cut_off: ProblemKind.CUT_OFF,
    empty: ProblemKind.CUT_OFF,
}


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_verify__log_tampered_with__says_what_and_where(
    run_sealed: RunSealed, tmp_path: Path, tamper: Callable[[Tx], None]
) -> None:
    """Edited, deleted, reordered, cut off or emptied: each is found, also by a later process."""

    async def test(database: Database, sealer: Sealer) -> None:
        await database.write(lift_guards)
        await database.write(tamper)
        kinds = {one.kind for one in await verify(sealer)}
        assert TAMPERINGS[tamper] in kinds
        restarted = Sealer(database, KEY, tmp_path / "audit-head.json")
        assert {one.kind for one in await verify(restarted)} == kinds

    run_sealed(test)


@pytest.mark.parametrize("tamper", [cut_off, empty], ids=lambda tamper: tamper.__name__)
def test_verify__cut_off_and_grown_again__is_still_cut_off(
    run_sealed: RunSealed, tmp_path: Path, tamper: Callable[[Tx], None]
) -> None:
    """Entries that are sealed after the end was cut off do not hide that, however many come."""

    async def test(database: Database, sealer: Sealer) -> None:
        await database.write(lift_guards)
        await database.write(tamper)
        for first, count in ((100, 5), (200, 40)):
            await database.write(write_entries, first, count)
            assert await sealer.seal() == count
            assert ProblemKind.CUT_OFF in {one.kind for one in await verify(sealer)}
        restarted = Sealer(database, KEY, tmp_path / "audit-head.json")
        await database.write(write_entries, 300, 1)
        assert await restarted.seal() == 1
        assert ProblemKind.CUT_OFF in {one.kind for one in await verify(restarted)}

    run_sealed(test)


def test_seal__head_file_put_aside__keeps_the_head_again(
    run_sealed: RunSealed, tmp_path: Path
) -> None:
    """Whoever knows why the end is missing, such as a restored backup, puts the file aside."""

    async def test(database: Database, sealer: Sealer) -> None:
        await database.write(lift_guards)
        await database.write(cut_off)
        (tmp_path / "audit-head.json").unlink()
        await database.write(write_entries, 100, 5)
        assert await sealer.seal() == 5
        assert await verify(sealer) == []
        assert (tmp_path / "audit-head.json").exists()

    run_sealed(test)


def test_verify__entry_slipped_in__is_unsealed(run_sealed: RunSealed, tmp_path: Path) -> None:
    """An entry that nobody sealed is told of once it should have been."""

    async def test(database: Database, sealer: Sealer) -> None:
        await database.write(slip_in)
        assert await sealer.seal() == 0
        assert [one.kind for one in await verify(sealer)] == [ProblemKind.UNSEALED]

    run_sealed(test)


def test_verify__chain_forged_without_the_key__is_found(
    run_sealed: RunSealed, tmp_path: Path
) -> None:
    """Whoever changes an entry and seals the rest again with another key is found."""

    async def test(database: Database, sealer: Sealer) -> None:
        await database.write(lift_guards)
        await database.write(edit)
        await database.write(lambda tx: tx.execute("DELETE FROM audit_seals WHERE seal_no >= 12"))
        forger = Sealer(database, b"f" * 32, tmp_path / "forged.json")
        assert await forger.seal() > 0
        assert ProblemKind.CHANGED in {one.kind for one in await verify(sealer)}

    run_sealed(test)


def test_head_file__holds_the_last_seal(run_sealed: RunSealed, tmp_path: Path) -> None:
    """The head outside the database is that of the chain."""

    async def test(_database: Database, _sealer: Sealer) -> None:
        head = msgspec.json.decode((tmp_path / "audit-head.json").read_bytes())
        assert head["seal_no"] == 30
        assert len(bytes.fromhex(head["hash"])) == 32

    run_sealed(test)

"""The vault of vehicle identification numbers."""

from collections.abc import Awaitable, Callable

from tellus.identity.keys import KeyRing
from tellus.identity.vault import Vault
from tests.unit.identity.conftest import IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

VIN = "WVWZZZ1JZXW000001"


def test_seal__one_number_twice__is_one_subject_in_different_cipher_texts(
    run_bench: RunBench,
) -> None:
    """Equal numbers are one subject, in any spelling, and look different each time sealed."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault
        first = await bench.database.write(vault.seal, "op_1", VIN, 1)
        second = await bench.database.write(vault.seal, "op_1", f" {VIN.lower()} ", 2)
        assert first[0] == second[0]
        assert first[1] != second[1]
        assert await bench.database.read(vault.open, *first) == VIN
        assert await bench.database.read(vault.find_subject, "op_1", VIN) == first[0]

    run_bench(test)


def test_seal__two_operators__are_two_unlinkable_subjects(run_bench: RunBench) -> None:
    """The same vehicle with two operators cannot be told to be one from the database."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault
        ours = await bench.database.write(vault.seal, "op_1", VIN, 1)
        theirs = await bench.database.write(vault.seal, "op_2", VIN, 1)
        assert ours[0] != theirs[0]
        indexes = await bench.rows("SELECT blind_index FROM subjects")
        assert len(set(indexes)) == 2
        assert await bench.database.read(vault.open, theirs[0], ours[1]) is None
        assert await bench.database.read(vault.find_subject, "op_3", VIN) is None

    run_bench(test)


def test_open__after_restart__still_reads(run_bench: RunBench) -> None:
    """What was sealed opens again with the same key file, whatever characters it holds."""

    async def test(bench: IdentityBench) -> None:
        texts = [VIN, "", "Ünïcode", "\ud800"]
        sealed = [
            await bench.database.write(bench.service.vault.seal, "op_1", text, 1) for text in texts
        ]
        fresh = Vault(bench.keys, remembered=1)
        for text, (subject_id, content) in zip(texts, sealed, strict=True):
            assert await bench.database.read(fresh.open, subject_id, content) == text
        assert len(fresh._ciphers) == 1

    run_bench(test)


def test_open__subject_erased__is_gone(run_bench: RunBench) -> None:
    """Dropping a subject's row ends what was sealed for it, once memory forgot its key."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault
        subject_id, sealed = await bench.database.write(vault.seal, "op_1", VIN, 1)
        await bench.database.write(lambda tx: tx.execute("DELETE FROM subjects"))
        vault.forget(subject_id)
        assert await bench.database.read(vault.open, subject_id, sealed) is None
        assert await bench.database.read(vault.seal_for, subject_id, b"more") is None
        again, _ = await bench.database.write(vault.seal, "op_1", VIN, 2)
        assert again != subject_id

    run_bench(test)


def test_seal__transaction_undone__leaves_no_subject(run_bench: RunBench) -> None:
    """A number sealed in a transaction that fails is nowhere, and can be sealed again."""

    async def test(bench: IdentityBench) -> None:
        vault = bench.service.vault

        def fail(tx: object) -> None:
            vault.seal(tx, "op_1", VIN, 1)  # type: ignore[arg-type]
            raise LookupError

        for _ in range(2):
            try:
                await bench.database.write(fail)
            except LookupError:
                assert await bench.rows("SELECT * FROM subjects") == []
        made = await bench.database.write(vault.seal, "op_1", VIN, 1)
        assert await bench.database.read(vault.open, *made) == VIN

    run_bench(test)


def test_vault__at_rest__holds_no_number(run_bench: RunBench) -> None:
    """Neither the number nor an unkeyed hash of it stands in the database."""

    async def test(bench: IdentityBench) -> None:
        _, sealed = await bench.database.write(bench.service.vault.seal, "op_1", VIN, 1)
        stored = repr(await bench.rows("SELECT * FROM subjects")) + repr(sealed)
        assert VIN not in stored
        assert "op_1" in stored

    run_bench(test)


def test_fingerprint__keyed__is_stable_and_differs_by_key_and_content() -> None:
    """Equal content has an equal fingerprint on one instance and another on the next."""
    ours = Vault(KeyRing(bytes(range(32)), bytes(range(32, 64))))
    theirs = Vault(KeyRing(bytes(range(1, 33)), bytes(range(32, 64))))
    again = Vault(KeyRing(bytes(range(32)), bytes(range(64, 96))))
    assert ours.fingerprint(b"content") == again.fingerprint(b"content")
    prints = {ours.fingerprint(b"content"), ours.fingerprint(b""), theirs.fingerprint(b"content")}
    assert len(prints) == 3
    assert all(len(one) == 16 for one in prints)

"""Sealing: every entry gets its link in the chain, a moment after it was written.

Entries are written in the transactions of what they record; to chain them there would let those
wait for one another. The head of the chain is also kept in a file beside the database, and in the
log: whoever cuts the end off the chain would have to change those too.
"""

from pathlib import Path

import msgspec
import structlog

from tellus.audit import store_seals
from tellus.audit.model import Problem, ProblemKind, Seal, Verification, Written
from tellus.audit.rules import FIRST_HASH, find_problems, seal_of
from tellus.kernel.units import MINUTE_MS
from tellus.storage.database import Database, Tx

_AT_ONCE = 500
# Transactions of other nodes may commit entries late, under lower numbers than are sealed already.
_LATE_NUMBERS = 1_000
_OVERLOOKED_SHOWN = 100
_LOCK = "audit-seals"

log = structlog.get_logger(__name__)


class Head(msgspec.Struct, frozen=True):
    """The last seal as it is kept outside the database; ``hash`` is hexadecimal."""

    seal_no: int
    hash: str


class Sealer:
    """Makes and checks the chain; ``head_file`` keeps the last seal that this process made."""

    def __init__(self, database: Database, key: bytes, head_file: Path) -> None:
        self._database = database
        self._key = key
        self._head_file = head_file

    async def seal(self) -> int:
        """Seal what is not sealed yet; return how many entries that were."""
        sealed = 0
        while await self._database.read(self._has_unsealed):
            seals = await self._database.write(self._seal_some)
            if not seals:
                break
            sealed += len(seals)
            await self._keep_head(seals[-1])
        return sealed

    async def verify(self, after_seal_no: int, limit: int, now_ms: int) -> Verification:
        """Check up to ``limit`` links after that seal; at the end also what no seal tells of."""
        return await self._database.read(self._verify, after_seal_no, limit, now_ms)

    # -------------------------------------------------------------------- private

    def _has_unsealed(self, tx: Tx) -> bool:
        last = store_seals.find_last_seal(tx)
        return bool(store_seals.list_unsealed(tx, _looked_from(last), 1))

    def _seal_some(self, tx: Tx) -> list[Seal]:
        tx.lock(_LOCK)
        last = store_seals.find_last_seal(tx)
        entries = store_seals.list_unsealed(tx, _looked_from(last), _AT_ONCE)
        seals = self._link(last, entries)
        store_seals.append_seals(tx, seals)
        return seals

    def _link(self, last: Seal | None, entries: list[Written]) -> list[Seal]:
        seal_no, before = (last.seal_no, last.hash) if last else (0, FIRST_HASH)
        seals = []
        for entry in entries:
            seal_no += 1
            before = seal_of(self._key, before, entry)
            seals.append(Seal(seal_no, entry.entry_no, before))
        return seals

    async def _keep_head(self, seal: Seal) -> None:
        """Keep a head outside the database, unless the one kept there is not in the chain.

        That one shows that the end was cut off: the chain grows again, and would soon hide it.
        """
        head = Head(seal.seal_no, seal.hash.hex())
        log.info("audit.sealed", seal_no=head.seal_no, head=head.hash)
        for problem in await self._database.read(self._check_head):
            log.error("audit.cut_off", seal_no=problem.seal_no, head_file=str(self._head_file))
            return
        unfinished = self._head_file.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(head) + b"\n")
        unfinished.replace(self._head_file)

    def _verify(self, tx: Tx, after_seal_no: int, limit: int, now_ms: int) -> Verification:
        before = store_seals.find_seal(tx, after_seal_no) if after_seal_no else None
        links = store_seals.list_links(tx, after_seal_no, limit)
        problems = find_problems(self._key, before, links)
        if after_seal_no and before is None:
            problems.insert(0, Problem(ProblemKind.GAP, after_seal_no, None))
        is_last = len(links) < limit
        checked_to = links[-1][0].seal_no if links else after_seal_no
        if is_last:
            problems += self._check_head(tx)
            overlooked = store_seals.list_overlooked(tx, now_ms - MINUTE_MS, _OVERLOOKED_SHOWN)
            problems += [Problem(ProblemKind.UNSEALED, None, entry_no) for entry_no in overlooked]
        return Verification(len(links), checked_to, is_last, problems)

    def _check_head(self, tx: Tx) -> list[Problem]:
        """Compare the chain with the head that this process kept outside the database."""
        try:
            head = msgspec.json.decode(self._head_file.read_bytes(), type=Head)
        except (OSError, msgspec.DecodeError):
            return []  # another node may have made all seals, or the file was not moved along
        seal = store_seals.find_seal(tx, head.seal_no)
        if seal is None or seal.hash.hex() != head.hash:
            return [Problem(ProblemKind.CUT_OFF, head.seal_no, None)]
        return []


def _looked_from(last: Seal | None) -> int:
    return max(0, last.entry_no - _LATE_NUMBERS) if last else 0

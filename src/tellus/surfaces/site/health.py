"""Whether the platform lives and is ready: the checks behind ``/readyz``.

Not ready means: send no new work here. That is so while the server drains, once the store has given
up, and while the disk takes no writes; reads go on being answered all the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from tellus.kernel.errors import ApiError
from tellus.surfaces.guard.draining import DrainState

PROBE_EVERY_S: Final = 5.0
_AILMENTS: Final = {
    "full": "the disk is full: writes are refused until there is space",
    "busy": "the last batch could not be written",
    "lost": "the database cannot be reached: requests are refused until it answers",
}


class Check(NamedTuple):
    """One thing that was looked at: its name, whether it is well, and what was seen."""

    name: str
    ok: bool
    detail: str


class StorageFacts(Protocol):
    """What is asked of the store's counters."""

    queue_depth: int
    failed: bool
    ailment: str


class Readiness:
    """Looks at the parts that readiness depends on; calling it returns what it saw.

    ``storage`` gives the store's counters, ``queue_operations`` is how many writes may wait,
    ``schema_version`` the newest migration that was applied.
    """

    def __init__(
        self,
        storage: Callable[[], StorageFacts],
        drain: DrainState,
        *,
        queue_operations: int,
        schema_version: str,
    ) -> None:
        self._storage = storage
        self._drain = drain
        self._queue_operations = queue_operations
        self._schema_version = schema_version

    def __call__(self) -> list[Check]:
        """Return all checks, in a fixed order."""
        facts = self._storage()
        draining = self._drain.draining
        return [
            check_storage(facts),
            check_writer_queue(facts.queue_depth, self._queue_operations),
            Check("draining", not draining, "the server is stopping" if draining else "no"),
            Check("migrations", bool(self._schema_version), f"at {self._schema_version}"),
        ]


def check_storage(facts: StorageFacts) -> Check:
    """Judge the store: it must take writes."""
    if facts.failed:
        return Check("storage", False, "the store has failed: restart to recover")
    if facts.ailment:
        return Check("storage", False, _AILMENTS.get(facts.ailment, facts.ailment))
    return Check("storage", True, "takes writes")


def check_writer_queue(depth: int, operations: int) -> Check:
    """Judge the queue before the writer: full means that new writes are turned away."""
    return Check("writer_queue", depth < operations, f"{depth} of {operations} operations wait")


def is_ready(checks: Sequence[Check]) -> bool:
    """Tell whether everything is well."""
    return all(check.ok for check in checks)


async def keep_probing(
    storage: Callable[[], StorageFacts],
    probe: Callable[[], Awaitable[object]],
    every_s: float = PROBE_EVERY_S,
) -> None:
    """Try a small write now and then while writes fail, until cancelled.

    Without it a platform that is not ready would get no writes, and so never learn that the disk
    has space again. ``probe`` has to change something on disk.
    """
    while True:
        await asyncio.sleep(every_s)
        facts = storage()
        if facts.ailment and not facts.failed:
            try:
                await probe()
            except ApiError:
                continue  # still ailing: the check says so

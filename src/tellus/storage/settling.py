"""Write, then let memory follow: whole, even when the caller goes away in between."""

import asyncio
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from tellus.storage.database import Database, Tx

T = TypeVar("T")
P = ParamSpec("P")


class Settling:
    """Writes of one service whose results memory must follow."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: set[asyncio.Task[Any]] = set()

    async def settle(
        self,
        remember: Callable[[T], object],
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``work`` in a transaction, then ``remember`` its result; raises what they raise.

        A caller that is cancelled between commit and memory would otherwise leave the two apart.
        """

        async def write_and_remember() -> T:
            result = await self._database.write(work, *args, **kwargs)
            remember(result)
            return result

        task = asyncio.create_task(write_and_remember())
        self._tasks.add(task)
        task.add_done_callback(self._settled)
        return await asyncio.shield(task)

    def _settled(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the caller has it; where it went away, nobody is left to tell

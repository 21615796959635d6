"""What runs by itself beside the requests, until it is ended."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tellus.kernel.errors import ApiError
from tellus.surfaces.http import Recorder


class Rounds:
    """Work that goes on, and work that is done again and again.

    ``is_on_duty`` tells whether what is to be done once among all nodes is this one's to do.
    """

    def __init__(self, recorder: Recorder, is_on_duty: Callable[[], bool]) -> None:
        self._recorder = recorder
        self._is_on_duty = is_on_duty
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Let ``work`` go on; should it end by a bug, that is told."""
        task = asyncio.create_task(work, name=getattr(work, "__qualname__", "work"))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def run_every(
        self, every_s: float, work: Callable[[], Awaitable[object]], *, once: bool = False
    ) -> None:
        """Do ``work`` again and again, with ``once`` on the node on duty alone.

        What goes wrong is logged and tried again next time.
        """
        self.run(self._repeat(every_s, work, once=once))

    async def end(self) -> None:
        """End it all."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._recorder.crash("", task.get_name(), error)

    async def _repeat(
        self, every_s: float, work: Callable[[], Awaitable[object]], *, once: bool
    ) -> None:
        name = getattr(work, "__name__", "work").strip("_")
        while True:
            await asyncio.sleep(every_s)
            if once and not self._is_on_duty():
                continue
            try:
                await work()
            except ApiError as error:
                self._recorder.failure("", name, error, "")
            except Exception as error:  # noqa: BLE001 - one failed round must not end the rounds
                self._recorder.crash("", name, error)

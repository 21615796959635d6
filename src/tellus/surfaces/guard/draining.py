"""What the server and the application agree on while the server stops."""

import asyncio
from collections.abc import Awaitable, Callable


class DrainState:
    """Tells the application that the server stops, and lets it act before connections close.

    ``draining`` turns true once, before anything is closed: readiness turns false with it, and
    every answer that begins from then on carries ``Connection: close``. Streams need no hook: the
    server closes them with code 1012 by itself.
    """

    def __init__(self) -> None:
        self.draining = False
        self._hooks: list[Callable[[], Awaitable[None]]] = []

    def on_drain(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Register what is to be run once when draining begins, such as releasing parked polls."""
        self._hooks.append(hook)

    async def begin(self, within_s: float) -> list[BaseException]:
        """Turn ``draining`` on and run all hooks side by side, for at most ``within_s`` seconds.

        Returns what went wrong; a hook that fails or lasts too long stops no other.
        """
        self.draining = True
        outcomes = await asyncio.gather(
            *(asyncio.wait_for(hook(), within_s) for hook in self._hooks), return_exceptions=True
        )
        return [outcome for outcome in outcomes if isinstance(outcome, BaseException)]

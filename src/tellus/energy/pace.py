"""How fast the folder may go: a share of one processor, more of it when it falls behind."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tellus.kernel.errors import TooManyRequests

T = TypeVar("T")

# Up to here the folder is as far behind as it should be, and keeps to its share.
_CALM_S: Final = 300.0
_LARGEST_SHARE: Final = 0.5
# Shorter rests cost more in wakening than they leave to others.
_SHORTEST_REST_S: Final = 0.002
_TURNED_AWAY_S: Final = 0.1
_ATTEMPTS: Final = 100


class Pace:
    """Rests after work, so that work takes ``share`` of the time, and counts what it took.

    With a lag of more than five minutes the share grows with it, up to a half: what is not folded
    costs every query, and in the end memory.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._owed_s = 0.0
        self.lag_s = 0.0
        self.spent_s = 0.0
        self.longest_held_s = 0.0

    async def rest(self, spent_s: float) -> None:
        """Rest for as long as work of ``spent_s`` seconds asks for.

        What counts is how long it took: on a busy machine the same work asks for more rest.
        """
        self.spent_s += spent_s
        share = min(_LARGEST_SHARE, self._share * max(1.0, self.lag_s / _CALM_S))
        share = max(share, self._share)
        if share < 1.0:
            self._owed_s += spent_s * (1 - share) / share
        if self._owed_s >= _SHORTEST_REST_S:
            owed_s, self._owed_s = self._owed_s, 0.0
            await asyncio.sleep(owed_s)

    def note_held(self, held_s: float) -> None:
        """Note how long the writer was held."""
        self.longest_held_s = max(self.longest_held_s, held_s)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Do what the store has no room for just now as soon as it has.

    Chargers come first where too many write at once; to begin a round anew would cost them more.

    Raises:
        TooManyRequests: it had none for ten seconds and more.
    """
    for _ in range(_ATTEMPTS):
        try:
            return await ask()
        except TooManyRequests:
            await asyncio.sleep(_TURNED_AWAY_S)
    return await ask()

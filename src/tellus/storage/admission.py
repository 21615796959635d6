"""What the doors of every back end share: who is let in, and who is told to come back later."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

LONGEST_WAIT_S = 0.5
"""Whoever is likely to wait longer than this is turned away at once."""

_RETRY_FROM_S, _RETRY_TO_S = 5, 60
_POLL_S = 0.005


def bind(work: Any, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """Return ``work`` waiting for its transaction only."""
    if not args and not kwargs:
        return work  # type: ignore[no-any-return]
    return lambda tx: work(tx, *args, **kwargs)


def retry_s() -> int:
    """Return a random pause, so that those turned away together do not come back together."""
    return _RETRY_FROM_S + secrets.randbelow(_RETRY_TO_S - _RETRY_FROM_S + 1)


async def ended(alive: Callable[[], bool], deadline_s: float) -> bool:
    """Wait until ``alive`` says no; tell whether it did before ``deadline_s`` (monotonic)."""
    while alive():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def tell_opened(
    loop: asyncio.AbstractEventLoop, opened: "asyncio.Future[None]", error: BaseException | None
) -> None:
    """Pass a writer's first word from its thread to ``loop``: it is open, or why it is not."""

    def settle() -> None:
        if opened.done():
            return
        if error is None:
            opened.set_result(None)
        else:
            opened.set_exception(error)

    loop.call_soon_threadsafe(settle)

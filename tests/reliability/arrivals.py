"""Whether a limiter's answers can be true, judged from outside by when requests left and returned.

The moment of a decision lies somewhere between sending the request and having the answer. What is
contradicted here is wrong for every such moment; in a quick burst that leaves no room at all.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.contract.client import Reply


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, one after the other, with what became of it."""

    sent_s: float
    got_s: float
    allowed: bool
    retry_after_s: int = 0


def arrival_of(ask: Callable[[], Reply]) -> Arrival:
    """Send one request and note when, and whether it was let through."""
    sent_s = time.monotonic()
    reply = ask()
    got_s = time.monotonic()
    seconds = reply.details.get("retry_after_seconds", 0) if reply.status == 429 else 0
    return Arrival(sent_s, got_s, reply.status != 429, seconds)


def burst(ask: Callable[[], Reply], count: int) -> list[Arrival]:
    """As many requests as fast as they go."""
    return [arrival_of(ask) for _ in range(count)]


def paced(ask: Callable[[], Reply], for_s: float, every_s: float) -> list[Arrival]:
    """Requests at a steady pace; a late one is not made up for."""
    arrivals = []
    end_s = time.monotonic() + for_s
    while time.monotonic() < end_s:
        arrivals.append(arrival_of(ask))
        time.sleep(max(0.0, every_s - (arrivals[-1].got_s - arrivals[-1].sent_s)))
    return arrivals


def count_allowed(arrivals: Iterable[Arrival]) -> int:
    """How many were let through."""
    return sum(arrival.allowed for arrival in arrivals)


def contradictions(arrivals: Iterable[Arrival], limit: int, window_s: float) -> list[str]:
    """What no limiter of at most ``limit`` in any half-open window can have answered."""
    found = []
    accepted: list[Arrival] = []
    for number, now in enumerate(arrivals):
        blocking = accepted[-limit] if len(accepted) >= limit else None
        if now.allowed:
            if blocking is not None and now.got_s - blocking.sent_s < window_s:
                found.append(f"#{number} is one too many")
            accepted.append(now)
        elif blocking is None or now.sent_s - blocking.got_s >= window_s:
            found.append(f"#{number} is refused although a slot was free")
        else:
            least_s = max(1, math.ceil(blocking.sent_s + window_s - now.got_s))
            most_s = max(1, math.ceil(blocking.got_s + window_s - now.sent_s))
            if not least_s <= now.retry_after_s <= most_s:
                told = f"{now.retry_after_s} s, not {least_s} to {most_s} s"
                found.append(f"#{number} is told to wait {told}")
    return found

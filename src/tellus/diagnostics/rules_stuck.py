"""`stuck_preparing`: a connector on which vehicles are authenticated and none comes to charge.

One vehicle that hangs is the vehicle's matter, as a rule; when the next one hangs as well, it is
the connector's. Who plugs in and is not authenticated may just be waiting: for a driver, or a plan.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tellus.diagnostics.model import UNTOLD, Turn, Verdict
from tellus.fleet.model import EventType
from tellus.kernel.units import MINUTE_MS, to_text

STUCK_AFTER_MS: Final = 5 * MINUTE_MS
"""A handshake takes under a minute; a slow vehicle gets several."""

GAVE_UP_MS: Final = MINUTE_MS
"""Somebody who leaves sooner after the authentication may have changed his mind."""

LEAST_VEHICLES: Final = 2
PREPARING: Final = "preparing"
_AHEAD_MS: Final = 5 * MINUTE_MS


class Attempt(NamedTuple):
    """A vehicle's stay up to its end (None: it stands there still), as far as it came."""

    plugged_ms: int
    authenticated_ms: int | None
    has_charged: bool
    has_fault: bool
    ended_ms: int | None


class Standing(NamedTuple):
    """A connector's turns in order of time, and how it is now."""

    turns: Sequence[Turn]
    detail_state: str | None
    now_ms: int


def list_attempts(turns: Sequence[Turn]) -> list[Attempt]:
    """Return the stays of vehicles, from the events of a connector in order of time."""
    attempts: list[Attempt] = []
    early_ms: int | None = None
    for kind, time_ms in turns:
        if kind == EventType.PLUG_IN:
            is_near = early_ms is not None and time_ms - early_ms <= _AHEAD_MS
            attempts.append(Attempt(time_ms, time_ms if is_near else None, False, False, None))
            early_ms = None
            continue
        last = attempts[-1] if attempts and attempts[-1].ended_ms is None else None
        if last is None:
            # Some are authenticated before they plug in.
            early_ms = time_ms if kind == EventType.AUTH_OK else early_ms
            continue
        if kind == EventType.AUTH_OK and last.authenticated_ms is None:
            attempts[-1] = last._replace(authenticated_ms=time_ms)
        elif kind == EventType.START:
            attempts[-1] = last._replace(has_charged=True)
        elif kind == EventType.FAULT:
            attempts[-1] = last._replace(has_fault=True)
        elif kind == EventType.PLUG_OUT:
            attempts[-1] = last._replace(ended_ms=time_ms)
    return attempts


def stuck_preparing(standing: Standing) -> Verdict:
    """Judge a connector that a vehicle stands at; never *over*, which only a charge is.

    A stay that ended with a fault has an alert of its own, and one without an authentication, or
    given up at once, says nothing: those are passed over. A vehicle that charged ends the count.
    """
    attempts = list_attempts(standing.turns)
    if standing.detail_state != PREPARING or not attempts or attempts[-1].ended_ms is not None:
        return UNTOLD
    current = attempts[-1]
    if _hung_ms(current, standing.now_ms) < STUCK_AFTER_MS:
        return UNTOLD
    hung = []
    for attempt in reversed(attempts):
        if attempt.has_charged:
            break
        if _hung_ms(attempt, standing.now_ms) >= GAVE_UP_MS:
            hung.append(attempt)
    if len(hung) < LEAST_VEHICLES:
        return UNTOLD
    first_ms = hung[-1].plugged_ms
    minutes = _hung_ms(current, standing.now_ms) // MINUTE_MS
    note = (
        f"The last {len(hung)} vehicles were authenticated and none charged, the first at"
        f" {to_text(first_ms)[:19]}Z; the present one has been preparing for {minutes} minutes."
    )
    evidence = {
        "vehicles": len(hung),
        "first_plugged_at": to_text(first_ms),
        "plugged_at": to_text(current.plugged_ms),
        "authenticated_at": to_text(current.authenticated_ms or current.plugged_ms),
        "mark": current.plugged_ms,
    }
    return Verdict(True, current.plugged_ms, note, evidence)


def _hung_ms(attempt: Attempt, now_ms: int) -> int:
    """Return for how long a vehicle that was authenticated did not charge; 0 where it is not so."""
    if attempt.authenticated_ms is None or attempt.has_charged or attempt.has_fault:
        return 0
    return max(0, (attempt.ended_ms or now_ms) - attempt.authenticated_ms)

"""The life of an order: what follows from what its charger says. Pure."""

from typing import Final, NamedTuple

from msgspec.structs import replace

from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.legacy.model import ENDED, Order, OrderKind, OrderState

RECORD_PATIENCE_MS: Final = 2 * MINUTE_MS
"""How long an order whose vehicle has left waits for the record that holds its energy."""

RECORD_TOLERANCE_MS: Final = 2 * MINUTE_MS
"""How far the begin of a record may lie from that of its order."""

LEAVE_PATIENCE_MS: Final = 24 * HOUR_MS
"""After which time without a word a vehicle whose session is over counts as gone."""

IDLE_PATIENCE_MS: Final = 2 * MINUTE_MS
"""How long a connector has to be seen idle until a session without an end counts as over."""

_CLOCK_SLACK_MS: Final = MINUTE_MS
_NOT_DONE: Final = frozenset({"failed", "lapsed"})
_FLOWS: Final = frozenset({OrderState.FLOWING, OrderState.STOPPING})
_RESTING: Final = frozenset({"idle", "finishing"})
_OF_KIND: Final = {OrderKind.CHARGE: "charging", OrderKind.DISCHARGE: "discharging"}


class Heard(NamedTuple):
    """What the newest sample of a connector says: its finest word for its state, when, its counter.

    ``time_ms`` is the charger's.
    """

    state: str
    time_ms: int
    energy_kwh: float


class Step(NamedTuple):
    """What an order becomes, and whether its charger is to be told to stop."""

    order: Order
    stops: bool = False


# ---------------------------------------------------------------------- what is heard


def is_about(order: Order, transaction_id: str | None, time_ms: int) -> bool:
    """Tell whether an event of its connector at that time (the charger's) can be of an order."""
    if transaction_id is not None:
        return transaction_id == order.vendor_order_id
    since_ms = order.created_ms - _CLOCK_SLACK_MS if order.began_ms is None else order.began_ms
    return time_ms >= since_ms


def begin(order: Order, began_ms: int, now_ms: int) -> Order:
    """Return an order whose energy has begun to flow at ``began_ms`` (the charger's time)."""
    if order.state is not OrderState.STARTING:
        return order
    state = OrderState.FLOWING if order.stop_command_id is None else OrderState.STOPPING
    return replace(order, state=state, began_ms=began_ms, changed_ms=now_ms)


def finish(order: Order, now_ms: int) -> Order:
    """Return an order whose session is over; its vehicle may still be there."""
    if order.state not in _FLOWS:
        return order
    return replace(order, state=OrderState.STOPPED, stopped_ms=now_ms, changed_ms=now_ms)


def leave(order: Order, now_ms: int) -> Order:
    """Return an order whose vehicle has gone."""
    order = finish(order, now_ms)
    if order.state is not OrderState.STOPPED or order.unplugged_ms is not None:
        return order
    return complete(replace(order, unplugged_ms=now_ms), now_ms)


def complete(order: Order, now_ms: int) -> Order:
    """Return an order as it is completed once its vehicle has gone and its energy is known.

    A record that does not come in time holds nothing up; it corrects the energy when it comes.
    """
    if order.state is not OrderState.STOPPED:
        return order
    gone_ms = order.unplugged_ms
    if gone_ms is None:
        if order.stopped_ms is None or now_ms < order.stopped_ms + LEAVE_PATIENCE_MS:
            return order
    elif order.record_id is None and now_ms < gone_ms + RECORD_PATIENCE_MS:
        return order
    return replace(order, state=OrderState.COMPLETED, changed_ms=now_ms, ended_ms=now_ms)


def settle(order: Order, record_id: str, energy_kwh: float, began_ms: int, now_ms: int) -> Order:
    """Return an order with what its charging record says; the first record stands."""
    if order.record_id is not None or order.state is OrderState.START_FAILED:
        return order
    order = finish(begin(order, began_ms, now_ms), now_ms)
    if order.kind is OrderKind.DISCHARGE:
        energy_kwh = -abs(energy_kwh)
    order = replace(order, record_id=record_id, energy_kwh=energy_kwh, changed_ms=now_ms)
    return complete(order, now_ms) if order.unplugged_ms is not None else order


def displace(order: Order, now_ms: int) -> Order:
    """Return an order as another one begins at its connector: it is over, whatever was not said."""
    order = finish(order, now_ms)
    if order.state is not OrderState.STOPPED:
        return order
    return replace(order, state=OrderState.COMPLETED, changed_ms=now_ms, ended_ms=now_ms)


def orphan(order: Order, now_ms: int) -> Order:
    """Return an order whose device was deleted: nothing more will be heard of it."""
    if order.state is OrderState.STARTING:
        return fail(order, "device_deleted", now_ms)
    return displace(order, now_ms)


# ------------------------------------------------------------------------ what is asked


def ask_to_stop(order: Order, stop_command_id: str, now_ms: int) -> Order:
    """Return an order that its charger is told to stop; one that still starts may yet begin."""
    state = OrderState.STOPPING if order.state is OrderState.FLOWING else order.state
    return replace(order, state=state, stop_command_id=stop_command_id, changed_ms=now_ms)


def fail(order: Order, reason: str, now_ms: int) -> Order:
    """Return an order that did not begin."""
    return replace(
        order, state=OrderState.START_FAILED, reason=reason, changed_ms=now_ms, ended_ms=now_ms
    )


def is_over(order: Order) -> bool:
    """Tell whether nothing of an order can be stopped any more."""
    return order.state in ENDED or order.state is OrderState.STOPPED


# ------------------------------------------------------------------------- what is due


def seems_over(order: Order, heard: Heard | None) -> bool:
    """Tell whether the connector of an order that runs rests, as if its session had ended."""
    if order.state not in _FLOWS or order.began_ms is None or heard is None:
        return False
    return heard.time_ms > order.began_ms and heard.state in _RESTING


def next_step(
    order: Order,
    phase: str | None,
    heard: Heard | None,
    now_ms: int,
    window_ms: int,
    idle_ms: int = 0,
) -> Step | None:
    """Return what becomes of an order by the state of its start, the newest sample and the time.

    ``phase`` is that of the start command, ``window_ms`` the time in which energy has to flow,
    ``idle_ms`` for how long its session has seemed over. None: nothing.
    """
    if order.state is OrderState.STARTING:
        return _next_of_starting(order, phase, heard, now_ms, window_ms)
    if idle_ms >= IDLE_PATIENCE_MS and seems_over(order, heard):
        return Step(finish(order, now_ms))
    if order.state is OrderState.FLOWING and _is_enough(order, heard):
        return Step(order, stops=True)
    done = complete(order, now_ms)
    return None if done is order else Step(done)


def _next_of_starting(
    order: Order, phase: str | None, heard: Heard | None, now_ms: int, window_ms: int
) -> Step | None:
    if heard is not None and heard.state == _OF_KIND[order.kind]:
        since_ms = order.created_ms
        if heard.time_ms >= since_ms and phase not in {None, "queued"}:
            return Step(begin(order, heard.time_ms, now_ms))
    if phase in _NOT_DONE:
        return Step(fail(order, "not_started", now_ms))
    if now_ms < order.created_ms + window_ms:
        return None
    # The charger may have it, and begin when nobody expects it any more.
    return Step(fail(order, "start_window", now_ms), stops=order.stop_command_id is None)


def _is_enough(order: Order, heard: Heard | None) -> bool:
    if order.limit_energy_kwh is None or order.stop_command_id is not None or heard is None:
        return False
    began_ms = order.began_ms or order.created_ms
    return heard.time_ms >= began_ms and abs(heard.energy_kwh) >= order.limit_energy_kwh

"""The life of an order: what follows from the charger's words, from time, and from nothing."""

import itertools
from collections.abc import Callable

import pytest

from tellus.legacy import rules_orders as rules
from tellus.legacy.model import ENDED, Order, OrderKind, OrderState
from tellus.legacy.rules_orders import Heard
from tests.unit.legacy.orders import BEGAN_MS, order_of

WINDOW_MS = 60_000
LATER_MS = BEGAN_MS + 5_000


def charging(time_ms: int = LATER_MS, energy_kwh: float = 1.0, state: str = "charging") -> Heard:
    """A sample of a charging connector."""
    return Heard(state, time_ms, energy_kwh)


def flowing(**changes: object) -> Order:
    """An order whose energy flows."""
    return rules.begin(order_of(**changes), LATER_MS, LATER_MS)


def test_order__start_stop_record_and_plug_out__completes_in_that_order() -> None:
    """The usual life: each word moves it on by one, and the end has the record's energy."""
    order = order_of()
    states = [order.state]
    for step in (
        lambda one: rules.begin(one, LATER_MS, LATER_MS),
        lambda one: rules.ask_to_stop(one, "cmd_2", LATER_MS + 1),
        lambda one: rules.finish(one, LATER_MS + 2),
        lambda one: rules.settle(one, "rec", 7.5, LATER_MS, LATER_MS + 3),
        lambda one: rules.leave(one, LATER_MS + 4),
    ):
        order = step(order)
        states.append(order.state)
    assert states == ["starting", "flowing", "stopping", "stopped", "stopped", "completed"]
    assert (order.energy_kwh, order.ended_ms) == (7.5, LATER_MS + 4)


@pytest.mark.parametrize("order_of_words", list(itertools.permutations(range(3))))
def test_order__words_of_the_end_in_any_order__complete_with_the_energy(
    order_of_words: tuple[int, ...],
) -> None:
    """Stop, record and plug-out may come in any order, each twice: the outcome is the same."""
    words: list[Callable[[Order], Order]] = [
        lambda one: rules.finish(one, LATER_MS + 1),
        lambda one: rules.settle(one, "rec", 7.5, LATER_MS, LATER_MS + 2),
        lambda one: rules.leave(one, LATER_MS + 3),
    ]
    order = flowing()
    for number in (*order_of_words, *order_of_words):
        order = words[number](order)
    assert (order.state, order.energy_kwh) == (OrderState.COMPLETED, 7.5)


def test_order__record_late__is_completed_without_and_corrected_with_it() -> None:
    """A record that stays away holds the end up for two minutes; when it comes it still counts."""
    order = rules.leave(flowing(), LATER_MS)
    assert order.state is OrderState.STOPPED
    due_ms = LATER_MS + rules.RECORD_PATIENCE_MS
    assert rules.next_step(order, "completed", None, due_ms - 1, WINDOW_MS) is None
    step = rules.next_step(order, "completed", None, due_ms, WINDOW_MS)
    assert step is not None
    assert (step.order.state, step.order.energy_kwh) == (OrderState.COMPLETED, None)
    corrected = rules.settle(step.order, "rec", 7.5, LATER_MS, due_ms + 9)
    assert (corrected.state, corrected.energy_kwh) == (OrderState.COMPLETED, 7.5)
    assert corrected.ended_ms == step.order.ended_ms


def test_order__second_record__changes_nothing() -> None:
    """The first record of an order stands."""
    order = rules.settle(flowing(), "rec", 7.5, LATER_MS, LATER_MS)
    assert rules.settle(order, "other", 9.5, LATER_MS, LATER_MS + 1) is order


@pytest.mark.parametrize("phase", ["failed", "lapsed"])
def test_starting__command_that_came_to_nothing__fails_at_once(phase: str) -> None:
    """Refused, expired, superseded: the order has failed before its window is over."""
    step = rules.next_step(order_of(), phase, None, LATER_MS, WINDOW_MS)
    assert step is not None
    assert (step.order.state, step.stops) == (OrderState.START_FAILED, False)
    assert step.order.ended_ms == LATER_MS


@pytest.mark.parametrize("phase", ["queued", "accepted"])
def test_starting__window_over__fails_and_the_charger_is_told(phase: str) -> None:
    """What has not begun after 60 s has failed; a charger that may have it yet is told to stop."""
    over_ms = BEGAN_MS + WINDOW_MS
    assert rules.next_step(order_of(), phase, None, over_ms - 1, WINDOW_MS) is None
    step = rules.next_step(order_of(), phase, None, over_ms, WINDOW_MS)
    assert step is not None
    assert (step.order.state, step.order.reason) == (OrderState.START_FAILED, "start_window")
    assert step.stops


def test_starting__sample_that_charges__has_begun_without_an_event() -> None:
    """A charger that sends no start event is believed by its samples, once it has the command."""
    accepted = rules.next_step(order_of(), "accepted", charging(), LATER_MS, WINDOW_MS)
    assert accepted is not None
    assert (accepted.order.state, accepted.order.began_ms) == (OrderState.FLOWING, LATER_MS)
    assert rules.next_step(order_of(), "queued", charging(), LATER_MS, WINDOW_MS) is None
    older = charging(BEGAN_MS - 1)
    assert rules.next_step(order_of(), "accepted", older, LATER_MS, WINDOW_MS) is None
    other_way = charging(state="discharging")
    assert rules.next_step(order_of(), "accepted", other_way, LATER_MS, WINDOW_MS) is None


def test_starting__stop_was_asked__begins_as_one_that_is_stopping() -> None:
    """A session that begins although its stop is under way is shown as being stopped."""
    asked = rules.ask_to_stop(order_of(), "cmd_2", LATER_MS)
    assert asked.state is OrderState.STARTING
    assert rules.begin(asked, LATER_MS, LATER_MS).state is OrderState.STOPPING


def test_flowing__energy_limit_reached__is_stopped_once() -> None:
    """The limit of a discharge is the platform's to keep; it tells the charger once."""
    order = flowing(kind=OrderKind.DISCHARGE, limit_energy_kwh=5)
    below = charging(LATER_MS, -4.99, "discharging")
    reached = charging(LATER_MS, -5.0, "discharging")
    assert rules.next_step(order, "accepted", below, LATER_MS, WINDOW_MS) is None
    step = rules.next_step(order, "accepted", reached, LATER_MS, WINDOW_MS)
    assert step is not None
    assert step.stops
    stopping = rules.ask_to_stop(order, "cmd_2", LATER_MS)
    assert rules.next_step(stopping, "accepted", reached, LATER_MS, WINDOW_MS) is None
    before = charging(LATER_MS - 1, -9.0, "discharging")
    assert rules.next_step(order, "accepted", before, LATER_MS, WINDOW_MS) is None


def test_stopped__nobody_ever_leaves__ends_after_a_day() -> None:
    """A charger whose plug-out got lost does not keep an order open for ever."""
    order = rules.finish(flowing(), LATER_MS)
    due_ms = LATER_MS + rules.LEAVE_PATIENCE_MS
    assert rules.next_step(order, None, None, due_ms - 1, WINDOW_MS) is None
    step = rules.next_step(order, None, None, due_ms, WINDOW_MS)
    assert step is not None
    assert step.order.state is OrderState.COMPLETED


@pytest.mark.parametrize("state", sorted(ENDED))
def test_ended__any_word__leaves_it_as_it_is(state: OrderState) -> None:
    """After an end there is no other state."""
    order = order_of(state=state, ended_ms=LATER_MS, record_id="rec")
    for word in (
        lambda one: rules.begin(one, LATER_MS, LATER_MS),
        lambda one: rules.finish(one, LATER_MS),
        lambda one: rules.leave(one, LATER_MS),
        lambda one: rules.settle(one, "other", 1.0, LATER_MS, LATER_MS),
        lambda one: rules.displace(one, LATER_MS),
        lambda one: rules.complete(one, LATER_MS),
    ):
        assert word(order) is order


@pytest.mark.parametrize(
    ("transaction_id", "time_ms", "about"),
    [
        ("ord_1", 0, True),
        ("another", LATER_MS, False),
        (None, BEGAN_MS, True),
        (None, BEGAN_MS - 60_001, False),
    ],
)
def test_is_about__event_of_the_connector__is_told_by_name_or_time(
    transaction_id: str | None, time_ms: int, *, about: bool
) -> None:
    """An event that names a transaction is of that one; one without must not be older."""
    assert rules.is_about(order_of(), transaction_id, time_ms) is about


def test_displace__next_order_at_the_connector__ends_what_is_over() -> None:
    """Whoever charges next proves that the session before is over; one that starts goes on."""
    assert rules.displace(rules.finish(flowing(), LATER_MS), LATER_MS).state is OrderState.COMPLETED
    assert rules.displace(order_of(), LATER_MS).state is OrderState.STARTING


def test_flowing__end_never_told__is_over_once_the_connector_rests() -> None:
    """A stop that got lost does not keep the connector from others; a pause is no end."""
    order, long_ms = flowing(), rules.IDLE_PATIENCE_MS
    resting = charging(LATER_MS + 1, state="idle")
    assert rules.seems_over(order, resting)
    assert rules.next_step(order, None, resting, LATER_MS, WINDOW_MS, long_ms - 1) is None
    step = rules.next_step(order, None, resting, LATER_MS, WINDOW_MS, long_ms)
    assert step is not None
    assert step.order.state is OrderState.STOPPED
    for state in ("paused", "charging", "fault", "preparing"):
        assert not rules.seems_over(order, charging(LATER_MS + 1, state=state))
    assert not rules.seems_over(order, charging(LATER_MS, state="idle"))
    assert not rules.seems_over(order_of(), resting)


def test_settle__record_of_a_discharge__is_negative_whatever_its_sign() -> None:
    """Some chargers report magnitudes: out of the vehicle is negative all the same."""
    for energy_kwh in (5.5, -5.5):
        order = flowing(kind=OrderKind.DISCHARGE)
        settled = rules.settle(order, "rec", energy_kwh, LATER_MS, LATER_MS)
        assert settled.energy_kwh == -5.5

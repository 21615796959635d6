from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tellus.simulator.buffer import OfflineBuffer
from tellus.simulator.messages import Kind, Message


def _message(kind: Kind, time_s: int, connector_id: int = 1) -> Message:
    return Message(kind, 1000 * time_s, connector_id, b"{}")


def test_buffer__all_kinds_waiting__gives_the_important_first_and_the_oldest_of_each() -> None:
    """Records go before events, command statuses and telemetry; within a kind by age."""
    buffer = OfflineBuffer()
    for kind in reversed(Kind):
        for time_s in (1, 2):
            buffer.put(_message(kind, time_s))
    out = []
    while (kind := buffer.next_kind()) is not None:
        out += [(one.kind, one.time_ms) for one in buffer.take(kind)]
    assert out == [(kind, time_ms) for kind in Kind for time_ms in (1000, 2000)]


def test_buffer__given_back__keeps_the_order() -> None:
    """What could not be sent stands in front again, in its order."""
    buffer = OfflineBuffer()
    for time_s in range(5):
        buffer.put(_message(Kind.EVENT, time_s))
    taken = buffer.take(Kind.EVENT, 3)
    buffer.give_back(taken)
    assert [one.time_ms for one in buffer.take(Kind.EVENT, 9)] == [0, 1000, 2000, 3000, 4000]


def test_buffer__some_kinds_not_allowed__gives_the_next_best() -> None:
    """A kind that must wait does not hold up the others."""
    buffer = OfflineBuffer()
    buffer.put(_message(Kind.EVENT, 1))
    buffer.put(_message(Kind.TELEMETRY, 1))
    assert buffer.next_kind({Kind.TELEMETRY}) is Kind.TELEMETRY
    assert buffer.next_kind(set()) is None


def test_buffer__full_of_telemetry__thins_it_to_thirty_seconds() -> None:
    """A full buffer keeps one frame per connector in 30 s, and drops nothing else."""
    buffer = OfflineBuffer(capacity=200)
    buffer.put(_message(Kind.RECORD, 0))
    buffer.put(_message(Kind.EVENT, 0))
    for time_s in range(0, 600, 5):
        buffer.put(_message(Kind.TELEMETRY, time_s, 1))
        buffer.put(_message(Kind.TELEMETRY, time_s, 2))
    assert len(buffer) <= 200
    assert buffer.count(Kind.RECORD) == buffer.count(Kind.EVENT) == 1
    assert set(buffer.dropped) == {Kind.TELEMETRY}
    kept = buffer.take(Kind.TELEMETRY, 1000)
    early = [one.time_ms for one in kept if one.connector_id == 1 and one.time_ms < 300_000]
    assert early == list(range(0, 300_000, 30_000))


def test_buffer__day_long_outage__keeps_every_record_and_bounds_the_rest() -> None:
    """A day offline with two busy connectors loses no record and no event."""
    buffer = OfflineBuffer()
    for time_s in range(0, 86_400, 5):
        for connector_id in (1, 2):
            buffer.put(_message(Kind.TELEMETRY, time_s, connector_id))
        if time_s % 600 == 0:
            buffer.put(_message(Kind.RECORD, time_s))
            buffer.put(_message(Kind.EVENT, time_s))
    assert len(buffer) <= 10_000
    assert buffer.count(Kind.RECORD) == buffer.count(Kind.EVENT) == 144
    newest = buffer.take(Kind.TELEMETRY, 20_000)[-1]
    assert newest.time_ms == 86_395_000


@given(st.integers(1, 30), st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(1, 2))))
def test_buffer__any_traffic__is_bounded_ordered_and_never_loses_a_record(
    capacity: int, traffic: list[tuple[Kind, int]]
) -> None:
    """Whatever comes in: records all stay, the rest fits the bound, the order is that of age."""
    buffer = OfflineBuffer(capacity)
    for time_s, (kind, connector_id) in enumerate(traffic):
        buffer.put(_message(kind, time_s, connector_id))
    records = sum(kind is Kind.RECORD for kind, _ in traffic)
    assert buffer.count(Kind.RECORD) == records
    assert len(buffer) <= max(capacity, records)
    assert len(buffer) + sum(buffer.dropped.values()) == len(traffic)
    for kind in Kind:
        times = [one.time_ms for one in buffer.take(kind, len(traffic))]
        assert times == sorted(times)

"""The moments of queues: nothing is asked too late, nothing piles up."""

import random

from tellus.commands.model import DEVICE_LEVEL, Moments
from tellus.commands.pending import Pending


def test_newly_due__against_a_plain_search__tells_each_moment_once() -> None:
    """Whatever is noted and forgotten, each device is named when a moment of its own has come."""
    rng = random.Random(7)
    pending, now_ms = Pending(), 0
    plain: dict[int, Moments] = {}
    untold: set[tuple[int, int]] = set()
    for _ in range(5_000):
        device_no = rng.randrange(40)
        if rng.random() < 0.2:
            pending.put(device_no, None)
            plain.pop(device_no, None)
        else:
            due_ms = {number: now_ms + rng.randrange(400) for number in range(rng.randrange(3))}
            moments = Moments(due_ms, now_ms + rng.randrange(800))
            pending.put(device_no, moments)
            plain[device_no] = moments
        untold = {one for one in untold if one[0] != device_no}
        if device_no in plain:
            untold |= {(device_no, ms) for ms in plain[device_no].due_ms.values()}
        now_ms += rng.randrange(20)
        told = pending.list_newly_due(now_ms)
        assert told == sorted({no for no, ms in untold if ms <= now_ms})
        untold = {one for one in untold if one[1] > now_ms}
        lapsing = sorted(no for no, moments in plain.items() if moments.lapse_ms <= now_ms)
        assert pending.list_lapsing(now_ms) == lapsing == pending.list_lapsing(now_ms)


def test_put__over_and_over__keeps_no_more_than_is_pending() -> None:
    """A device whose queue changes all day leaves nothing behind."""
    pending = Pending()
    for step in range(50_000):
        pending.put(step % 10, Moments({1: step, 2: step + 1}, 1_000_000_000 + step))
    assert len(pending) == 10
    assert len(pending._due) + len(pending._lapses) < 10_000


def test_learn__known_device__keeps_the_earlier_moments() -> None:
    """What the store says is added; what is known and earlier stays."""
    pending = Pending()
    pending.put(1, Moments({1: 500, 2: 100}, 900))
    pending.learn(1, Moments({1: 200, 2: 300, DEVICE_LEVEL: 400}, 800))
    assert [pending.is_due(1, ms, 1) for ms in (199, 200)] == [False, True]
    assert [pending.is_due(1, ms, 2) for ms in (99, 100)] == [False, True]
    assert [pending.is_due(1, ms, 3) for ms in (399, 400)] == [False, True]
    assert pending.list_lapsing(799) == []
    assert pending.list_lapsing(800) == [1]


def test_newly_due__many_at_once__are_told_in_slices() -> None:
    """However many become due together, one look takes a bounded part and none is forgotten."""
    pending = Pending()
    for device_no in range(25):
        pending.put(device_no, Moments({1: 5}, 900))
    assert not pending.has_newly_due(4)
    told = []
    while pending.has_newly_due(5):
        part = pending.list_newly_due(5, most=10)
        assert 0 < len(part) <= 10
        told += part
    assert sorted(told) == list(range(25))

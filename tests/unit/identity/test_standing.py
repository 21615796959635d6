"""Memory follows this node's own writes at once, whatever readings cross them."""

import itertools

from tellus.identity.directory import Directory
from tellus.identity.model import DeviceRecord


def record(revision: int, *, revoked: bool = False, generation: int = 1) -> DeviceRecord:
    """Return a device as of some revision."""
    return DeviceRecord(7, "dvc_7", "op_1", generation, 5 if revoked else None, 1, (), revision)


def test_remember__reading_that_began_before_a_write_was_known__is_not_believed() -> None:
    """A reading may have looked before the commit of a write whose number is smaller."""
    numbers = itertools.count(1)
    directory = Directory(1.0, lambda: next(numbers))
    directory.remember_device(record(next(numbers)))
    write, reading = next(numbers), next(numbers)
    assert directory.remember_device(record(write, revoked=True)).revoked
    assert directory.remember_device(record(reading), reread=True).revoked
    later = next(numbers)
    assert not directory.remember_device(record(later, generation=2), reread=True).revoked


def test_remember__readings_out_of_order__the_later_one_stands() -> None:
    """Of two readings the one that began later is believed, whichever comes back first."""
    numbers = itertools.count(1)
    directory = Directory(1.0, lambda: next(numbers))
    directory.remember_device(record(next(numbers)))
    first, second = next(numbers), next(numbers)
    assert directory.remember_device(record(second, revoked=True), reread=True).revoked
    assert directory.remember_device(record(first), reread=True).revoked


def test_remember__writes_out_of_order__the_later_one_stands() -> None:
    """Of two writes the one that was made later stands, whichever is remembered first."""
    numbers = itertools.count(1)
    directory = Directory(1.0, lambda: next(numbers))
    first, second = next(numbers), next(numbers)
    assert directory.remember_device(record(second, revoked=True)).revoked
    assert directory.remember_device(record(first)).revoked

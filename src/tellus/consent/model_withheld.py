"""How lists leave out devices without consent: a condition for the SQL of whoever lists."""

from collections.abc import Iterable, Iterator


def without(column: str, device_nos: Iterable[int]) -> str:
    """Return a condition that admits all but these devices; empty where there are none.

    The numbers stand in the text: they may be more than a statement takes parameters. What is
    without a gap is named by its ends.
    """
    return " AND ".join(
        f"{column} <> {first}" if first == last else f"NOT ({column} BETWEEN {first} AND {last})"
        for first, last in _runs(sorted(device_nos))
    )


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first: int | None = None
    last = 0
    for number in numbers:
        if first is not None and number == last + 1:
            last = number
            continue
        if first is not None:
            yield first, last
        first = last = number
    if first is not None:
        yield first, last

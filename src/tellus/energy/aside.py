"""Connectors whose facts cannot be folded, so that one of them holds up nobody else.

Whatever a fold raises is a bug, or a row that was broken. The connector keeps the sums that it has,
and its mark, so that nothing is lost: it is tried again now and then, and after every restart.
"""

import zlib
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec
import structlog

from tellus.energy.model_rows import Connector, Mark
from tellus.kernel.clock import Clock
from tellus.kernel.units import MINUTE_MS

T = TypeVar("T")

FAULTS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
    zlib.error,
)
"""What a fold may raise; what the store raises is not among it."""

_RETRY_MS: Final = 10 * MINUTE_MS

log = structlog.get_logger(__name__)


class Aside:
    """Remembers who cannot be folded; used from the event loop and from reader threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_ms: dict[Connector, int] = {}
        self._told_ms: dict[Connector, int] = {}
        self.failures = 0

    def __len__(self) -> int:
        """Return how many connectors are set aside."""
        now_ms = self._clock.now_ms()
        return sum(until_ms > now_ms for until_ms in list(self._until_ms.values()))

    def holds(self, connector: Connector) -> bool:
        """Tell whether a connector is set aside just now."""
        until_ms = self._until_ms.get(connector)
        return until_ms is not None and until_ms > self._clock.now_ms()

    def without(self, marks: Iterable[Mark]) -> list[Mark]:
        """Return the marks of those that are not set aside."""
        return [mark for mark in marks if not self.holds(mark.connector)]

    def attempt(self, connector: Connector, fold: Callable[[], T]) -> T | None:
        """Return what ``fold`` does; None, having set the connector aside, where it cannot."""
        try:
            found = fold()
        except FAULTS as error:
            self.put(connector, error)
            return None
        self._until_ms.pop(connector, None)
        return found

    def put(self, connector: Connector, error: Exception) -> None:
        """Set a connector aside."""
        self._until_ms[connector] = self._clock.now_ms() + _RETRY_MS
        self.note(connector, error)

    def note(self, connector: Connector, error: Exception) -> None:
        """Count and log a fold that failed, each connector's once in a while."""
        self.failures += 1
        now_ms = self._clock.now_ms()
        told_ms = self._told_ms.get(connector)
        if told_ms is None or now_ms - told_ms >= _RETRY_MS:
            self._told_ms[connector] = now_ms
            device_no, connector_id = connector
            log.error(
                "energy.cannot_fold",
                device_no=device_no,
                connector_id=connector_id,
                exc_info=error,
            )

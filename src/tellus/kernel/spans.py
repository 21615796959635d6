"""Spans of time as queries ask for them: ``[start_time, end_time)``, either end open."""

from datetime import datetime

from msgspec import UNSET, UnsetType

from tellus.kernel.errors import InvalidParameter
from tellus.kernel.units import to_ms, to_text


def read_span(
    start_time: datetime | UnsetType, end_time: datetime | UnsetType
) -> tuple[int | None, int | None]:
    """Return both ends in ms since 1970 UTC, None for an open one.

    Raises:
        InvalidParameter: the end lies before the start; names ``end_time``.
    """
    from_ms = None if start_time is UNSET else to_ms(start_time)
    until_ms = None if end_time is UNSET else to_ms(end_time)
    if from_ms is not None and until_ms is not None and until_ms < from_ms:
        message = "Parameter 'end_time' must not be before 'start_time'"
        raise InvalidParameter(message, "end_time", to_text(until_ms))
    return from_ms, until_ms

"""Times on the wire and in the store, and how numbers are rounded for people and clients.

The store holds times as milliseconds since 1970-01-01 UTC in 64-bit integers. On the wire they are
RFC 3339 text; what has no zone is UTC, what goes out always ends in ``Z``.
"""

from datetime import UTC, datetime, timedelta

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

CLOCK_TOLERANCE_MS = 5 * MINUTE_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - a time without a zone is UTC by rule P4
_MILLISECOND = timedelta(milliseconds=1)
_FIRST_MS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970-01-01 UTC; a time without a zone counts as UTC.

    What a zone moves out of the years 1 to 9999 becomes their first or last moment.
    """
    since = moment - (_EPOCH_NAIVE if moment.tzinfo is None else _EPOCH)
    time_ms = since.days * DAY_MS + since.seconds * SECOND_MS + since.microseconds // 1_000
    if _FIRST_MS <= time_ms <= _LAST_MS:
        return time_ms
    return _FIRST_MS if time_ms < _FIRST_MS else _LAST_MS


def to_text(time_ms: int) -> str:
    """Return RFC 3339 text in UTC ending in ``Z``, with milliseconds only where there are any."""
    moment = _EPOCH_NAIVE + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds" if time_ms % SECOND_MS else "seconds") + "Z"


def is_clock_suspect(time_ms: int, received_ms: int) -> bool:
    """Tell whether a device's time lies more than 5 minutes in the platform's future (rule P4)."""
    return time_ms > received_ms + CLOCK_TOLERANCE_MS

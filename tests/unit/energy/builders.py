"""Facts of one connector, in kWh, kW and hours of the day."""

from collections.abc import Iterable
from datetime import UTC, datetime

from tellus.energy.model import (
    MW_PER_KW,
    NKWH_PER_KWH,
    Boundary,
    BoundaryKind,
    Facts,
    Point,
    RecordSpan,
    Session,
)

MIDNIGHT_MS = int(datetime(2025, 3, 15, tzinfo=UTC).timestamp() * 1000)
PRECISION_NKWH = 1_000
"""To what the figures of energy are promised: 1e-6 kWh."""


def at(clock: str) -> int:
    """Return the time (ms) of a clock reading such as 09:30 or 09:30:05.250 on 2025-03-15."""
    hours, minutes, *rest = clock.split(":")
    seconds = float(rest[0]) if rest else 0.0
    return MIDNIGHT_MS + (int(hours) * 60 + int(minutes)) * 60_000 + round(seconds * 1000)


def point(
    clock: str | int,
    energy_kwh: float,
    power_kw: float = 0.0,
    heading: int | None = None,
    *,
    is_idle: bool = False,
    soc_pct: int | None = None,
    digest: int = 0,
) -> Point:
    """Build a sample; the direction is that of the power unless it is given."""
    if heading is None:
        heading = (power_kw > 0) - (power_kw < 0)
    return Point(
        time_ms=at(clock) if isinstance(clock, str) else clock,
        digest=digest,
        energy_nkwh=round(energy_kwh * NKWH_PER_KWH),
        power_mw=round(power_kw * MW_PER_KW),
        heading=heading,
        is_idle=is_idle,
        soc_pct=soc_pct,
    )


def idle(clock: str, energy_kwh: float = 0.0, **more: int) -> Point:
    """Build a sample of a plainly idle connector."""
    return point(clock, energy_kwh, is_idle=True, **more)


def steady(
    first: str, last: str, power_kw: float, from_kwh: float | None = 0.0, every_s: int = 10
) -> list[Point]:
    """Build samples at one power, with the counter that goes with it, or one that stays at 0."""
    points = []
    for time_ms in range(at(first), at(last) + 1, every_s * 1000):
        moved_kwh = abs(power_kw) * (time_ms - at(first)) / 3_600_000
        points.append(point(time_ms, 0.0 if from_kwh is None else from_kwh + moved_kwh, power_kw))
    return points


def started(clock: str) -> Boundary:
    """Build a start event."""
    return Boundary(at(clock), BoundaryKind.START)


def stopped(clock: str) -> Boundary:
    """Build a stop event."""
    return Boundary(at(clock), BoundaryKind.STOP)


def plugged(clock: str) -> Boundary:
    """Build a plug event."""
    return Boundary(at(clock), BoundaryKind.PLUG)


def record(
    start: str, end: str, energy_kwh: float, record_id: str = "r-1", **soc_pct: int
) -> RecordSpan:
    """Build what a charging record says of energy."""
    return RecordSpan(at(start), at(end), record_id, round(energy_kwh * NKWH_PER_KWH), **soc_pct)


def facts(
    points: Iterable[Point] = (),
    boundaries: Iterable[Boundary] = (),
    records: Iterable[RecordSpan] = (),
) -> Facts:
    """Put facts together, in whatever order."""
    return Facts(list(points), list(boundaries), list(records))


def in_kwh(sessions: Iterable[Session], first: str, last: str) -> tuple[float, float]:
    """Sum what sessions moved in the minutes of a span: energy in and out, kWh."""
    moved = [0, 0]
    for session in sessions:
        for minute, energies in session.minutes.items():
            if at(first) <= minute * 60_000 < at(last):
                moved[0] += energies[0]
                moved[1] += energies[1]
    return moved[0] / NKWH_PER_KWH, moved[1] / NKWH_PER_KWH

"""Which samples cannot be believed (rule U3)."""

from typing import NamedTuple

from tellus.energy.model import Point, Reason

_MS_MW_PER_NKWH = 3600
_TOLERANCE_NKWH = 1_000_000
SOC_JUMP_PCT = 20
_SOC_JUMP_MS = 60_000


class Believed(NamedTuple):
    """What a session is known by so far.

    ``base_ms`` and ``base_nkwh`` are the last counter that counts, ``top_nkwh`` the highest of the
    session; all three are None before its first. ``soc_pct`` is the last one sent, at ``soc_ms``.
    """

    base_ms: int | None = None
    base_nkwh: int | None = None
    top_nkwh: int | None = None
    soc_ms: int | None = None
    soc_pct: int | None = None


def judge(point: Point, limit_mw: int | None, so_far: Believed, heading: int) -> Reason | None:
    """Say why a sample of a session cannot be believed; None where it can.

    ``limit_mw`` is 1.2 times the connector's rating; without one nothing is judged by power.
    ``heading`` is the direction in which the sample would count: discharging, the counter may move
    either way, otherwise only its growth beyond the session's highest earlier value is judged.
    """
    if limit_mw is not None:
        if abs(point.power_mw) > limit_mw:
            return Reason.POWER
        if _grew_too_fast(point, limit_mw, so_far, heading):
            return Reason.ENERGY
    soc_pct, soc_ms = so_far.soc_pct, so_far.soc_ms
    if soc_pct is None or soc_ms is None or point.soc_pct is None:
        return None
    jumped = abs(point.soc_pct - soc_pct) > SOC_JUMP_PCT
    return Reason.SOC if jumped and point.time_ms - soc_ms <= _SOC_JUMP_MS else None


def most_nkwh(limit_mw: int, span_ms: int) -> int:
    """Return the most that a connector can move in a span, with a tolerance of 1 Wh."""
    return limit_mw * span_ms // _MS_MW_PER_NKWH + _TOLERANCE_NKWH


def _grew_too_fast(point: Point, limit_mw: int, so_far: Believed, heading: int) -> bool:
    base_ms, base_nkwh, top_nkwh = so_far.base_ms, so_far.base_nkwh, so_far.top_nkwh
    if base_ms is None or base_nkwh is None or top_nkwh is None:
        return False
    grown_nkwh = point.energy_nkwh - top_nkwh
    if heading < 0:
        grown_nkwh = abs(point.energy_nkwh - base_nkwh)
    return grown_nkwh > most_nkwh(limit_mw, point.time_ms - base_ms)

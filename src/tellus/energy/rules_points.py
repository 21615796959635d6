"""From whole nano-kWh to the numbers of an answer.

Each number is one division of whole numbers, rounded once, so that it is printed as short as it is.
"""

from collections.abc import Sequence

from tellus.energy.model import MW_PER_KW, NKWH_PER_KWH
from tellus.energy.model_series import Group, Totals
from tellus.energy.rules_series import Series
from tellus.kernel.units import HOUR_MS

_MINUTES_PER_HOUR = 60
# A minute's energy is known to 1 nano-kWh, which is 0.06 mW of its mean power: mW are told.
_NANO_KW_PER_MW = NKWH_PER_KWH // MW_PER_KW
_HALF_MW = _NANO_KW_PER_MW // 2


def make_group(group_id: str, series: Series, hours_ms: Sequence[int]) -> Group:
    """Return a series in kWh and kW; ``hours_ms`` is how much of each bucket is over and counts."""
    average = _average_kw(series, hours_ms)
    largest = _largest_kw(series, average)
    return Group(
        group_id,
        [nkwh / NKWH_PER_KWH for nkwh in series.charge],
        [nkwh / NKWH_PER_KWH for nkwh in series.discharge],
        largest,
        average,
        Totals(
            sum(series.charge) / NKWH_PER_KWH,
            sum(series.discharge) / NKWH_PER_KWH,
            max(largest, default=0.0),
        ),
    )


def _average_kw(series: Series, hours_ms: Sequence[int]) -> list[float]:
    return [
        (charge - discharge) * HOUR_MS / (span_ms * NKWH_PER_KWH) if span_ms else 0.0
        for charge, discharge, span_ms in zip(
            series.charge, series.discharge, hours_ms, strict=True
        )
    ]


def _largest_kw(series: Series, average_kw: Sequence[float]) -> list[float]:
    """Return the largest power of each bucket, never below its mean."""
    return [
        max((nkwh * _MINUTES_PER_HOUR + _HALF_MW) // _NANO_KW_PER_MW / MW_PER_KW, abs(average))
        for nkwh, average in zip(series.peak, average_kw, strict=True)
    ]

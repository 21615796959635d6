"""Which chargers there are: a fleet made up from a number, the same for the same seed."""

from __future__ import annotations

from tellus.simulator.device import ChargerSpec

_BLOCK = 24
_AC_PER_BLOCK = 7
_DC_MODELS = ("TP-DC60", "TP-DC180", "TP-DC360", "TP-DC180-V2G", "TP-DC360-V2G")


def build_roster(
    count: int,
    seed: int,
    *,
    sn_prefix: str = "TPS",
    enrolment_token: str | None = None,
    timezone: str = "UTC",
) -> list[ChargerSpec]:
    """Return ``count`` chargers; every 24 of them are 7 AC and 17 DC units with 41 connectors."""
    specs = []
    dc_seen = 0
    for index in range(count):
        if (index * _AC_PER_BLOCK) % _BLOCK < _AC_PER_BLOCK:
            model = "TP-AC22"
        else:
            model = _DC_MODELS[dc_seen % len(_DC_MODELS)]
            dc_seen += 1
        specs.append(
            ChargerSpec(
                sn=f"{sn_prefix}{seed:04d}-{index + 1:05d}",
                model=model,
                enrolment_token=enrolment_token,
                timezone=timezone,
            )
        )
    return specs

"""Runs `tellus simulate` with chargers that hurry: what takes minutes takes seconds.

`python quick_fleet.py simulate ...`. Only times are shortened, and what a charger sends of itself
comes every second.
"""

from msgspec.structs import replace

from tellus.simulator import figures

_USUAL = figures.default_figures()
_QUICK = replace(
    _USUAL,
    timing=replace(
        _USUAL.timing,
        authorise_s=(0.1, 0.3),
        slac_s=(0.1, 0.3),
        session_setup_s=(0.1, 0.3),
        cable_check_s=(0.1, 0.3),
        precharge_s=(0.1, 0.3),
        contactor_s=(0.1, 0.3),
        unplug_s=(0.1, 0.3),
        occupied_within_s=1.0,
        health_s=1.0,
    ),
    bidirectional=replace(_USUAL.bidirectional, negotiation_s=(0.1, 0.3), synchronise_s=(0.1, 0.3)),
    thermal=replace(_USUAL.thermal, ac_tau_s=4.0, dc_tau_s=4.0, cabinet_tau_s=4.0),
    injection=replace(
        _USUAL.injection,
        fan_decline_s=1.0,
        resync_s=3.0,
        sync_loss_after_s=(1.0, 2.0),
        unexpected_end_after_s=(1.0, 2.0),
        storm_period_s=1.5,
        storm_down_s=0.2,
        storm_reconnects=12,
    ),
    downtime=replace(_USUAL.downtime, settle_s=0.2, reset_s=0.5, reconnect_s=0.2),
)
_BEAT_S = 2.0

if __name__ == "__main__":
    # The parts of the simulator read their figures when they are imported.
    figures.default_figures = lambda: _QUICK  # type: ignore[assignment]

    from tellus.simulator import stages

    stages.LIVE_CADENCE = stages.Cadence(
        session_ms=1_000, idle_ms=1_000, settle_ms=1_000, health_ms=1_000
    )

    from tellus.simulator import fleet

    fleet._HEARTBEAT_S = _BEAT_S  # type: ignore[misc]

    from tellus.cli import main

    main(prog_name="tellus")

"""Runs `tellus simulate` with chargers that are quick to boot, to be reset and to begin.

`python quick_chargers.py simulate ...`. Only times are shortened; two models run an old build, and
a contactor that closes now and then always does at another try.
"""

from msgspec.structs import replace

from tellus.simulator import figures

_USUAL = figures.default_figures()
_OLD = {"TP-DC180": "3.0.1", "TP-DC360": "3.9.0"}
"""A build with a known fault, and one of an earlier major version than the latest."""

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
    injection=replace(_USUAL.injection, sync_loss_after_s=(1.0, 2.0), second_close_ratio=1.0),
    models=tuple(
        replace(one, firmware_version=_OLD.get(one.name, one.firmware_version))
        for one in _USUAL.models
    ),
    downtime=replace(_USUAL.downtime, settle_s=0.2, reboot_s=2.0, reset_s=0.5),
)

if __name__ == "__main__":
    # The parts of the simulator read their figures when they are imported.
    figures.default_figures = lambda: _QUICK  # type: ignore[assignment]

    from tellus.simulator import stages

    stages.LIVE_CADENCE = stages.Cadence(session_ms=1_000, idle_ms=1_000, settle_ms=1_000)

    from tellus.cli import main

    main(prog_name="tellus")

"""Runs `tellus simulate` with chargers that are quick to boot, to be reset and to begin.

`python quick_chargers.py simulate ...`. Only these times are shortened.
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
        occupied_within_s=1.0,
    ),
    downtime=replace(_USUAL.downtime, settle_s=0.2, reboot_s=2.0, reset_s=0.5),
)

if __name__ == "__main__":
    # The parts of the simulator read their figures when they are imported.
    figures.default_figures = lambda: _QUICK  # type: ignore[assignment]

    from tellus.cli import main

    main(prog_name="tellus")

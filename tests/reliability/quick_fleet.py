"""Runs `tellus simulate` with chargers that are quick to begin: their cars are there and hurry.

`python quick_fleet.py simulate ...`. Only the steps before the power flows are shortened.
"""

from msgspec.structs import replace

from tellus.simulator import figures

_USUAL = figures.default_figures()
_TIMING = replace(
    _USUAL.timing,
    authorise_s=(0.1, 0.3),
    slac_s=(0.1, 0.5),
    session_setup_s=(0.1, 0.5),
    cable_check_s=(0.1, 0.5),
    precharge_s=(0.1, 0.5),
    occupied_within_s=1.0,
)
_QUICK = replace(_USUAL, timing=_TIMING)

if __name__ == "__main__":
    # The parts of the simulator read their figures when they are imported.
    figures.default_figures = lambda: _QUICK  # type: ignore[assignment]

    from tellus.cli import main

    main(prog_name="tellus")

"""What was moved between two instants that are no whole minutes."""

from tellus.energy.model import Facts
from tellus.energy.rules_bins import MINUTE_MS, Grid
from tellus.energy.rules_machine import Machine


def energy_between(facts: Facts, limit_mw: int | None, from_ms: int, to_ms: int) -> tuple[int, int]:
    """Return what a connector moved in ``[from_ms, to_ms)``: energy in and out, nano-kWh.

    ``facts`` are those of whole sessions: from the start of the session that runs at ``from_ms`` to
    the end of the one that runs at ``to_ms`` (or to what there is), with their records. The sums of
    adjoining ranges are those of the whole range.
    """
    machine = Machine(limit_mw, Grid(MINUTE_MS, tuple(sorted({from_ms, to_ms}))))
    machine.run(facts)
    moved = [0, 0]
    for bins_of_session in machine.bins():
        for side, bins in enumerate(bins_of_session):
            moved[side] += sum(
                nkwh for start_ms, nkwh in bins.items() if from_ms <= start_ms < to_ms
            )
    return moved[0], moved[1]

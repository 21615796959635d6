"""How far energy is summed up, for administrators, and summing all of it up again."""

import msgspec
from msgspec import UNSET, UnsetType

from tellus.audit.model import Actor
from tellus.energy.model_status import FolderStatus
from tellus.energy.service import EnergyService
from tellus.kernel.call import Call, Nothing
from tellus.kernel.units import to_text


class EnergyStatus(msgspec.Struct, frozen=True):
    """How far energy is summed up.

    ``folded_to`` is the instant before which every fact is in the sums, except around the ``marks``
    connectors that are to be folded again; left out before the first start is over.
    ``marked_since`` is when the oldest of these was marked.
    """

    lag_s: float
    marks: int
    sessions: int
    implausible_samples: int
    folded_to: str | UnsetType = UNSET
    marked_since: str | UnsetType = UNSET


async def get_energy_status(energy: EnergyService, call: Call[Nothing, Nothing]) -> EnergyStatus:
    """Return how far energy is summed up."""
    return _status(await energy.read_status(), call.now_ms)


async def recompute_energy(energy: EnergyService, call: Call[Nothing, Nothing]) -> EnergyStatus:
    """Have all energy summed up again in the background; return what then waits for it."""
    principal = call.principal
    await energy.recompute(Actor(principal.principal_id, call.request_id or None, principal.scopes))
    return _status(await energy.read_status(), call.now_ms)


def _status(found: FolderStatus, now_ms: int) -> EnergyStatus:
    folded_to_ms, oldest_ms = found.folded_to_ms, found.oldest_mark_ms
    lag_s = 0.0 if folded_to_ms is None else max(0.0, (now_ms - folded_to_ms) / 1_000)
    return EnergyStatus(
        lag_s,
        found.marks,
        found.sessions,
        found.implausible_samples,
        UNSET if folded_to_ms is None else to_text(folded_to_ms),
        UNSET if oldest_ms is None else to_text(oldest_ms),
    )

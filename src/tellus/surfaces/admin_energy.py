"""How far energy is summed up, on the administration surface."""

from typing import Final

from tellus.energy import admin_api as energy
from tellus.kernel.call import Audience
from tellus.surfaces.routes import Route

_ENERGY: Final = "Admin: energy"

ENERGY_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/admin/energy", "getEnergyStatus", energy.get_energy_status,
        audience=Audience.ADMIN, scope="org:read", response=energy.EnergyStatus, tag=_ENERGY,
        summary="See how far energy is summed up",
        description="About a minute behind is as it should be: queries add the rest themselves.",
    ),
    Route(
        "POST", "/v1/admin/energy/recompute", "recomputeEnergy", energy.recompute_energy,
        audience=Audience.ADMIN, scope="org:write", response=energy.EnergyStatus, tag=_ENERGY,
        summary="Sum up all energy again",
        description="Folds everything that is stored again in the background, charger by charger."
        " Sums hold meanwhile, and come out the same unless a rating or the release changed.",
    ),
)  # fmt: skip

"""All endpoints: the route tables of every surface, one after the other."""

from typing import Final

from tellus.surfaces.admin import ADMIN_ROUTES
from tellus.surfaces.admin_audit import OPERATOR_AUDIT_ROUTES
from tellus.surfaces.admin_fleet import FLEET_ADMIN_ROUTES
from tellus.surfaces.admin_outbox import OUTBOX_ADMIN_ROUTES
from tellus.surfaces.admin_peers import PEER_ADMIN_ROUTES
from tellus.surfaces.device import DEVICE_ROUTES
from tellus.surfaces.legacy import LEGACY_ROUTES
from tellus.surfaces.operator import OPERATOR_ROUTES
from tellus.surfaces.operator_configuration import OPERATOR_CONFIGURATION_ROUTES
from tellus.surfaces.operator_diagnostics import OPERATOR_DIAGNOSTICS_ROUTES
from tellus.surfaces.operator_peers import OPERATOR_PEER_ROUTES
from tellus.surfaces.operator_vehicles import OPERATOR_VEHICLE_ROUTES
from tellus.surfaces.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *OPERATOR_ROUTES,
    *OPERATOR_PEER_ROUTES,
    *OPERATOR_AUDIT_ROUTES,
    *OPERATOR_DIAGNOSTICS_ROUTES,
    *OPERATOR_CONFIGURATION_ROUTES,
    *OPERATOR_VEHICLE_ROUTES,
    *DEVICE_ROUTES,
    *LEGACY_ROUTES,
    *ADMIN_ROUTES,
    *FLEET_ADMIN_ROUTES,
    *PEER_ADMIN_ROUTES,
    *OUTBOX_ADMIN_ROUTES,
)

"""All endpoints: the route tables of every surface, one after the other."""

from typing import Final

from tellus.surfaces.admin import ADMIN_ROUTES
from tellus.surfaces.admin_audit import OPERATOR_AUDIT_ROUTES
from tellus.surfaces.admin_consents import CONSENT_ADMIN_ROUTES
from tellus.surfaces.admin_fleet import FLEET_ADMIN_ROUTES
from tellus.surfaces.admin_outbox import OUTBOX_ADMIN_ROUTES
from tellus.surfaces.admin_peers import PEER_ADMIN_ROUTES
from tellus.surfaces.admin_privacy import PRIVACY_ADMIN_ROUTES
from tellus.surfaces.admin_transfers import TRANSFER_ADMIN_ROUTES
from tellus.surfaces.device import DEVICE_ROUTES
from tellus.surfaces.legacy import LEGACY_ROUTES
from tellus.surfaces.operator import OPERATOR_ROUTES
from tellus.surfaces.operator_agents import OPERATOR_AGENT_ROUTES
from tellus.surfaces.operator_alerts import OPERATOR_ALERT_ROUTES
from tellus.surfaces.operator_coexistence import COEXISTENCE_ROUTES
from tellus.surfaces.operator_configuration import OPERATOR_CONFIGURATION_ROUTES
from tellus.surfaces.operator_detection import OPERATOR_DETECTION_ROUTES
from tellus.surfaces.operator_diagnostics import OPERATOR_DIAGNOSTICS_ROUTES
from tellus.surfaces.operator_health import OPERATOR_HEALTH_ROUTES
from tellus.surfaces.operator_network import OPERATOR_NETWORK_ROUTES
from tellus.surfaces.operator_peers import OPERATOR_PEER_ROUTES
from tellus.surfaces.operator_reports import REPORT_ROUTES
from tellus.surfaces.operator_runbooks import OPERATOR_RUNBOOK_ROUTES
from tellus.surfaces.operator_vehicles import OPERATOR_VEHICLE_ROUTES
from tellus.surfaces.portal import PORTAL_ROUTES
from tellus.surfaces.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *OPERATOR_ROUTES,
    *OPERATOR_PEER_ROUTES,
    *OPERATOR_AUDIT_ROUTES,
    *OPERATOR_DIAGNOSTICS_ROUTES,
    *OPERATOR_NETWORK_ROUTES,
    *REPORT_ROUTES,
    *OPERATOR_ALERT_ROUTES,
    *OPERATOR_RUNBOOK_ROUTES,
    *OPERATOR_HEALTH_ROUTES,
    *OPERATOR_CONFIGURATION_ROUTES,
    *OPERATOR_VEHICLE_ROUTES,
    *OPERATOR_DETECTION_ROUTES,
    *OPERATOR_AGENT_ROUTES,
    *COEXISTENCE_ROUTES,
    *PORTAL_ROUTES,
    *DEVICE_ROUTES,
    *LEGACY_ROUTES,
    *ADMIN_ROUTES,
    *FLEET_ADMIN_ROUTES,
    *CONSENT_ADMIN_ROUTES,
    *TRANSFER_ADMIN_ROUTES,
    *PRIVACY_ADMIN_ROUTES,
    *PEER_ADMIN_ROUTES,
    *OUTBOX_ADMIN_ROUTES,
)

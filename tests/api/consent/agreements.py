"""Consents for tests: granted and revoked as an administrator does."""

from typing import Any

from tests.api.tenancy import Charger, Tenant
from tests.contract.client import Reply

CONSENTS = "/v1/admin/consents"
SERVICES = ("diagnostics", "v2g_dispatch", "flexibility", "energy_reporting", "firmware")
GATE = "260420.0107"


def charger_of(tenant: Tenant, firmware_version: str = GATE, **more: Any) -> Charger:
    """A charger whose firmware has room for a second platform."""
    return tenant.charger(firmware_version=firmware_version, **more)


def grant(tenant: Tenant, *services: str, expect: int = 200, **covered: Any) -> Any:
    """Grant consent; return it, or the refusal."""
    body = {"services": list(services or SERVICES), "granted_by": "Owner"} | covered
    reply: Reply = tenant.admin.post(CONSENTS, body, expect=expect)
    return reply.data if expect == 200 else reply


def revoke(tenant: Tenant, consent: dict[str, Any], expect: int = 200, **body: Any) -> Any:
    """Revoke a consent."""
    path = f"{CONSENTS}/{consent['consent_id']}/revoke"
    return tenant.admin.post(path, body, expect=expect)

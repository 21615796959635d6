"""Consents of the matrix's tenants."""

from collections.abc import Callable
from typing import Any

from tests.contract.client import ContractClient

CUSTOMER = "Matrix Ltd"
"""The customer of all of the matrix's consents, whichever tenant's."""

REVOCATION = {"reason": "Contract ended"}


def consent_body(fill: Callable[[str], str]) -> dict[str, Any]:
    """A consent for a device."""
    device_id = fill("device_id")
    return {"device_id": device_id, "services": ["diagnostics"], "granted_by": "Its owner"} | {
        "customer": CUSTOMER
    }


def add_consent(admin: ContractClient, device_id: str) -> str:
    """Grant consent for a device; return its id."""
    answer = admin.post("/v1/admin/consents", consent_body(lambda _: device_id), expect=200)
    return str(answer.data["consent_id"])

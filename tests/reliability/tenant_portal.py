"""The portal of the matrix's customer, who has chargers of both tenants."""

from collections.abc import Callable
from typing import Any

from tests.contract.client import ContractClient
from tests.reliability.tenant_consents import CUSTOMER
from tests.server import RunningServer

PORTAL = "/v1/customer-portal"
ANSWER = {"status": "declined", "note": "Seen"}


def portal_token(server: RunningServer, operator_id: str, customer: str = CUSTOMER) -> str:
    """The token of a new portal."""
    return server.create_client(operator_id, ("customer_portal",), customer=customer).token


def change_body(fill: Callable[[str], str]) -> dict[str, Any]:
    """A wish about a charger and a consent."""
    return {
        "device_id": fill("device_id"),
        "consent_id": fill("consent_id"),
        "services": ["diagnostics"],
        "note": "The matrix asks",
    }


def ask_change(contract: ContractClient, token: str, device_id: str) -> str:
    """Let a customer ask for something about a charger; return the request's id."""
    wish = {"device_id": device_id, "services": []}
    made = contract.operator(token).post(f"{PORTAL}/change-requests", wish, expect=200)
    return str(made.data["request_id"])


PORTAL_BODIES: dict[str, Callable[[Callable[[str], str]], Any]] = {
    "revokePortalConsent": lambda _: {"reason": "No more"},
    "askPortalErasure": lambda _: {"note": "Sold"},
    "askPortalChange": change_body,
    "answerCustomerRequest": lambda _: ANSWER,
    "adminAnswerCustomerRequest": lambda _: ANSWER,
}
"""A valid body for each operation of and about the portal."""

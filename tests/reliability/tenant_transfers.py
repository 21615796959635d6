"""Where destinations are, and grants, for the matrix of tenants."""

from collections.abc import Callable
from typing import Any


def grant_body(operator_id: str) -> dict[str, Any]:
    """Leave for an operator's data to go somewhere where nobody is."""
    return {
        "operator_id": operator_id,
        "to_region": "nowhere",
        "kinds": ["exports"],
        "granted_by": "The matrix",
    }


TRANSFER_BODIES: dict[str, Callable[[Callable[[str], str]], Any]] = {
    # Its own region: nothing is withheld from anybody.
    "placeDestination": lambda _: {"region": "eu"},
    "grantTransfer": lambda fill: grant_body(fill("operator_id")),
    "revokeTransferGrant": lambda _: {"reason": "No more"},
}
"""A valid body for each operation about transfers."""

"""Answers that carry a secret may be kept by nobody on the way."""

from tellus.surfaces.tables import ROUTES
from tests.contract.client import ContractClient
from tests.server import RunningServer

NAMES_A_SECRET = ("secret", "enrolment_token")


def test_routes__whose_answer_names_a_secret__are_marked() -> None:
    """A row that answers with a secret or an enrolment token says so."""
    naming = {
        route.operation_id
        for route in ROUTES
        for field in getattr(route.response, "__struct_fields__", ())
        if field.endswith(NAMES_A_SECRET)
    }
    assert naming
    assert naming <= {route.operation_id for route in ROUTES if route.secret}


def test_registration_and_rotation__of_a_charger__are_not_cached(
    server: RunningServer, contract: ContractClient
) -> None:
    """Both answers with a device secret forbid caching; an ordinary one does not mention it."""
    body = {"sn": "SN-NOSTORE", "model": "M", "manufacturer": "F", "firmware_version": "1.0.0"}
    registered = contract.post("/v1/device/register", json=body)
    charger = contract.device(server.register().token)
    rotated = charger.post("/v1/device/secret/rotate")
    for reply in (registered, rotated):
        assert reply.status == 200
        assert reply.headers["cache-control"] == "no-store"
    plain = charger.get("/v1/device/commands?connector_id=1&wait=1")
    assert "cache-control" not in plain.headers

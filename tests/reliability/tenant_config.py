"""Configuration profiles and listed vehicles for the matrix of tenants."""

import secrets
from collections.abc import Callable
from typing import Any

from tests.contract.client import ContractClient

Fill = Callable[[str], str]


def profile_body() -> dict[str, Any]:
    """A profile for all models."""
    return {"name": f"Profile {secrets.token_hex(8)}", "values": {"heartbeat_s": 30}}


def vehicle_body() -> dict[str, Any]:
    """A kind of vehicle that nobody else lists."""
    return {"make": f"Make {secrets.token_hex(8)}", "model": "One", "min_firmware": "1.0.0"}


def add_profile(operator: ContractClient) -> str:
    """Keep a profile; return its id."""
    answer = operator.post("/v1/operator/config-profiles", profile_body(), expect=200)
    return str(answer.data["config_profile_id"])


def add_vehicle(operator: ContractClient) -> str:
    """List a vehicle; return its id."""
    answer = operator.post("/v1/operator/v2g-vehicles", vehicle_body(), expect=200)
    return str(answer.data["vehicle_id"])


def assign_first(owner: ContractClient, path: str) -> None:
    """Assign a device a profile of its own, which is then to be applied again."""
    body = {"config_profile_id": add_profile(owner)}
    owner.put(path.removesuffix("/apply"), body, expect=200)


CONFIG_MAKERS: dict[str, Callable[[ContractClient], str]] = {
    "profile_id": add_profile,
    "vehicle_id": add_vehicle,
}
"""What makes a resource of each kind that these operations name, and gives its id."""

CONFIG_BODIES: dict[str, Callable[[Fill], Any]] = {
    "createConfigProfile": lambda _: profile_body(),
    "updateConfigProfile": lambda _: {"note": "Another"},
    "assignConfigProfile": lambda fill: {"config_profile_id": fill("profile_id")},
    "assignSiteConfigProfile": lambda fill: {"config_profile_id": fill("profile_id")},
    "addV2gVehicle": lambda _: vehicle_body(),
    "setV2gVehicle": lambda _: vehicle_body(),
    "updateDeviceLifecycle": lambda _: {"manufacturing_batch": "B-1"},
}

"""Releases and rollouts for the matrix of tenants."""

from typing import Any

from tests.contract.client import ContractClient

RUNNING = "3.1.0"
NEWER = "3.9.0"


def release_body(firmware_version: str, model: str) -> dict[str, Any]:
    """A release as an administrator adds it."""
    return {
        "models": [model],
        "firmware_version": firmware_version,
        "url": f"https://firmware.example/{firmware_version}.bin",
        "sha256": "5e" * 32,
        "size": 1_000_000,
    }


def add_release(admin: ContractClient, firmware_version: str, model: str) -> str:
    """Add a release; return its id."""
    body = release_body(firmware_version, model)
    answer = admin.post("/v1/admin/firmware/releases", body, expect=200)
    return str(answer.data["release_id"])


def rollout_body(firmware_version: str, *device_ids: str) -> dict[str, Any]:
    """A rollout over some devices, in one wave."""
    return {
        "firmware_version": firmware_version,
        "cohort": {"device_ids": list(device_ids)},
        "waves": [{"success_percent": 100, "max_failure_percent": 0}],
    }


def begin_rollout(operator: ContractClient, device_id: str) -> str:
    """Roll the newer release out to a device that never comes; return the rollout's id."""
    body = rollout_body(NEWER, device_id)
    answer = operator.post("/v1/operator/firmware/rollouts", body, expect=200)
    return str(answer.data["rollout_id"])

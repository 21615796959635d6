"""Runs of runbooks for the matrix of tenants."""

from datetime import UTC, datetime
from typing import Any

from tests.contract.client import ContractClient

SLUG = "connector-stuck-in-preparing"
"""A runbook for every model, whose first step is a question."""

NUMBERS = {"slug": SLUG, "n": "1"}
"""What stands in the paths of runs for every caller."""

PHOTO = b"\x89PNG\r\n\x1a\n"
PHOTO_HEADERS = {"content-type": "image/png"}

_RUNS = f"/v1/operator/runbooks/{SLUG}/runs"


def run_body(device_id: str) -> dict[str, Any]:
    """A run as an operator begins it."""
    return {"device_id": device_id, "connector_id": 1}


def begin_run(charger: ContractClient, operator: ContractClient, device_id: str) -> str:
    """Let a charger show its connector, and begin a run about it; return the run's id."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    told = {"timestamp": now, "event_type": "plug_in", "data": {}, "connector_id": 1}
    charger.post("/v1/device/events", told, expect=200)
    return str(operator.post(_RUNS, run_body(device_id), expect=200).data["run_id"])


def make_room(operator: ContractClient, device_id: str) -> None:
    """Give up the runs of a device, so that another may begin."""
    query = {"device_id": device_id, "live": "true"}
    for run in operator.get(_RUNS, params=query, expect=200).data["items"]:
        operator.post(f"{_RUNS}/{run['run_id']}/cancel", expect=200)

"""What the stream's tests send: samples of one charger, each a little different."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.contract.client import ContractClient
from tests.server import Device, RunningServer


def register(server: RunningServer) -> Device:
    """Register a charger of a model that nothing is known of: it has no connectors at first."""
    return server.register(model="Unlisted")


def sample(power_kw: float, *, age_s: float = 0.0, connector_id: int = 1) -> dict[str, Any]:
    """Return a sample of this moment, or of ``age_s`` seconds ago (negative: to come)."""
    moment = datetime.now(UTC) - timedelta(seconds=age_s)
    return {
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "connector_id": connector_id,
        "state": "charging",
        "voltage": 400.0,
        "current": 10.0,
        "power": power_kw,
        "energy_delivered": 1.0,
        "soc": 50,
    }


def send(contract: ContractClient, device: Device, body: dict[str, Any]) -> None:
    """Upload a sample."""
    contract.device(device.token).post("/v1/device/telemetry", body, expect=200)

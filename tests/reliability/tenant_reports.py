"""A diagnostic report with its file, for the matrix of tenants and whoever looks for secrets."""

from datetime import UTC, datetime

from tests.contract.client import ContractClient


def add_report(operator: ContractClient, charger: ContractClient, device_id: str) -> str:
    """Ask a charger for its logs and let it upload them; return the report's id."""
    path = f"/v1/operator/devices/{device_id}/diagnostics"
    made = operator.post(path, expect=200).data
    nobody = ContractClient(charger.base_url, log=charger.log)
    with nobody:
        nobody.raw("PUT", fetch_address(charger), b"logs", expect=200)
    return str(made["report_id"])


def fetch_address(charger: ContractClient) -> str:
    """Return where a charger that was asked for its logs is to upload them."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    beat = {"timestamp": now, "status": "online", "fault_code": 0}
    commands = charger.post("/v1/device/heartbeat", beat, expect=200).data["commands"]
    found = [one["params"] for one in commands if one["command"] == "fetch_logs"]
    return str(found[-1]["upload_url"])

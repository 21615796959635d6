"""A control for the matrix of tenants."""

from tests.contract.client import ContractClient


def issue_control(operator: ContractClient, site_id: str) -> str:
    """Limit the chargers of a site for an hour; return the control's id."""
    body = {
        "target_type": "site",
        "target_ids": [site_id],
        "command": "set_power_limit",
        "params": {"power_limit_percent": 90, "duration": 3_600},
    }
    answer = operator.post("/v1/operator/control/flexibility", body, expect=200)
    return str(answer.data["control_id"])

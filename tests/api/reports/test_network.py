"""The network view over the API."""

from tests.api.reports.uploading import wait_until
from tests.api.tenancy import Charger, Tenant, heartbeat


def test_network__charger_that_came_and_went__is_told_with_a_score(charger: Charger) -> None:
    """State, since when, reconnects, availability, history and score are there from the start."""
    path = f"/v1/operator/devices/{charger.device_id}/network"
    before = charger.operator.get(path, expect=200).data
    assert before["status"] == "offline"
    assert before["history"]["total"] == 0
    assert "health_score" not in before
    charger.send("heartbeat", heartbeat())
    wait_until(
        lambda: charger.operator.get(path, expect=200).data["history"]["total"] == 1,
        "the sweep writes it down",
    )
    seen = charger.operator.get(path, expect=200).data
    assert seen["status"] == "online"
    assert (
        seen["online_since"] == charger.seen()["online_since"] == seen["history"]["items"][0]["at"]
    )
    assert seen["history"]["items"][0]["kind"] == "online"
    assert seen["health_score"] == 100
    assert seen["availability_24h"] == seen["availability_7d"] == 100
    assert seen["reconnects"] == {"last_10_minutes": 0, "last_24_hours": 0, "last_7_days": 0}
    charger.send("heartbeat", heartbeat(status="offline"))
    gone = charger.operator.get(path, expect=200).data
    assert (gone["status"], gone["announced"]) == ("offline", True)
    assert "online_since" not in gone
    assert gone["offline_since"] == charger.seen()["offline_since"]
    charger.send("heartbeat", heartbeat())
    wait_until(
        lambda: charger.operator.get(path, expect=200).data["reconnects"]["last_24_hours"] == 1,
        "the return is a reconnect",
    )


def test_network__of_another_operator__is_not_there(
    server_tenants: tuple[Charger, Tenant],
) -> None:
    """Foreign devices look absent."""
    charger, stranger = server_tenants
    stranger.api.get(f"/v1/operator/devices/{charger.device_id}/network", expect=404, code=3001)

"""The whole way: a charger tells of a fault, and whoever should know of it does."""

from tellus.kernel.units import to_text
from tests.api.alerts.test_stream import read, stream
from tests.api.alerts.world import AlertWorld, Receiver, wait_until
from tests.api.tenancy import event


def test_fault_of_a_charger__becomes_an_alert_that_is_told_on_every_way(
    world: AlertWorld, receiver: Receiver
) -> None:
    """One event of a charger is one alert in the list, on the stream and at the webhook."""
    made = world.api.post("/v1/operator/webhooks", {"url": receiver.url}, expect=200).data
    charger = world.tenant.charger()
    told = event(
        event_type="fault",
        data={"fault_code": "F-0421"},
        timestamp=to_text(world.clock.now_ms()),
    )
    with stream(world, world.tenant, "channels=alerts") as mine:
        charger.send("events", told)
        charger.send("events", told)  # a repeat is no second finding
        wait_until(lambda: bool(world.list(device_id=charger.device_id)))
        frame = read(mine)
    [alert] = world.list(device_id=charger.device_id)
    assert (alert["code"], alert["severity"], alert["found_count"]) == ("F-0421", "high", 1)
    assert (frame["change"], frame["alert"]["alert_id"]) == ("opened", alert["alert_id"])
    [got] = receiver.wait_for(1)
    assert got.body["alert"]["alert_id"] == alert["alert_id"]
    assert got.is_signed_with(made["secret"])
    shown = world.api.get(f"/v1/operator/alerts/{alert['alert_id']}", expect=200).data
    runbook = world.api.get(shown["runbook_href"], expect=200).data
    assert runbook["slug"] == shown["suggested_runbook"]
    assert world.api.get(shown["fault_href"], expect=200).data["code"] == "F-0421"

"""Consent and what leaves the platform by itself: webhooks, and reports that are on their way."""

from collections.abc import Iterator
from typing import Any

import pytest

from tellus.storage.database import Tx
from tests.api.alerts.test_webhooks import PATH, deliveries, hook
from tests.api.alerts.world import AlertWorld, Receiver, wait_until
from tests.api.consent.agreements import charger_of, grant, revoke
from tests.api.reports.uploading import ask, begin
from tests.api.tenancy import Charger, heartbeat


@pytest.fixture(scope="module")
def world(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertWorld]:
    """A platform that requires consent."""
    del database_kind
    made = AlertWorld(tmp_path_factory.mktemp("told") / "data", consent={"required": True})
    yield made
    made.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on a free port that keeps what it is sent."""
    made = Receiver()
    yield made
    made.stop()


def find(world: AlertWorld, charger: Charger, key: str) -> None:
    """Let something be found about a charger."""
    world.find(key=key, device_no=world.device_no(charger.device_id))


def test_webhook__consent_withdrawn_while_deliveries_wait__gets_nothing_more(
    world: AlertWorld, receiver: Receiver
) -> None:
    """What waits is cancelled, not shown, and not to be replayed; what follows is not owed."""
    charger, other = charger_of(world.tenant), charger_of(world.tenant)
    consent = grant(world.tenant, device_id=charger.device_id)
    grant(world.tenant, device_id=other.device_id)
    receiver.statuses = [500]
    made = hook(world, receiver)
    find(world, charger, "told:1")
    receiver.wait_for(1)
    wait_until(lambda: [one["attempts"] for one in deliveries(world, made)] == [1])
    (waiting,) = deliveries(world, made)
    revoke(world.tenant, consent)
    world.clear("told:1")
    find(world, charger, "told:2")
    world.advance(3_600)
    find(world, other, "told:3")
    got = receiver.wait_for(2)
    assert [one.body["alert"]["device_id"] for one in got[1:]] == [other.device_id]
    (listed,) = deliveries(world, made)
    assert listed["body"]["alert"]["device_id"] == other.device_id
    replay = f"{PATH}/{made['webhook_id']}/deliveries/{waiting['delivery_id']}/replay"
    assert world.api.post(replay, expect=403).details == {"service": "diagnostics"}
    grant(world.tenant, device_id=charger.device_id)
    states = {one["delivery_id"]: one["state"] for one in deliveries(world, made)}
    assert (len(states), states[waiting["delivery_id"]]) == (2, "cancelled")
    assert world.list(device_id=charger.device_id)[0]["code"] == "F-0421"
    assert len(world.list(device_id=charger.device_id)) == 1


def test_report__consent_withdrawn_while_it_is_uploaded__is_not_stored(world: AlertWorld) -> None:
    """The upload that was let in before is refused at its end, also once there is consent again."""
    charger = charger_of(world.tenant)
    consent = grant(world.tenant, device_id=charger.device_id)
    asked = ask(charger)
    connection = begin(asked, b"half", 8)
    wait_until(lambda: asked.seen()["status"] == "uploading")
    revoke(world.tenant, consent)
    connection.sendall(b"rest")
    assert connection.recv(64).startswith(b"HTTP/1.1 403")
    connection.close()
    grant(world.tenant, device_id=charger.device_id)
    seen: dict[str, Any] = asked.seen()
    assert (seen["status"], seen["reason"]) == ("failed", "no_consent")
    assert asked.upload(b"again").status_code == 404


def test_heartbeat__of_a_fault_without_consent__is_no_finding(world: AlertWorld) -> None:
    """Heartbeats need no consent; what they say of faults is neither shown nor looked into."""
    silent, agreed = charger_of(world.tenant), charger_of(world.tenant)
    grant(world.tenant, device_id=agreed.device_id)
    grant(world.tenant, "firmware", device_id=silent.device_id)
    for charger in (silent, agreed):
        charger.send("heartbeat", heartbeat() | {"status": "fault", "fault_code": 421})

    def look(tx: Tx) -> list[Any]:
        return tx.rows("SELECT device_no FROM diagnostic_inbox WHERE kind = 'heartbeat'")

    found = world.served.run(world.served.platform.database.read(look))
    assert [row[0] for row in found] == [world.device_no(agreed.device_id)]
    assert (silent.seen()["health"], agreed.seen()["health"]) == ("ok", "fault")

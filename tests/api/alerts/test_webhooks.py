"""Webhooks as operators set them up, and as their receivers get what they are owed."""

from typing import Any

import pytest

from tellus.alerts.model import AlertSeverity
from tests.api.alerts.world import AlertWorld, Receiver, wait_until

PATH = "/v1/operator/webhooks"


def hook(world: AlertWorld, receiver: Receiver, **more: Any) -> dict[str, Any]:
    """A webhook that leads to the receiver; those of other tests are ended."""
    for one in world.api.get(PATH, expect=200).data["items"]:
        world.api.delete(f"{PATH}/{one['webhook_id']}", expect=200)
    made: dict[str, Any] = world.api.post(PATH, {"url": receiver.url} | more, expect=200).data
    return made


def deliveries(world: AlertWorld, made: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """What a webhook was sent and is owed, newest first."""
    path = f"{PATH}/{made['webhook_id']}/deliveries"
    items: list[dict[str, Any]] = world.api.get(path, params=query, expect=200).data["items"]
    return items


def test_alert__from_opening_to_end__is_told_signed_and_in_order(
    world: AlertWorld, receiver: Receiver
) -> None:
    """Each change reaches the receiver once, in its order, and its signature can be checked."""
    made = hook(world, receiver)
    world.find(key="told:1")
    alert = world.list()[0]
    world.change(alert, status="acknowledged")
    world.change(alert, status="resolved")
    got = receiver.wait_for(3)
    assert [one.body["event"] for one in got] == ["alert.opened", "alert.changed", "alert.closed"]
    assert [one.body["alert"]["status"] for one in got] == ["open", "acknowledged", "resolved"]
    assert all(one.body["alert"]["alert_id"] == alert["alert_id"] for one in got)
    for one in got:
        assert one.headers["x-tellus-event-id"] == one.body["event_id"]
        assert one.headers["x-tellus-event"] == one.body["event"]
        assert one.is_signed_with(made["secret"])
        assert not one.is_signed_with("whsec_another")
    wait_until(lambda: [one["state"] for one in deliveries(world, made)] == ["accepted"] * 3)


def test_receiver__fails__gets_it_again_and_nothing_overtakes(
    world: AlertWorld, receiver: Receiver
) -> None:
    """What is not taken comes again after five seconds, and what follows waits for it."""
    receiver.statuses = [500, 500]
    made = hook(world, receiver)
    world.find(key="again:1")
    world.change(world.list()[0], status="dismissed")
    receiver.wait_for(1)
    wait_until(lambda: deliveries(world, made)[-1]["attempts"] == 1)
    assert deliveries(world, made)[-1]["last_outcome"] == "bad_status"
    world.advance(5)
    receiver.wait_for(2)
    wait_until(lambda: deliveries(world, made)[-1]["attempts"] == 2)
    assert len(receiver.got) == 2
    world.advance(30)
    got = receiver.wait_for(4)
    events = [one.body["event"] for one in got]
    assert events == ["alert.opened"] * 3 + ["alert.closed"]
    assert len({one.body["event_id"] for one in got[:3]}) == 1
    held = deliveries(world, made)[-1]
    assert [one["outcome"] for one in held["history"]] == ["bad_status", "bad_status", "accepted"]


def test_receiver__never_takes_it__is_a_dead_letter_that_can_be_replayed(
    world: AlertWorld, receiver: Receiver
) -> None:
    """After its schedule a delivery is given up; it is kept, and goes again when asked for."""
    receiver.statuses = [503] * 11
    made = hook(world, receiver)
    world.find(key="dead:1")
    for attempt in range(1, 12):
        receiver.wait_for(attempt)
        wait_until(lambda n=attempt: deliveries(world, made)[0]["attempts"] == n)  # type: ignore[misc]
        world.advance(8 * 3_600)
    [dead] = deliveries(world, made, state="given_up")
    assert receiver.statuses == []
    path = f"{PATH}/{made['webhook_id']}/deliveries/{dead['delivery_id']}/replay"
    for replays in (1, 2):  # what was taken may be asked for again, too
        world.api.post(path, expect=200)
        again = receiver.wait_for(11 + replays)[-1]
        assert again.body["event_id"] == dead["event_id"]
        wait_until(lambda: deliveries(world, made)[0]["state"] == "accepted")


def test_webhook__filters__leave_out_what_it_does_not_want(
    world: AlertWorld, receiver: Receiver
) -> None:
    """A webhook is told of the events it names, of alerts that are grave enough."""
    hook(world, receiver, events=["alert.opened"], min_severity="high", name="Grave")
    world.find(key="mild:1", severity=AlertSeverity.MEDIUM)
    world.find(key="grave:1", severity=AlertSeverity.CRITICAL)
    world.change(world.list()[0], status="resolved")
    world.find(key="grave:2", severity=AlertSeverity.HIGH)
    got = receiver.wait_for(2)
    assert [one.body["event"] for one in got] == ["alert.opened"] * 2
    assert {one.body["alert"]["severity"] for one in got} == {"critical", "high"}


def test_webhook__test__sends_a_ping(world: AlertWorld, receiver: Receiver) -> None:
    """Whoever sets a webhook up can try it."""
    made = hook(world, receiver, events=["alert.closed"])
    sent = world.api.post(f"{PATH}/{made['webhook_id']}/test", expect=200).data
    [got] = receiver.wait_for(1)
    assert (got.body["event"], got.body["event_id"]) == ("ping", sent["event_id"])
    assert got.is_signed_with(made["secret"])


def test_webhook__secret_rotated__signs_with_both_for_the_overlap(
    world: AlertWorld, receiver: Receiver
) -> None:
    """While both secrets are in use a receiver can go from one to the other; then one is left."""
    made = hook(world, receiver)
    path = f"{PATH}/{made['webhook_id']}"
    renewed = world.api.post(f"{path}/rotate", {"overlap_seconds": 60}, expect=200).data
    assert renewed["secret"] != made["secret"]
    world.api.post(f"{path}/test", expect=200)
    [both] = receiver.wait_for(1)
    assert both.is_signed_with(made["secret"])
    assert both.is_signed_with(renewed["secret"])
    world.advance(61)
    world.api.post(f"{path}/test", expect=200)
    after = receiver.wait_for(2)[-1]
    assert after.is_signed_with(renewed["secret"])
    assert not after.is_signed_with(made["secret"])


def test_webhook__secret__is_shown_once_and_sealed_in_the_store(
    world: AlertWorld, receiver: Receiver
) -> None:
    """Nothing but the answer to the creation, and its repeats, tells the secret."""
    made = hook(world, receiver)
    shown = world.api.get(f"{PATH}/{made['webhook_id']}", expect=200)
    listed = world.api.get(PATH, expect=200)
    assert made["secret"] not in (shown.body + listed.body).decode()
    held = world.served.run(
        world.served.platform.database.read(lambda tx: tx.rows("SELECT * FROM webhooks"))
    )
    assert made["secret"] not in str(held)
    assert made["secret"].encode() not in b"".join(
        bytes(cell) for row in held for cell in row if isinstance(cell, bytes | memoryview)
    )


def test_webhook__made_twice_under_one_key__is_one(world: AlertWorld, receiver: Receiver) -> None:
    """Who did not hear the answer asks again and gets the same webhook."""
    hook(world, receiver)
    headers = {"Idempotency-Key": "hook-1"}
    body = {"url": receiver.url, "name": "Keyed"}
    first = world.api.post(PATH, body, headers=headers, expect=200).data
    assert world.api.post(PATH, body, headers=headers, expect=200).data == first
    other = body | {"name": "Other"}
    assert world.api.post(PATH, other, headers=headers, expect=409).code == 4001


def test_webhook__changed_and_ended__is_audited_and_sends_no_more(
    world: AlertWorld, receiver: Receiver
) -> None:
    """One that is not active is owed nothing; one that was ended is gone."""
    made = hook(world, receiver)
    path = f"{PATH}/{made['webhook_id']}"
    changed = world.api.patch(path, {"active": False, "name": "Quiet"}, expect=200).data
    assert (changed["active"], changed["name"]) == (False, "Quiet")
    world.find(key="quiet:1")
    assert deliveries(world, made) == []
    world.api.delete(path, expect=200)
    world.api.get(path, expect=404)
    query = {"resource_type": "webhook", "resource_id": made["webhook_id"]}
    logged = world.api.get("/v1/operator/audit-logs", params=query, expect=200).data["items"]
    assert [one["event"] for one in logged] == [
        "webhook.deleted", "webhook.updated", "webhook.created",
    ]  # fmt: skip
    assert receiver.got == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "ftp://127.0.0.1/x"},
        {"url": "http://user:secret@127.0.0.1/x"},
        {"url": "http://127.0.0.1/x?token=1"},
        {"url": "http://127.0.0.1/x", "events": []},
        {"url": "http://127.0.0.1/x", "events": ["ping"]},
        {"url": "http://127.0.0.1/x", "min_severity": "awful"},
    ],
)
def test_webhook__that_makes_no_sense__is_refused(world: AlertWorld, body: dict[str, Any]) -> None:
    """An address, events and a severity that cannot be meant are refused, without an echo."""
    refused = world.api.post(PATH, body, expect=400)
    assert refused.code in (1001, 1002)
    assert "secret" not in refused.body.decode()


def test_webhooks__of_another_operator__do_not_exist(world: AlertWorld, receiver: Receiver) -> None:
    """Nobody sees, changes, tries or replays what is another operator's."""
    made = hook(world, receiver)
    path = f"{PATH}/{made['webhook_id']}"
    world.api.post(f"{path}/test", expect=200)
    delivery_id = deliveries(world, made)[0]["delivery_id"]
    stranger = world.other.api
    assert stranger.get(PATH, expect=200).data["total"] == 0
    stranger.get(path, expect=404)
    stranger.patch(path, {"name": "Mine"}, expect=404)
    stranger.delete(path, expect=404)
    stranger.get(f"{path}/deliveries", expect=404)
    for action in ("rotate", "test", f"deliveries/{delivery_id}/replay"):
        stranger.post(f"{path}/{action}", expect=404)


def test_webhooks__too_many__are_refused(world: AlertWorld) -> None:
    """An operator has at most twenty."""
    api = world.other.api
    made = [api.post(PATH, {"url": "http://127.0.0.1:9/x"}, expect=200).data for _ in range(20)]
    assert api.post(PATH, {"url": "http://127.0.0.1:9/x"}, expect=409).details == {"most": 20}
    for one in made:
        api.delete(f"{PATH}/{one['webhook_id']}", expect=200)

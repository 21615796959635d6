"""What peers are owed, on the command line, against a served platform."""

import secrets
from typing import Any

import pytest

from tests.api.cli.console import Console, Served, wait_until
from tests.api.cli.test_administration import call, get_token, register


@pytest.fixture
def push(served: Served, console: Console, operator_id: str) -> dict[str, Any]:
    """A push that waits, since its peer is at an address that pushes may not go to."""
    place = ("--lat", "54.3", "--lng", "10.1")
    words = ("sites", "create", "--operator", operator_id, "--name", "Harbour", *place)
    site_id = console.json(*words)["site_id"]
    sn = f"SN-{secrets.token_hex(6)}"
    provisioned = console.json("devices", "provision", "--sn", sn, "--site", site_id)
    device = register(served, sn, provisioned["enrolment_token"])["device_id"]
    words = ("peers", "create", "--operator", operator_id, "--name", "Partner")
    made = console.json(*words, "--push-url", "https://127.0.0.1:9/v1")
    peer_id = made["peer_id"]
    console.json("peers", "share", peer_id, "--site", site_id)
    token = get_token(served, peer_id, made["peer_secret"])
    for number in range(2):
        body = {"OrderId": f"o-{number}", "ChargePointId": device, "ConnectorId": 1}
        call(served, "POST", "/v1/cp/start_charging", body, token)
    tried = ("peers", "outbox", "list", "--peer", peer_id, "--state", "waiting")

    def refused() -> list[dict[str, Any]]:
        found = console.json(*tried)["items"]
        return [one for one in found if one["last_outcome"] == "address_refused"]

    wait_until(refused, "an attempt")
    return refused()[0]


def test_outbox__from_the_list_to_the_end__is_kept_from_the_command_line(
    console: Console, push: dict[str, Any]
) -> None:
    """Pushes are listed, shown, sent again and ended; what has ended so is a conflict to end."""
    push_id = push["push_id"]
    listed = console.run("peers", "outbox", "list", "--peer", push["peer_id"])
    assert push_id in listed.out
    shown = console.json("peers", "outbox", "show", push_id)
    assert shown["history"][0]["outcome"] == "address_refused"
    assert shown["body"]
    again = console.json("peers", "outbox", "retry", push_id)
    assert again["state"] == "waiting"

    def settled() -> bool:
        return len(console.json("peers", "outbox", "show", push_id)["history"]) > 1

    wait_until(settled, "the attempt by hand")
    assert console.json("peers", "outbox", "cancel", push_id)["state"] == "cancelled"
    assert console.run("peers", "outbox", "cancel", push_id).code == 6
    assert console.run("peers", "outbox", "show", "psh_none").code == 3

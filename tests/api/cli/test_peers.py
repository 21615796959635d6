"""Peers on the command line, against a served platform."""

from pathlib import Path

import pytest

from tests.api.cli.console import Console


@pytest.fixture
def placed(console: Console, operator_id: str) -> str:
    """A site whose place is known."""
    words = ("sites", "create", "--operator", operator_id, "--name", "Harbour")
    site_id: str = console.json(*words, "--lat", "54.3", "--lng", "10.1")["site_id"]
    return site_id


def test_peers__from_creation_to_the_end__are_kept_from_the_command_line(
    console: Console, operator_id: str, placed: str, tmp_path: Path
) -> None:
    """Created with a secret from a file, listed, changed, shared with, unshared and deleted."""
    secret = tmp_path / "secret"
    secret.write_text("between-us\n")
    words = ("peers", "create", "--operator", operator_id, "--name", "Partner", "--auth", "bearer")
    made = console.json(
        *words, "--auth-secret-file", str(secret), "--push-url", "https://peer.example/v1"
    )
    peer_id = made["peer_id"]
    assert made["peer_secret"].startswith("cs_")
    assert made["peer"]["auth"] == "bearer"
    listed = console.json("peers", "list", "--operator", operator_id)["items"]
    assert peer_id in [item["peer_id"] for item in listed]
    changed = console.json(
        "peers", "update", peer_id, "--timezone", "Asia/Shanghai", "--sends-discharging"
    )
    assert (changed["timezone"], changed["sends_discharging"]) == ("Asia/Shanghai", True)
    assert "push_url" not in console.json("peers", "update", peer_id, "--clear", "push-url")
    shared = console.json("peers", "share", peer_id, "--site", placed)
    assert [(one["kind"], one["id"]) for one in shared["shares"]] == [("site", placed)]
    assert console.json("peers", "show", peer_id)["shares"] == shared["shares"]
    assert console.json("peers", "unshare", peer_id, "--site", placed)["shares"] == []
    assert console.run("peers", "unshare", peer_id, "--site", placed).code == 3
    assert console.json("peers", "delete", peer_id) == {"peer_id": peer_id, "deleted": True}
    assert console.run("peers", "show", peer_id).code == 3


def test_peers__used_wrongly__say_so(console: Console, operator_id: str, site_id: str) -> None:
    """Nothing to change, both or neither to share, and a site without a place are told apart."""
    words = ("peers", "create", "--operator", operator_id, "--name", "Partner")
    peer_id = console.json(*words)["peer_id"]
    assert console.run("peers", "update", peer_id).code == 2
    assert console.run("peers", "share", peer_id).code == 2
    assert console.run("peers", "share", peer_id, "--site", "a", "--device", "b").code == 2
    assert console.run("peers", "share", peer_id, "--site", site_id).code == 6

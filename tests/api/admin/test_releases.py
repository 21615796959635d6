"""The release catalogue on the administration surface."""

import secrets
from typing import Any

import pytest

from tests.contract.client import ContractClient
from tests.server import RunningServer

RELEASES = "/v1/admin/firmware/releases"


@pytest.fixture
def admin(server: RunningServer, contract: ContractClient) -> ContractClient:
    """The administration surface as the first service account has it."""
    server.admin("GET", "/v1/admin/operators")
    return contract.bearer(server._admin_token, "admin")


def release(**changes: Any) -> dict[str, Any]:
    """A release of a model of its own."""
    return {
        "models": [f"M-{secrets.token_hex(6)}"],
        "firmware_version": "3.2.0",
        "platform_build": "260420.0107",
        "url": "http://127.0.0.1:8700/3.2.0.bin",
        "sha256": "0f" * 32,
        "size": 1,
    } | changes


def test_release__added_changed_and_withdrawn__is_read_back(admin: ContractClient) -> None:
    """What is left out of a change stays; a withdrawal says since when and why."""
    body = release(notes="First")
    added = admin.post(RELEASES, body, expect=200).data
    assert added.items() >= (body | {"channel": "stable"}).items()
    path = f"{RELEASES}/{added['release_id']}"
    assert admin.get(path, expect=200).data == added
    changed = admin.request("PATCH", path, json={"channel": "beta"}, expect=200).data
    assert changed == added | {"channel": "beta"}
    body = {"withdrawn": True, "withdrawn_reason": "Bricks chargers"}
    withdrawn = admin.request("PATCH", path, json=body, expect=200).data
    assert withdrawn["withdrawn_reason"] == "Bricks chargers"
    query = {"model": added["models"][0], "withdrawn": "true"}
    assert admin.get(RELEASES, params=query, expect=200).data["items"] == [withdrawn]
    restored = admin.request("PATCH", path, json={"withdrawn": False}, expect=200).data
    assert restored == changed


def test_release__version_that_a_model_has__is_409(admin: ContractClient) -> None:
    """The answer names the release that is there."""
    body = release()
    added = admin.post(RELEASES, body, expect=200).data
    refused = admin.post(RELEASES, body | {"platform_build": "260421.0001"}, expect=409)
    assert refused.code == 4001
    assert refused.details["release_id"] == added["release_id"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"models": []}, "models"),
        ({"firmware_version": "newest"}, "firmware_version"),
        ({"platform_build": "3.2.0"}, "platform_build"),
        ({"url": "http://firmware.example/x"}, "url"),
        ({"sha256": "0f"}, "sha256"),
        ({"size": 0}, "size"),
        ({"channel": "secret"}, "channel"),
    ],
)
def test_release__that_cannot_be_used__is_refused_by_name(
    admin: ContractClient, changes: dict[str, Any], field: str
) -> None:
    """Versions must be orderable, the address safe, the digest whole."""
    refused = admin.post(RELEASES, release(**changes), expect=400)
    assert (refused.code, refused.details["field"]) == (1001, field)


def test_release__that_does_not_exist__is_404(admin: ContractClient) -> None:
    """Reading and changing one that is not there."""
    for method, body in (("GET", None), ("PATCH", {"notes": "x"})):
        answer = admin.request(method, f"{RELEASES}/rel_none", json=body, expect=404)
        assert answer.code == 3001

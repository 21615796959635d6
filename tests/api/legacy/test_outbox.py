"""Orders of an emulated partner platform, and its pushes, over real HTTP both ways."""

from collections.abc import Iterator
from typing import Any

import pytest

from tellus.simulator.peer import PeerOrder
from tellus.simulator.peer_client import PeerClient
from tellus.simulator.peer_faults import PeerFault
from tests.api.legacy.emulated import ALLOWED, PUSH_CLIENT, Emulated
from tests.api.legacy.partner import (
    Partner,
    begin,
    end,
    new_partner,
    present,
    take_command,
    wait_until,
)
from tests.api.tenancy import Charger, Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.contract.exchange_log import SESSION
from tests.server import RunningServer, start_server


@pytest.fixture(scope="module")
def allowing(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server that pushes to its own machine."""
    path = tmp_path_factory.mktemp("allowing") / "data"
    server = start_server(path, environment=ALLOWED)
    try:
        yield server
    finally:
        assert server.stop() == 0


@pytest.fixture(scope="module")
def near(allowing: RunningServer) -> Iterator[Tenant]:
    """A tenant on it."""
    with ContractClient(allowing.base_url, log=SESSION) as contract:
        yield new_tenant(allowing, contract)


@pytest.fixture
def peer() -> Iterator[Emulated]:
    """A peer platform of the test's own."""
    emulated = Emulated()
    try:
        yield emulated
    finally:
        emulated.close()


@pytest.fixture
def befriended(near: Tenant, peer: Emulated) -> Partner:
    """That platform, known to the tenant, which proves itself by client credentials."""
    return new_partner(near, **peer.settings)


def client_of(partner: Partner) -> PeerClient:
    """The peer's own client of our platform."""
    return PeerClient(partner.tenant.server.base_url + "/v1", partner.peer_id, partner.secret)


def start(peer: Emulated, partner: Partner, charger: Charger, *, discharge: bool) -> PeerOrder:
    """Have the peer start an order at the first connector of a charger it was shown."""

    async def ordering() -> PeerOrder:
        async with client_of(partner) as client:
            shown = {one["ChargeBoxId"] for one in await client.query_all_stations()}
            assert charger.device_id in shown
            [status] = await client.query_station_status([charger.device_id, "unknown"])
            assert status["ChargeBoxId"] == charger.device_id
            return await peer.platform.start_order(
                client, charger.device_id, 1, discharge=discharge
            )

    return peer.run(ordering())


def stop(peer: Emulated, partner: Partner, charger: Charger, *, discharge: bool = False) -> str:
    """Have the peer stop it."""

    async def stopping() -> str:
        async with client_of(partner) as client:
            way = client.stop_discharging if discharge else client.stop_charging
            return await way(charger.device_id, 1)

    return peer.run(stopping())


def pushes_of(partner: Partner, **wanted: Any) -> list[dict[str, Any]]:
    """What the administrator sees of the outbox of a peer, newest first."""
    asked = {"peer_id": partner.peer_id, "size": 100} | wanted
    found: list[dict[str, Any]] = partner.tenant.admin.get(
        "/v1/admin/pushes", params=asked, expect=200
    ).data["items"]
    return found


def test_order__of_an_emulated_peer__is_told_to_its_end_with_equal_energy(
    peer: Emulated, befriended: Partner, near: Tenant
) -> None:
    """The peer starts, stops and hears of completion; the energy is that of our record."""
    charger = present(near.charger("TP-DC60"))
    order = start(peer, befriended, charger, discharge=False)
    command = take_command(charger, "start_charging")
    begin(charger, command)
    wait_until(lambda: "CHARGING" in order.statuses, "the start")
    assert stop(peer, befriended, charger) == "Accept"
    take_command(charger, "stop_charging", "completed")
    end(charger, command, 12.345)
    peer.run(peer.platform.wait_until_over(order, 20))
    assert order.statuses[-1] == "COMPLETED"
    [record] = charger.records()
    assert order.energy_kwh == record["energy"] == 12.345
    assert {one["DeviceVendorOrderId"] for one in order.told} == {order.vendor_order_id}
    wait_until(lambda: charger.device_id in peer.platform.stations, "the status of the station")
    assert {push.answer for push in peer.platform.pushes} == {"Accept"}


def test_order__discharge_of_an_emulated_peer__is_told_to_its_end(
    peer: Emulated, befriended: Partner, near: Tenant
) -> None:
    """A discharge is told in the published words, with energy out of the vehicle below zero."""
    charger = present(near.charger("TP-DC180-V2G"))
    order = start(peer, befriended, charger, discharge=True)
    command = take_command(charger, "discharge")
    begin(charger, command)
    wait_until(lambda: "CHARGING" in order.statuses, "the start")
    assert stop(peer, befriended, charger) == "Reject"
    assert stop(peer, befriended, charger, discharge=True) == "Accept"
    take_command(charger, "stop_charging", "completed")
    end(charger, command, -5.125)
    peer.run(peer.platform.wait_until_over(order, 20))
    assert (order.statuses[-1], order.energy_kwh) == ("COMPLETED", -5.125)


def test_emulated_peer__tells_of_its_own__operator_sees_it(
    peer: Emulated, befriended: Partner, near: Tenant
) -> None:
    """The other way round too: what the peer pushes to us is listed for our operator."""
    station = {
        "ChargeBoxId": "THEIRS-1", "CreateTime": "2026-01-01T00:00:00Z", "Type": "AC", "Power": 22,
        "Longitude": 8.5, "Latitude": 47.4,
        "Connectors": [{"ConnectorId": 1, "Status": "Working"}],
    }  # fmt: skip
    work = {
        "OrderId": "ours-1", "DeviceVendorOrderId": "V-1", "ChargePointId": "THEIRS-1",
        "ConnectorId": 1, "ChangeTime": "2026-01-01 00:00:00", "Status": "CHARGING",
    }  # fmt: skip

    async def telling() -> list[str]:
        async with client_of(befriended) as client:
            return [
                await client.notification_station_status(station),
                await client.notify_work_status(work),
            ]

    assert peer.run(telling()) == ["Accept", "Accept"]
    asked = {"peer_id": befriended.peer_id}
    points = near.api.get("/v1/operator/foreign-charge-points", params=asked, expect=200).data
    orders = near.api.get("/v1/operator/foreign-orders", params=asked, expect=200).data
    assert [one["order_id"] for one in orders["items"]] == ["ours-1"]
    assert "THEIRS-1" in str(points["items"])


def test_push__peer_out_of_order__waits_visibly_and_is_driven_again(
    peer: Emulated, befriended: Partner, near: Tenant
) -> None:
    """What a peer does not take waits with its reason; by hand it goes as soon as it is well."""
    peer.misbehave(PeerFault.ERROR)
    charger = present(near.charger("TP-DC60"))
    order = start(peer, befriended, charger, discharge=False)
    begin(charger, take_command(charger, "start_charging"))

    def waiting() -> list[dict[str, Any]]:
        found = pushes_of(befriended, state="waiting")
        return [one for one in found if one["operation"] == "notify_work_status"]

    wait_until(lambda: any(one["last_outcome"] for one in waiting()), "a failed attempt")
    [held] = waiting()
    assert (held["last_outcome"], held["attempts"]) == ("bad_status", 1)
    assert held["about"] == order.vendor_order_id
    shown = near.admin.get(f"/v1/admin/pushes/{held['push_id']}", expect=200).data
    assert shown["body"]["OrderId"] == order.order_id
    assert [(one["outcome"], one["http_status"]) for one in shown["history"]] == [
        ("bad_status", 500)
    ]
    peer.behave()
    near.admin.post(f"/v1/admin/pushes/{held['push_id']}/retry", expect=200)
    wait_until(lambda: "CHARGING" in order.statuses, "the push")
    path = f"/v1/admin/pushes/{held['push_id']}"
    wait_until(lambda: near.admin.get(path).data["state"] == "accepted", "its end")
    for action in ("retry", "cancel"):
        refused = near.admin.post(f"{path}/{action}")
        assert (refused.status, refused.code) == (409, 4001)
    entries = near.admin.get(
        "/v1/admin/audit-log", params={"resource_id": held["push_id"]}, expect=200
    ).data["items"]
    assert [one["action"] for one in entries] == ["push.retried"]


def test_push__rejected__ends_and_is_told_in_the_log(
    peer: Emulated, befriended: Partner, near: Tenant
) -> None:
    """A Reject ends a push; the log names it, and holds no secret of ours or the peer's."""
    peer.misbehave(PeerFault.REJECT)
    charger = present(near.charger("TP-DC60"))
    start(peer, befriended, charger, discharge=False)
    begin(charger, take_command(charger, "start_charging"))
    wait_until(lambda: bool(pushes_of(befriended, state="rejected")), "the verdict")
    push_id = pushes_of(befriended, state="rejected")[-1]["push_id"]
    log = near.server.stderr
    wait_until(
        lambda: any("legacy.push_rejected" in line and push_id in line for line in log),
        "the line of the log",
    )
    assert not any(PUSH_CLIENT[1] in line or befriended.secret in line for line in log)


def test_push__cancelled__is_not_sent(peer: Emulated, befriended: Partner, near: Tenant) -> None:
    """What is cancelled stays away, also when the peer is back."""
    peer.misbehave(PeerFault.DOWN)
    charger = present(near.charger("TP-DC60"))
    begin_order = befriended.start("by-hand", charger)
    assert begin_order.json["Status"] == "STARTING"
    begin(charger, take_command(charger, "start_charging"))
    wait_until(lambda: bool(pushes_of(befriended, state="waiting")), "a push")
    wait_until(
        lambda: all(one["last_outcome"] for one in pushes_of(befriended, state="waiting")),
        "its first attempt",
    )
    for one in pushes_of(befriended, state="waiting"):
        path = f"/v1/admin/pushes/{one['push_id']}/cancel"
        ended = near.admin.post(path, expect=200).data
        assert (ended["state"], ended["next_attempt_at"]) == ("cancelled", None)
    assert pushes_of(befriended, state="waiting") == []
    missing = near.admin.get("/v1/admin/pushes/psh_none")
    assert (missing.status, missing.code) == (404, 3001)


def test_push__to_this_machine_where_not_allowed__is_refused(own: Tenant, partner: Partner) -> None:
    """Unless it is allowed nothing is sent to the platform's own machine, and that is shown."""
    charger = present(own.charger("TP-DC60"))
    partner.start("refused", charger)
    begin(charger, take_command(charger, "start_charging"))
    wait_until(
        lambda: "address_refused" in {one["last_outcome"] for one in pushes_of(partner)},
        "the refusal",
    )

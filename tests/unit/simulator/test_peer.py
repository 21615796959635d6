"""The emulated platform of another operator: takes pushes, keeps orders, misbehaves as told."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tellus.simulator.peer import PeerOrder, PeerPlatform
from tellus.simulator.peer_client import PeerCallFailed, PeerClient
from tellus.simulator.peer_faults import PeerFault

STATION: dict[str, Any] = {
    "ChargeBoxId": "box_1", "CreateTime": "2026-01-01T00:00:00Z", "Type": "DC", "Power": 60,
    "Longitude": 8.5, "Latitude": 47.4, "Connectors": [{"ConnectorId": 1, "Status": "Available"}],
}  # fmt: skip
WORK: dict[str, Any] = {
    "OrderId": "A-1", "DeviceVendorOrderId": "ord_1", "ChargePointId": "box_1", "ConnectorId": 1,
    "ChangeTime": "2026-01-01 00:00:00", "Status": "CHARGING",
}  # fmt: skip


def test_peer__pushes_of_its_orders__are_kept_in_order() -> None:
    """News of its own orders are accepted and kept as told; those of others are rejected."""

    async def scenario() -> None:
        async with (
            PeerPlatform(push_client=("cl_us", "secret")) as peer,
            PeerClient(peer.base_url, "cl_us", "secret") as client,
        ):
            peer.orders["A-1"] = PeerOrder("A-1", "box_1", 1)
            ended = {**WORK, "Status": "COMPLETED", "Meter": {"Energy": 12.5}}
            waiting = asyncio.create_task(peer.wait_until_over(peer.orders["A-1"], 5))
            assert await client.notify_work_status(WORK) == "Accept"
            assert not peer.orders["A-1"].is_over
            assert await client.notify_work_status(ended) == "Accept"
            await waiting
            assert await client.notify_work_status({**WORK, "OrderId": "B-1"}) == "Reject"
            assert await client.notification_station_status(STATION) == "Accept"
            assert peer.orders["A-1"].statuses == ["CHARGING", "COMPLETED"]
            assert peer.orders["A-1"].energy_kwh == 12.5
            assert peer.stations["box_1"] == STATION
            assert [push.answer for push in peer.pushes] == ["Accept", "Accept", "Reject", "Accept"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"OrderId": 1}', b'{"OrderId": "A-1", "Status": "CHARGING"}']
)
def test_peer__push_of_another_shape__is_refused(body: bytes) -> None:
    """What lacks a required field or has another type is a 400."""

    async def scenario() -> None:
        async with PeerPlatform() as peer, aiohttp.ClientSession() as session:
            url = f"{peer.base_url}/customer/notify_work_status"
            async with session.post(url, data=body) as response:
                assert response.status == 400

    asyncio.run(scenario())


def test_peer__who_pushes_without_its_token__is_refused() -> None:
    """A peer takes nothing from strangers."""

    async def scenario() -> None:
        async with PeerPlatform(push_token="tok_1") as peer, aiohttp.ClientSession() as session:
            url = f"{peer.base_url}/customer/notification_stationStatus"
            async with session.put(url, json=STATION) as response:
                assert response.status == 401
            headers = {"Authorization": "Bearer tok_1"}
            async with session.put(url, json=STATION, headers=headers) as response:
                assert await response.json() == {"Status": "Accept"}
            assert len(peer.pushes) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "status", "content"),
    [
        (PeerFault.ERROR, 500, "internal error"),
        (PeerFault.REJECT, 200, '{"Status": "Reject"}'),
        (PeerFault.REDIRECT, 302, ""),
        (PeerFault.SLOW, 200, '{"Status": "Accept"}'),
    ],
)
def test_peer__told_to_misbehave__does_so_as_often_as_told(
    fault: PeerFault, status: int, content: str
) -> None:
    """A fault lasts for as many pushes as it is meant to."""

    async def scenario() -> None:
        async with PeerPlatform(slow_s=0.01) as peer, aiohttp.ClientSession() as session:
            await peer.misbehave(fault, times=1)
            url = f"{peer.base_url}/customer/notification_stationStatus"
            async with session.put(url, json=STATION, allow_redirects=False) as response:
                assert (response.status, await response.text()) == (status, content)
            async with session.put(url, json=STATION) as response:
                assert await response.json() == {"Status": "Accept"}

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [PeerFault.GARBAGE, PeerFault.HUGE])
def test_peer__nonsense__is_no_short_verdict(fault: PeerFault) -> None:
    """Garbage is no JSON, and a huge answer is larger than anybody should read."""

    async def scenario() -> None:
        async with PeerPlatform() as peer, aiohttp.ClientSession() as session:
            await peer.misbehave(fault)
            url = f"{peer.base_url}/customer/notification_stationStatus"
            async with session.put(url, json=STATION) as response:
                content = await response.read()
            assert len(content) > 65_536 or b"Status" not in content

    asyncio.run(scenario())


def test_peer__down_and_back__listens_again_at_its_port() -> None:
    """A peer that was down comes back where it was."""

    async def scenario() -> None:
        async with PeerPlatform() as peer, PeerClient(peer.base_url, "", "") as client:
            client._token = "any"
            port = peer.port
            await peer.misbehave(PeerFault.DOWN)
            with pytest.raises(PeerCallFailed) as caught:
                await client.notification_station_status(STATION)
            assert caught.value.status == 0
            await peer.behave()
            assert await client.notification_station_status(STATION) == "Accept"
            assert peer.port == port

    asyncio.run(scenario())


def test_peer__asked_for_what_it_has_not__notes_it() -> None:
    """Whatever goes to other paths is seen."""

    async def scenario() -> None:
        async with PeerPlatform() as peer, aiohttp.ClientSession() as session:
            async with session.get(f"{peer.base_url}/elsewhere") as response:
                assert response.status == 404
            assert peer.stray_requests == ["GET /v1/elsewhere"]

    asyncio.run(scenario())

"""The stream's channel of alerts: what becomes of them, to those who ask for it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tellus.kernel.units import to_text
from tests.api.alerts.world import AlertWorld
from tests.api.tenancy import Tenant, sample

DAY_S = 86_400


@contextmanager
def stream(
    world: AlertWorld, tenant: Tenant, query: str, base_url: str = ""
) -> Iterator[ClientConnection]:
    """An open stream of a tenant."""
    address = (base_url or world.base_url).replace("http", "ws", 1)
    url = f"{address}/v1/operator/stream?{query}"
    headers = {"Authorization": f"Bearer {tenant.client.token}"}
    with connect(url, additional_headers=headers, compression=None, proxy=None) as connection:
        yield connection


def read(connection: ClientConnection, timeout_s: float = 5.0) -> dict[str, Any]:
    """The next frame."""
    frame: dict[str, Any] = json.loads(connection.recv(timeout=timeout_s))
    return frame


def test_alerts_alone__every_change__comes_as_a_frame(world: AlertWorld) -> None:
    """Opened, changed and closed come as frames, each with the alert as it is then."""
    with stream(world, world.tenant, "channels=alerts") as mine:
        world.find(key="stream:1")
        first = read(mine)
        assert (first["type"], first["change"], first["alert"]["status"]) == (
            "alert", "opened", "open",
        )  # fmt: skip
        world.change(first["alert"], status="acknowledged")
        second = read(mine)
        assert (second["change"], second["alert"]["status"]) == ("changed", "acknowledged")
        world.change(first["alert"], status="resolved")
        assert read(mine)["change"] == "closed"


def test_finding__that_only_counts__makes_no_frame(world: AlertWorld) -> None:
    """That a matter is found again is no news."""
    with stream(world, world.tenant, "channels=alerts") as mine:
        world.find(key="count:1")
        read(mine)
        world.find(key="count:1")
        with pytest.raises(TimeoutError):
            read(mine, 1.5)


def test_default__telemetry_alone__as_ever(world: AlertWorld) -> None:
    """A client of the published contract sees telemetry and nothing else."""
    with stream(world, world.tenant, f"devices={world.charger.device_id}") as mine:
        assert read(mine)["device_id"] == world.charger.device_id
        world.find(key="default:1")
        world.clock.advance(2)
        now = to_text(world.clock.now_ms())
        world.charger.send("telemetry", sample(timestamp=now))
        assert "connectors" in read(mine)


def test_both__devices_named__others_are_left_out(world: AlertWorld) -> None:
    """Alerts about devices that were not named are left out; those about no single one come."""
    other = world.tenant.charger()
    query = f"devices={world.charger.device_id}&channels=telemetry,alerts"
    with stream(world, world.tenant, query) as mine:
        assert read(mine)["device_id"] == world.charger.device_id
        world.find(key="both:1", device_no=world.device_no(other.device_id))
        world.find(key="both:2", device_no=None, connector_id=0, code="site_network")
        world.find(key="both:3")
        codes = [read(mine)["alert"]["code"] for _ in range(2)]
        assert codes == ["site_network", "F-0421"]


def test_other_operator__sees_nothing(world: AlertWorld) -> None:
    """Alerts go to their operator alone."""
    with (
        stream(world, world.tenant, "channels=alerts") as mine,
        stream(world, world.other, "channels=alerts") as theirs,
    ):
        world.find(key="theirs:1")
        assert read(mine)["type"] == "alert"
        with pytest.raises(TimeoutError):
            read(theirs, 1.5)


@pytest.mark.parametrize("query", ["channels=news", "channels=", "channels=telemetry"])
def test_channels__that_make_no_sense__are_refused(world: AlertWorld, query: str) -> None:
    """A channel that is not known is refused, and telemetry needs devices."""
    with pytest.raises(InvalidStatus) as refused, stream(world, world.tenant, query):
        pass
    assert refused.value.response.status_code == 400


def test_token__that_expires__ends_the_stream(world: AlertWorld) -> None:
    """A stream of alerts lasts no longer than its token."""
    with stream(world, world.other, "channels=alerts") as theirs:
        world.clock.advance(DAY_S + 1)
        with pytest.raises(ConnectionClosed) as ended:
            theirs.recv(timeout=5)
    world.advance(0)
    assert ended.value.rcvd is not None
    assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (4401, "2002")

"""Two platforms, each the other's peer: an order begun by one runs at a charger of the other."""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tellus.simulator.control import ControlRefused, ControlRequest, ask_fleet
from tests.contract.client import ContractClient
from tests.server import Client, RunningServer, start_server

QUICK_FLEET = Path(__file__).with_name("quick_fleet.py")
PRIVATE = {"TELLUS_LEGACY__ALLOW_PRIVATE_ADDRESSES": "true"}
WITHIN_S = 40.0
CHARGE_S = 3.0
_LOOK_EVERY_S = 0.1

pytestmark = pytest.mark.slow


@dataclass
class Side:
    """One platform, its operator, and the peer there that stands for the other platform."""

    server: RunningServer
    contract: ContractClient = field(init=False)
    client: Client = field(init=False)
    peer_id: str = ""
    secret: str = ""

    @property
    def operator(self) -> ContractClient:
        """The operator's surface."""
        return self.contract.operator(self.client.token)

    def foreign_orders(self, order_id: str) -> list[dict[str, Any]]:
        """What the other platform has told of an order."""
        items: list[dict[str, Any]] = self.operator.get(
            "/v1/operator/foreign-orders", params={"order_id": order_id}, expect=200
        ).data["items"]
        return items

    def waiting(self) -> int:
        """How many pushes are still owed."""
        query = "/v1/admin/pushes?state=waiting"
        return int(self.server.admin("GET", query)["total"])


def wait_for(holds: Callable[[], bool], what: str) -> float:
    """Wait until something holds; return how long that took (s)."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() < began_s + WITHIN_S, f"{what} did not happen"
        time.sleep(_LOOK_EVERY_S)
    return time.monotonic() - began_s


@contextmanager
def platform(data_dir: Path) -> Iterator[Side]:
    """A platform with a client for its operator."""
    side = Side(start_server(data_dir, environment=PRIVATE))
    try:
        with ContractClient(side.server.base_url) as side.contract:
            side.client = side.server.create_client()
            yield side
    finally:
        side.server.stop()


def kill_and_start(side: Side) -> None:
    """Let a platform lose its power and come back at the same address."""
    port = side.server.base_url.rpartition(":")[2]
    side.server.kill()
    side.server = start_server(side.server.data_dir, "--port", port, environment=PRIVATE)


def introduce(here: Side, there: Side) -> None:
    """Make each a peer of the other, with the secrets that the other gave."""
    for side in (here, there):
        body = {"operator_id": side.server.built_in_operator_id, "name": "The other one"}
        made = side.server.admin("POST", "/v1/admin/peers", body | {"timezone": "Asia/Shanghai"})
        side.peer_id, side.secret = made["peer_id"], made["peer_secret"]
    for side, other in ((here, there), (there, here)):
        base_url = other.server.base_url
        body = {
            "push_url": f"{base_url}/v1",
            "auth": "client_credentials",
            "token_url": f"{base_url}/v1/operator/oauth/token",
            "auth_id": other.peer_id,
            "auth_secret": other.secret,
        }
        side.server.admin("PATCH", f"/v1/admin/peers/{side.peer_id}", body)


def share_all(side: Side) -> None:
    """Share the one site, at a known place."""
    site_id = side.server.admin("GET", "/v1/admin/sites")["items"][0]["site_id"]
    place = {"location": {"lat": 45.74, "lng": 4.82}}
    side.server.admin("PATCH", f"/v1/admin/sites/{site_id}", place)
    path = f"/v1/admin/peers/{side.peer_id}/shares"
    side.server.admin("POST", path, {"site_id": site_id})


@contextmanager
def chargers(server: RunningServer, control: Path) -> Iterator[None]:
    """Simulated chargers that nobody visits unless they are started."""
    command = [sys.executable, str(QUICK_FLEET), "simulate", "--base-url", server.base_url]
    options = ["--chargers", "2", "--scenario", "quiet", "--quiet", "--control", str(control)]
    fleet = subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: len(online(server)) == 2, "the chargers online")
        yield
    finally:
        fleet.terminate()
        fleet.wait(30)


def online(server: RunningServer) -> list[dict[str, Any]]:
    """The chargers that are online."""
    found: list[dict[str, Any]] = server.admin("GET", "/v1/admin/devices?status=online")["items"]
    return found


class Caller:
    """The backend of the one platform, calling the legacy paths of the other."""

    def __init__(self, here: Side, there: Side) -> None:
        asked = {
            "client_id": there.peer_id,
            "client_secret": there.secret,
            "grant_type": "client_credentials",
        }
        url = "/v1/operator/oauth/token"
        answer = httpx.post(there.server.base_url + url, json=asked).raise_for_status()
        self._api = there.contract.bearer(answer.json()["access_token"], "peer")
        self._here = here
        self.order_id = f"order-{secrets.token_hex(6)}"
        self.device_id = ""

    def choose(self) -> None:
        """Wait until both chargers have been told of, and choose one."""
        path = "/v1/operator/foreign-charge-points"

        def points() -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = self._here.operator.get(path, expect=200).data["items"]
            return items

        wait_for(lambda: len(points()) == 2, "word of both chargers")
        self.device_id = points()[0]["charge_point_id"]

    def call(self, what: str, **more: Any) -> str:
        """Start or stop at the first connector; return the word of the answer."""
        body = {"ChargePointId": self.device_id, "ConnectorId": 1} | more
        word: str = self._api.post(f"/v1/cp/{what}", body, expect=200).json["Status"]
        return word

    def words(self) -> list[str]:
        """What has been heard of the order here: one word, or none."""
        return [order["status"] for order in self._here.foreign_orders(self.order_id)]

    def await_word(self, word: str) -> float:
        """Wait until the order stands so here; return how long that took (s)."""
        return wait_for(lambda: self.words() == [word], f"{self.order_id} {word}")


def unplug(control: Path, sn: str) -> None:
    """Let the vehicle leave."""

    def has_left() -> bool:
        try:
            ask_fleet(control, ControlRequest("plug-out", sn, 1, None))
        except ControlRefused:
            return True
        return False

    wait_for(has_left, "the vehicle's leaving")


def serial_of(side: Side, device_id: str) -> str:
    """The serial number of a charger, by which its simulator knows it."""
    (sn,) = [one["sn"] for one in online(side.server) if one["device_id"] == device_id]
    return str(sn)


def records_of(side: Side) -> list[dict[str, Any]]:
    """All charging records, as the chargers' operator has them."""
    path = "/v1/operator/charging-records"
    items: list[dict[str, Any]] = side.operator.get(path, expect=200).data["items"]
    return items


def record_of(side: Side, vendor_order_id: str) -> dict[str, Any]:
    """The charging record of an order."""
    (record,) = [one for one in records_of(side) if one.get("transaction_id") == vendor_order_id]
    return record


@contextmanager
def two_platforms(folder: Path) -> Iterator[tuple[Side, Side]]:
    """A platform that calls and one with chargers, each the other's peer."""
    with platform(folder / "here") as here, platform(folder / "there") as there:
        introduce(here, there)
        yield here, there


def test_order__begun_by_the_other_platform__ends_with_one_energy(tmp_path: Path) -> None:
    """Started and stopped from there, completed on both, and to the watt-hour the same energy.

    The platform with the charger is killed while it charges: it neither forgets nor goes back.
    """
    control = tmp_path / "fleet.sock"
    with two_platforms(tmp_path) as (here, there), chargers(there.server, control):
        share_all(there)
        caller = Caller(here, there)
        caller.choose()
        assert caller.call("start_charging", OrderId=caller.order_id) == "STARTING"
        began_s = caller.await_word("CHARGING")
        kill_and_start(there)
        time.sleep(CHARGE_S)
        assert caller.call("stop_charging") == "Accept"
        caller.await_word("WAIT_PULL_OUT_CONNECTOR")
        unplug(control, serial_of(there, caller.device_id))
        ended_s = caller.await_word("COMPLETED")
        [order] = here.foreign_orders(caller.order_id)
        record = record_of(there, order["vendor_order_id"])
        print(
            f"charging after {began_s:.1f} s, completed {ended_s:.1f} s after the vehicle left,"
            f" {record['energy']} kWh on both sides"
        )
        assert record["energy"] > 0
        assert order["meter"]["energy"] == record["energy"]
        wait_for(lambda: there.waiting() == 0, "the last acknowledgement")

"""Killed while it pushes, the platform tells its peer all, and nothing again that was noted."""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tellus.delivery.model import IN_FLIGHT_LARGEST
from tellus.simulator.peer_client import PeerCallFailed, PeerClient
from tellus.simulator.peer_faults import PeerFault
from tests.api.legacy.emulated import Emulated
from tests.api.legacy.partner import Partner, new_partner, present
from tests.api.tenancy import new_tenant
from tests.contract.client import ContractClient
from tests.databases import query
from tests.server import RunningServer, start_server

KILLS = int(os.environ.get("TELLUS_TEST_PUSH_KILLS", "3"))
LOAD_S = (0.2, 0.5)
CALLERS = 4
TOLD_WITHIN_S = 20.0
PLANTED = Path(__file__).with_name("planted.py")

pytestmark = pytest.mark.slow


@dataclass
class Findings:
    """What a series of kills came to; orders by their id."""

    kills: int = 0
    acknowledged: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    repeated_though_noted: set[str] = field(default_factory=set)
    repeats: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills: {len(self.acknowledged)} orders acknowledged,"
            f" {len(self.lost)} never told, {len(self.repeated_though_noted)} told again after"
            f" their Accept was noted; {self.repeats} told twice as nobody could know better"
        )


class Campaign:
    """A platform that is killed again and again, and its peer, which lives on."""

    def __init__(self, data_dir: Path, peer: Emulated, program: tuple[str, ...]) -> None:
        self._data_dir = data_dir
        self._peer = peer
        self._program = program
        self._random = random.Random(20_261_120)
        self.findings = Findings()

    def run(self, kills: int) -> Findings:
        """Kill it so often, let it finish, and say what was found."""
        server = self._start()
        with ContractClient(server.base_url) as contract:
            tenant = new_tenant(server, contract)
            partner = new_partner(tenant, **self._peer.settings)
            charger = present(tenant.charger("TP-DC60"))
            # What all others want has one order already: they fail, and each is told so.
            assert partner.start("first", charger).json["Status"] == "STARTING"
        for _ in range(kills):
            self._live(server, partner, charger.device_id)
            noted = self._noted()
            before = self._heard()
            server = self._start()
            self._wait_until_told(server)
            after = self._heard()
            again = {order for order in noted if after[order] > before[order]}
            self.findings.repeated_though_noted |= again
            self.findings.kills += 1
        assert server.stop() == 0
        heard = self._heard()
        self.findings.lost = {one for one in self.findings.acknowledged if not heard[one]}
        self.findings.repeats = sum(times > 1 for times in heard.values())
        return self.findings

    def _start(self) -> RunningServer:
        # A sandbox may push to its own machine.
        return start_server(self._data_dir, "--sandbox", program=self._program)

    def _live(self, server: RunningServer, partner: Partner, device_id: str) -> None:
        """Let the peer order as fast as it can, and kill the platform in the midst of it."""
        client = PeerClient(server.base_url + "/v1", partner.peer_id, partner.secret)

        async def order() -> None:
            while True:
                try:
                    made = await self._peer.platform.start_order(client, device_id, 1)
                except PeerCallFailed:
                    return
                self.findings.acknowledged.add(made.order_id)

        async def ordering() -> None:
            async with client:
                await asyncio.gather(*(order() for _ in range(CALLERS)))

        ended = asyncio.run_coroutine_threadsafe(ordering(), self._peer.loop)
        time.sleep(self._random.uniform(*LOAD_S))
        server.kill()
        ended.result(30)

    def _noted(self) -> set[str]:
        """The orders of which the store knows that the peer accepted their push."""
        sql = (
            "SELECT body FROM legacy_outbox"
            " WHERE state = 'accepted' AND operation = 'notify_work_status'"
        )
        rows = query(self._data_dir, sql)
        return {json.loads(body)["OrderId"] for (body,) in rows}

    def _heard(self) -> Counter[str]:
        """How often the peer was told of each order."""
        pushes = list(self._peer.platform.pushes)
        return Counter(push.body["OrderId"] for push in pushes if "OrderId" in push.body)

    def _wait_until_told(self, server: RunningServer) -> None:
        """Wait until nothing waits; the peer is well, so that takes no schedule."""
        until_s = time.monotonic() + TOLD_WITHIN_S
        while server.admin("GET", "/v1/admin/pushes?state=waiting")["total"]:
            assert time.monotonic() < until_s, "pushes wait for ever"
            time.sleep(0.05)


@contextmanager
def campaign(folder: Path, *program: str) -> Iterator[Campaign]:
    """A campaign with a peer that takes its time."""
    peer = Emulated(slow_s=0.005)
    try:
        peer.run(peer.platform.misbehave(PeerFault.SLOW))
        yield Campaign(folder / "data", peer, program or ("-m", "tellus"))
    finally:
        peer.close()


def test_pushes__platform_killed_again_and_again__all_told_and_none_twice_that_was_noted(
    tmp_path: Path,
) -> None:
    """Every order that was acknowledged is told; what was noted as accepted is not told again."""
    with campaign(tmp_path) as running:
        found = running.run(KILLS)
    print(found)
    assert len(found.acknowledged) > 3 * KILLS
    assert not found.lost
    assert not found.repeated_though_noted
    # Only what was on its way when the platform died can have been told without being noted.
    assert found.repeats <= IN_FLIGHT_LARGEST * KILLS


def test_pushes__accepted_before_they_are_sent__are_found_missing(tmp_path: Path) -> None:
    """The harness notices a platform that notes first and sends afterwards."""
    with campaign(tmp_path, str(PLANTED), "accept_before_sending") as running:
        found = running.run(2)
    print(found)
    assert found.lost

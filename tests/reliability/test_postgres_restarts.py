"""PostgreSQL restarted under load: nothing acknowledged is lost, nothing is granted falsely."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.databases import PostgresServer
from tests.reliability.ledger import Findings
from tests.reliability.mixed_load import MixedLoad, now_ms
from tests.reliability.test_kill import audit
from tests.server import RunningServer, start_server

RESTARTS = int(os.environ.get("TELLUS_TEST_POSTGRES_RESTARTS", "3"))
RECOVERED_WITHIN_S = 10.0
CHARGERS = 6
LOAD_S = 1.0
AWAY_S = 0.6
SETTLED_S = 0.2
AUDITED_EVERY = 10
PLANTED = Path(__file__).with_name("planted.py")

pytestmark = pytest.mark.slow


@dataclass
class Campaign:
    """What a series of restarts came to."""

    load: MixedLoad
    recovered_s: list[float] = field(default_factory=list)
    granted_while_away: int = 0
    findings: list[Findings] = field(default_factory=list)

    def __str__(self) -> str:
        ledger = self.load.ledger
        return (
            f"{len(self.recovered_s)} restarts under load: acknowledged"
            f" {len(ledger.acknowledged)}, {'; '.join(map(str, self.findings))}; granted while"
            f" PostgreSQL was away {self.granted_while_away}; writes again after"
            f" {max(self.recovered_s):.2f} s at most; answers {dict(ledger.statuses)}"
        )

    @property
    def lost(self) -> int:
        """Return how many acknowledged writes were not found in some audit."""
        return sum(len(found.lost) for found in self.findings)


async def restart_again_and_again(
    server: RunningServer, postgres: PostgresServer, restarts: int
) -> Campaign:
    """Restart PostgreSQL under load, in order and at once by turns; audit now and then."""
    port = int(server.base_url.rpartition(":")[2])
    devices = [server.register() for _ in range(CHARGERS)]
    client = server.create_client()
    campaign = Campaign(MixedLoad(port, devices, client, restarts))
    load, acknowledged = campaign.load, campaign.load.ledger.acknowledged
    load.start()
    since_ms = now_ms()
    for number in range(1, restarts + 1):
        load.running.set()
        await asyncio.sleep(LOAD_S)
        await asyncio.to_thread(postgres.stop, at_once=number % 2 == 1)
        await asyncio.sleep(SETTLED_S)  # what was committed before is on its way to its caller
        before = len(acknowledged)
        await asyncio.sleep(AWAY_S)
        campaign.granted_while_away += len(acknowledged) - before
        await asyncio.to_thread(postgres.start)
        began_s = time.monotonic()
        async with asyncio.timeout(2 * RECOVERED_WITHIN_S):
            while len(acknowledged) == before:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        campaign.recovered_s.append(time.monotonic() - began_s)
        if number % AUDITED_EVERY == 0:
            campaign.findings.append(await audit(port, devices, client, load, since_ms))
            since_ms = now_ms()
    await asyncio.sleep(LOAD_S)
    campaign.findings.append(await audit(port, devices, client, load, 0))
    await load.stop()
    return campaign


def run_campaign(
    folder: Path, restarts: int, program: Sequence[str] = ("-m", "tellus")
) -> Campaign:
    """Run the platform on a PostgreSQL of its own, and restart that."""
    postgres = PostgresServer()
    try:
        postgres.start()
        url = postgres.make_database()
        server = start_server(folder / "data", "--database-url", url, program=program)
        try:
            campaign = asyncio.run(restart_again_and_again(server, postgres, restarts))
            assert server.stop() == 0
        finally:
            server.kill()
    finally:
        postgres.remove()
    print(campaign)
    return campaign


def test_platform__postgres_restarted_under_load__keeps_every_acknowledged_write(
    tmp_path: Path,
) -> None:
    """No acknowledged write is lost or doubled, none is granted meanwhile, writes soon go on."""
    campaign = run_campaign(tmp_path, RESTARTS)
    assert len(campaign.recovered_s) == RESTARTS
    for found in campaign.findings:
        assert (found.lost[:10], found.duplicates[:10], found.phantoms[:10]) == ([], [], [])
    ledger = campaign.load.ledger
    assert {key[0] for key in ledger.acknowledged} >= {"telemetry", "event", "record"}
    assert ledger.failures == []
    assert set(ledger.statuses) <= {200, 429, 503}
    assert ledger.statuses[503] > 0
    assert campaign.granted_while_away == 0
    assert max(campaign.recovered_s) <= RECOVERED_WITHIN_S


def test_postgres_harness__platform_that_drops_samples__is_caught(tmp_path: Path) -> None:
    """The harness sees uploads that were acknowledged and not kept."""
    campaign = run_campaign(tmp_path, 1, (str(PLANTED), "drop_samples"))
    assert campaign.lost > 0

"""What agents know of a device stays with the operator that it was found for."""

from collections.abc import Sequence
from pathlib import Path

from tellus.agents import store
from tellus.agents.model import AgentName, Draft, Proposal, ProposalFilter, ProposalStatus, WornPart
from tellus.agents.service import AgentService
from tellus.fleet.directory import Device, Directory
from tellus.storage.database import Tx
from tests.unit.alerts.alert_bench import BEGAN_MS, OPERATOR, OTHER, AlertBench, finding, run_alerts

HOUR_MS = 3_600_000


def _hand_over(tx: Tx, at_ms: int) -> None:
    tx.execute(
        "UPDATE devices SET operator_id = $1, owned_since_ms = $2 WHERE device_no = 1", OTHER, at_ms
    )


def test_confirm_proposals__alert_of_the_next_operator__proves_nothing_to_the_one_before(
    tmp_path: Path,
) -> None:
    """Whose device it was is not told, by a proposal proved right, that it failed elsewhere."""

    async def scenario(bench: AlertBench) -> None:
        draft = Draft(
            key="a", operator_id=OPERATOR, site_id="site_1", device_no=1, title="t", text="x",
            score=5.0, evidence={},
        )  # fmt: skip
        facts = {"status": ProposalStatus.PROPOSED, "created_ms": BEGAN_MS, "seen_ms": BEGAN_MS}
        proposal = Proposal(
            proposal_id="prp_1", agent=AgentName.ANOMALY_HUNTER, draft=draft, **facts
        )
        await bench.database.write(store.append_proposals, [proposal])
        bench.clock.advance(3_600)
        await bench.database.write(_hand_over, bench.clock.now_ms())
        await bench.service.report([finding(operator_id=OTHER, at_ms=bench.clock.now_ms())])
        await bench.database.write(store.confirm_proposals, bench.clock.now_ms())
        wanted = ProposalFilter(OPERATOR, AgentName.ANOMALY_HUNTER)
        _, [found] = await bench.database.read(store.list_proposals, wanted, (0, 10))
        assert found.confirmed_ms is None

    run_alerts(tmp_path / "a.db", scenario)


def test_turn__device_deleted_during_the_look__is_not_proposed(tmp_path: Path) -> None:
    """What a long look comes to about a device that is gone by then is not kept."""

    class Slow:
        """An agent that finds something at two devices while one of them goes."""

        async def look(
            self, operator_id: str, devices: Sequence[Device], now_ms: int
        ) -> list[Draft]:
            del now_ms
            await bench_of[0].database.write(_delete)
            return [
                Draft(
                    key=str(one.device_no), operator_id=operator_id, site_id="site_1",
                    device_no=one.device_no, title="t", text="x", score=5.0, evidence={},
                ) for one in devices
            ]  # fmt: skip

    bench_of: list[AlertBench] = []

    async def scenario(bench: AlertBench) -> None:
        bench_of.append(bench)
        directory = Directory()
        for number in (1, 2):
            directory.add(Device(number, f"dvc_{number}", f"SN{number}", OPERATOR, "site_1"))
        hunters = {AgentName.ANOMALY_HUNTER: Slow()}
        agents = AgentService(
            bench.database, directory, hunters, bench.clock, every_ms=1, kept_ms=HOUR_MS
        )
        await agents.turn()
        wanted = ProposalFilter(OPERATOR, AgentName.ANOMALY_HUNTER)
        _, found = await agents.list_proposals(wanted, (0, 10))
        assert [one.draft.device_no for one in found] == [2]

    run_alerts(tmp_path / "a.db", scenario)


def _delete(tx: Tx) -> None:
    tx.execute("UPDATE devices SET deleted_ms = 1 WHERE device_no = 1")


def test_list_wear__device_changed_hands_since_it_was_looked_at__says_nothing(
    tmp_path: Path,
) -> None:
    """How worn a device was with the one before is not told to the next operator."""

    async def scenario(bench: AlertBench) -> None:
        part = WornPart(1, 1, "contactor", 12.0, "Contactor: 59000 of 60000 cycles")
        await bench.database.write(store.replace_wear, [1], [part], BEGAN_MS)
        assert await bench.database.read(store.list_wear, OPERATOR) == [part]
        await bench.database.write(_hand_over, BEGAN_MS + HOUR_MS)
        assert await bench.database.read(store.list_wear, OTHER) == []
        await bench.database.write(store.replace_wear, [1], [part], BEGAN_MS + 2 * HOUR_MS)
        assert await bench.database.read(store.list_wear, OTHER) == [part]

    run_alerts(tmp_path / "a.db", scenario)

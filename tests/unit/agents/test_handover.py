"""What agents know of a device stays with the operator that it was found for."""

from pathlib import Path

from tellus.agents import store
from tellus.agents.model import AgentName, Draft, Proposal, ProposalFilter, ProposalStatus, WornPart
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

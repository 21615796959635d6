"""What diagnostics keeps of what is over goes after its time, and what is not over stays."""

import asyncio
from pathlib import Path

from tellus.app import Platform
from tellus.config import load_configuration
from tellus.kernel.clock import ManualClock
from tellus.kernel.units import DAY_MS
from tellus.logs import LogRecorder
from tellus.storage.database import Tx

KEPT_MS = 730 * DAY_MS


def add(tx: Tx, name: str, ended_ms: int | None) -> None:
    """Write a run with a step and a photo, and a proposal, that ended then or go on."""
    tx.execute(
        "INSERT INTO runbook_runs (run_id, slug, operator_id, client_id, device_no, device_id,"
        " connector_id, vehicle, status, n, stage, part, since_ms, created_ms, updated_ms,"
        " ended_ms, revision)"
        " VALUES ($1, $1, 'op_1', 'cli_1', 1, 'dvc_1', 1, '{}', 'x', 1, 'x', 0, 1, 1, 1, $2, 1)",
        name,
        ended_ms,
    )
    tx.execute(
        "INSERT INTO runbook_steps (run_id, n, step_id, began_ms, evidence, command_ids)"
        " VALUES ($1, 1, 'a', 1, '{}', '[]')",
        name,
    )
    tx.execute(
        "INSERT INTO runbook_photos (run_id, file_id, media_type, size, client_id, created_ms)"
        " VALUES ($1, 'file_1', 'image/png', 1, 'cli_1', 1)",
        name,
    )
    tx.execute(
        "INSERT INTO agent_proposals (proposal_id, agent, operator_id, matter, connector_id,"
        " title, body, score, evidence, status, created_ms, seen_ms, judged_ms)"
        " VALUES ($1, 'anomaly_hunter', 'op_1', $1, 0, 'a', 'b', 1.0, '{}', $2, 1, 1, $3)",
        name,
        "proposed" if ended_ms is None else "dismissed",
        ended_ms,
    )


def names_in(tx: Tx) -> dict[str, set[str]]:
    """What is left in each table."""
    tables = {
        "agent_proposals": "proposal_id",
        "runbook_photos": "run_id",
        "runbook_runs": "run_id",
        "runbook_steps": "run_id",
    }
    return {
        table: {name for (name,) in tx.rows(f"SELECT {column} FROM {table}")}
        for table, column in tables.items()
    }


def test_tidy__runs_and_proposals__go_when_they_ended_long_enough_ago(
    tmp_path: Path,
) -> None:
    """To the millisecond: what ended two years ago stays, what ended before goes with its rows."""
    settings = load_configuration({"data_dir": str(tmp_path)}, environment={}).settings
    clock = ManualClock()
    platform = Platform(settings, LogRecorder(), clock=clock)
    now_ms = clock.now_ms()

    async def tidy() -> dict[str, set[str]]:
        database = platform.database
        await database.start()
        try:
            await database.write(add, "goes on", None)
            await database.write(add, "just", now_ms - KEPT_MS)
            await database.write(add, "long ago", now_ms - KEPT_MS - 1)
            await platform.diagnosing.runbooks.tidy()
            await platform.diagnosing.agents.tidy()
            return await database.read(names_in)
        finally:
            await database.stop()

    left = asyncio.run(tidy())
    assert left == {key: {"goes on", "just"} for key in left}

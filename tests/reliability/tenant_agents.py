"""What agents propose, for the matrix of tenants."""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

AGENT = "anomaly_hunter"
"""The agent that stands in the paths of every caller."""

VERDICT = {"status": "dismissed", "note": "Seen"}


def add_proposal(data_dir: Path, device_id: str) -> str:
    """Write a proposal about a charger into the store of a running server; return its id.

    What an agent proposes takes weeks to become visible; the matrix only asks who may see it.
    """
    proposal_id = f"prp_{secrets.token_hex(10)}"
    with closing(sqlite3.connect(data_dir / "tellus.db", timeout=30)) as store, store:
        store.execute(
            "INSERT INTO agent_proposals (proposal_id, agent, operator_id, matter, site_id,"
            " device_no, connector_id, title, body, score, evidence, status, created_ms, seen_ms)"
            " SELECT ?, ?, operator_id, ?, site_id, device_no, 1, 'Fan', 'It slows down.', 1.0,"
            " '{}', 'proposed', 1, 1 FROM devices WHERE device_id = ?",
            (proposal_id, AGENT, proposal_id, device_id),
        )
    return proposal_id

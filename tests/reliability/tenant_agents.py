"""What agents propose, for the matrix of tenants."""

import secrets
import time
from pathlib import Path

from tests.databases import change

AGENT = "anomaly_hunter"
"""The agent that stands in the paths of every caller."""

VERDICT = {"status": "dismissed", "note": "Seen"}


def add_proposal(data_dir: Path, device_id: str) -> str:
    """Write a proposal about a charger into the store of a running server; return its id.

    What an agent proposes takes weeks to become visible; the matrix only asks who may see it.
    """
    proposal_id = f"prp_{secrets.token_hex(10)}"
    now_ms = time.time_ns() // 1_000_000  # what an agent has not seen for a day it withdraws
    change(
        data_dir,
        "INSERT INTO agent_proposals (proposal_id, agent, operator_id, matter, site_id,"
        " device_no, connector_id, title, body, score, evidence, status, created_ms, seen_ms)"
        f" SELECT '{proposal_id}', '{AGENT}', operator_id, '{proposal_id}', site_id, device_no, 1,"
        " 'Fan', 'It slows down.', 1.0, '{}', 'proposed',"
        f" {now_ms}, {now_ms}"
        f" FROM devices WHERE device_id = '{device_id}'",
    )
    return proposal_id

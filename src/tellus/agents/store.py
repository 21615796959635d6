"""The SQL of agents: their proposals, and what they look at in the tables below them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tellus.agents.model import (
    CONFIRMED_WITHIN_MS,
    AgentName,
    Draft,
    FaultFact,
    Proposal,
    ProposalFilter,
    ProposalStatus,
    TrackRecord,
    WornPart,
)
from tellus.consent.model_withheld import without
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "proposal_id, agent, operator_id, matter, site_id, device_no, connector_id, title, body, score,"
    " evidence, status, created_ms, seen_ms, judged_ms, judged_by, note, confirmed_ms"
)
_DEVICES_AT_ONCE = 500
_encode = msgspec.json.Encoder().encode


def list_own(tx: Tx, operator_id: str, device_nos: Sequence[int]) -> set[int]:
    """Return which of these devices are an operator's and were not deleted."""
    own: set[int] = set()
    for start in range(0, len(device_nos), _DEVICES_AT_ONCE):
        part = device_nos[start : start + _DEVICES_AT_ONCE]
        places = ", ".join(f"${number + 2}" for number in range(len(part)))
        rows = tx.rows(
            "SELECT device_no FROM devices WHERE operator_id = $1 AND deleted_ms IS NULL"
            f" AND device_no IN ({places})",
            operator_id,
            *part,
        )
        own.update(row[0] for row in rows)
    return own


def append_proposals(tx: Tx, proposals: Sequence[Proposal]) -> None:
    """Append new proposals; of a matter that is proposed already nothing is changed."""
    tx.insert_many(
        f"INSERT INTO agent_proposals ({_COLUMNS})",
        [_to_row(proposal) for proposal in proposals],
        "ON CONFLICT DO NOTHING",
    )


def refresh_proposal(tx: Tx, proposal_id: str, draft: Draft, now_ms: int) -> None:
    """Save what a live proposal is based on now."""
    tx.execute(
        "UPDATE agent_proposals SET title = $1, body = $2, score = $3, evidence = $4, seen_ms = $5"
        " WHERE proposal_id = $6 AND status = 'proposed'",
        draft.title,
        draft.text,
        draft.score,
        _encode(draft.evidence).decode(),
        now_ms,
        proposal_id,
    )


def judge_proposal(tx: Tx, proposal: Proposal) -> None:
    """Save status, verdict and note of a proposal."""
    tx.execute(
        "UPDATE agent_proposals SET status = $1, judged_ms = $2, judged_by = $3, note = $4"
        " WHERE proposal_id = $5",
        proposal.status.value,
        proposal.judged_ms,
        proposal.judged_by,
        proposal.note,
        proposal.proposal_id,
    )


def find_proposal(tx: Tx, operator_id: str, agent: AgentName, proposal_id: str) -> Proposal | None:
    """Return an operator's proposal of an agent, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM agent_proposals"
        " WHERE proposal_id = $1 AND operator_id = $2 AND agent = $3",
        proposal_id,
        operator_id,
        agent.value,
    )
    return None if row is None else _from_row(row)


def list_newest(tx: Tx, operator_id: str, agent: AgentName) -> dict[str, Proposal]:
    """Return an operator's newest proposal of each matter."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM agent_proposals WHERE proposal_no IN (SELECT MAX(proposal_no)"
        " FROM agent_proposals WHERE operator_id = $1 AND agent = $2 GROUP BY matter)",
        operator_id,
        agent.value,
    )
    return {row[3]: _from_row(row) for row in rows}


def list_proposals(
    tx: Tx, wanted: ProposalFilter, page: tuple[int, int]
) -> tuple[int, list[Proposal]]:
    """Return how many proposals match and a page (offset, size): newest first."""
    clauses, values = ["operator_id = $1", "agent = $2"], [wanted.operator_id, wanted.agent.value]
    given: list[tuple[str, Any]] = [
        ("status", None if wanted.status is None else wanted.status.value),
        ("device_no", wanted.device_no),
        ("site_id", wanted.site_id),
    ]
    for column, value in given:
        if value is not None:
            values.append(value)
            clauses.append(f"{column} = ${len(values)}")
    if wanted.withheld:
        others = without("device_no", wanted.withheld)
        clauses.append(f"(device_no IS NULL OR ({others}))")
    where = " AND ".join(clauses)
    total = tx.row(f"SELECT COUNT(*) FROM agent_proposals WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM agent_proposals WHERE {where} ORDER BY proposal_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        page[1],
        page[0],
    )
    return (total[0] if total else 0), [_from_row(row) for row in rows]


def count_outcomes(tx: Tx, operator_id: str) -> dict[AgentName, TrackRecord]:
    """Return what became of an operator's proposals, by agent.

    Right is what was accepted or confirmed, judged what was accepted, dismissed or confirmed.
    """
    rows = tx.rows(
        "SELECT agent, status, CASE WHEN confirmed_ms IS NULL THEN 0 ELSE 1 END AS confirmed,"
        " COUNT(*) FROM agent_proposals WHERE operator_id = $1 GROUP BY agent, status, confirmed",
        operator_id,
    )
    counts: dict[AgentName, dict[tuple[str, int], int]] = {name: {} for name in AgentName}
    for agent, status, confirmed, count in rows:
        counts[AgentName(agent)][status, confirmed] = count
    return {name: _to_record(found) for name, found in counts.items()}


def confirm_proposals(tx: Tx, now_ms: int) -> int:
    """Note which proposals an alert about the same device has proved right since.

    An alert of another operator, to whom the device went meanwhile, is none of theirs.
    """
    return tx.execute(
        "UPDATE agent_proposals SET confirmed_ms = (SELECT MIN(alerts.opened_ms) FROM alerts"
        " WHERE alerts.device_no = agent_proposals.device_no"
        " AND alerts.operator_id = agent_proposals.operator_id"
        " AND alerts.severity IN ('medium', 'high', 'critical')"
        " AND alerts.opened_ms > agent_proposals.created_ms"
        " AND alerts.opened_ms <= agent_proposals.created_ms + $1)"
        " WHERE confirmed_ms IS NULL AND device_no IS NOT NULL AND created_ms > $2 AND EXISTS"
        " (SELECT 1 FROM alerts WHERE alerts.device_no = agent_proposals.device_no"
        " AND alerts.operator_id = agent_proposals.operator_id"
        " AND alerts.severity IN ('medium', 'high', 'critical')"
        " AND alerts.opened_ms > agent_proposals.created_ms"
        " AND alerts.opened_ms <= agent_proposals.created_ms + $1)",
        CONFIRMED_WITHIN_MS,
        now_ms - 2 * CONFIRMED_WITHIN_MS,
    )


def list_resolved(tx: Tx, operator_id: str, from_ms: int) -> dict[tuple[int, str], int]:
    """Return by device and code when an alert of it was last resolved since ``from_ms``."""
    rows = tx.rows(
        "SELECT device_no, code, MAX(ended_ms) FROM alerts WHERE operator_id = $1"
        " AND status = 'resolved' AND ended_ms >= $2 AND device_no IS NOT NULL"
        " GROUP BY device_no, code",
        operator_id,
        from_ms,
    )
    return {(device_no, code): ended_ms for device_no, code, ended_ms in rows}


def list_faults(tx: Tx, device_nos: Iterable[int], from_ms: int) -> list[FaultFact]:
    """Return the fault events since ``from_ms`` of devices whose clock can be believed."""
    wanted = set(device_nos)
    rows = tx.rows(
        "SELECT device_no, connector_id, fault_key, time_ms FROM events WHERE time_ms >= $1"
        " AND event_type = 'fault' AND clock_suspect = 0 AND fault_key IS NOT NULL",
        from_ms,
    )
    return [FaultFact(*row) for row in rows if row[0] in wanted]


def replace_wear(tx: Tx, device_nos: Sequence[int], parts: Sequence[WornPart], now_ms: int) -> None:
    """Store which parts of these devices are nearly worn, in place of what was known."""
    for device_no in device_nos:
        tx.execute("DELETE FROM agent_wear WHERE device_no = $1", device_no)
    if parts:
        tx.insert_many(
            "INSERT INTO agent_wear"
            " (device_no, connector_id, component, days_left, body, looked_ms)",
            [(*part, now_ms) for part in parts],
        )


def list_wear(tx: Tx, operator_id: str) -> list[WornPart]:
    """Return the parts of an operator's devices that are nearly worn, as looked at for it."""
    rows = tx.rows(
        "SELECT w.device_no, w.connector_id, w.component, w.days_left, w.body FROM agent_wear AS w"
        " JOIN devices AS d ON d.device_no = w.device_no"
        " WHERE d.operator_id = $1 AND d.deleted_ms IS NULL AND w.looked_ms >= d.owned_since_ms"
        " ORDER BY w.device_no, w.connector_id, w.component",
        operator_id,
    )
    return [WornPart(*row) for row in rows]


def note_turn(tx: Tx, agent: AgentName, now_ms: int, looked_at: int, found: int) -> None:
    """Note that an agent has looked at so many devices, and how much it found."""
    tx.insert_many(
        "INSERT INTO agent_turns (agent, turned_ms, looked_at, found)",
        [(agent.value, now_ms, looked_at, found)],
        "ON CONFLICT (agent) DO UPDATE SET turned_ms = excluded.turned_ms,"
        " looked_at = excluded.looked_at, found = excluded.found",
    )


def list_turns(tx: Tx) -> dict[AgentName, int]:
    """Return when each agent last looked (ms)."""
    rows = tx.rows("SELECT agent, turned_ms FROM agent_turns")
    return {AgentName(agent): turned_ms for agent, turned_ms in rows}


def remove_of_device(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` proposals about a device, and what is known of its wear."""
    removed = tx.execute("DELETE FROM agent_wear WHERE device_no = $1", device_no)
    return removed + tx.execute(
        "DELETE FROM agent_proposals WHERE proposal_id IN (SELECT proposal_id"
        " FROM agent_proposals WHERE device_no = $1 ORDER BY proposal_no LIMIT $2)",
        device_no,
        limit,
    )


def remove_ended(tx: Tx, before_ms: int, limit: int) -> int:
    """Delete up to ``limit`` proposals that were judged or withdrawn and last seen before then."""
    return tx.execute(
        "DELETE FROM agent_proposals WHERE proposal_id IN (SELECT proposal_id"
        " FROM agent_proposals WHERE status <> 'proposed' AND seen_ms < $1"
        " AND (judged_ms IS NULL OR judged_ms < $1) ORDER BY proposal_no LIMIT $2)",
        before_ms,
        limit,
    )


def _to_record(found: dict[tuple[str, int], int]) -> TrackRecord:
    def count(status: ProposalStatus) -> int:
        return sum(n for (kind, _), n in found.items() if kind == status.value)

    confirmed = sum(n for (_, proved), n in found.items() if proved)
    accepted, dismissed = count(ProposalStatus.ACCEPTED), count(ProposalStatus.DISMISSED)
    both = found.get((ProposalStatus.ACCEPTED.value, 1), 0)
    wrongly = found.get((ProposalStatus.DISMISSED.value, 1), 0)
    return TrackRecord(
        proposed=sum(found.values()),
        accepted=accepted,
        dismissed=dismissed,
        withdrawn=count(ProposalStatus.WITHDRAWN),
        confirmed=confirmed,
        right=accepted + confirmed - both,
        judged=accepted + dismissed + confirmed - both - wrongly,
    )


def _to_row(proposal: Proposal) -> Row:
    draft = proposal.draft
    return (
        proposal.proposal_id,
        proposal.agent.value,
        draft.operator_id,
        draft.key,
        draft.site_id,
        draft.device_no,
        draft.connector_id,
        draft.title,
        draft.text,
        draft.score,
        _encode(draft.evidence).decode(),
        proposal.status.value,
        proposal.created_ms,
        proposal.seen_ms,
        proposal.judged_ms,
        proposal.judged_by,
        proposal.note,
        proposal.confirmed_ms,
    )


def _from_row(row: Row) -> Proposal:
    draft = Draft(
        key=row[3],
        operator_id=row[2],
        site_id=row[4],
        device_no=row[5],
        connector_id=row[6],
        title=row[7],
        text=row[8],
        score=row[9],
        evidence=msgspec.json.decode(row[10]),
    )
    return Proposal(
        proposal_id=row[0],
        agent=AgentName(row[1]),
        draft=draft,
        status=ProposalStatus(row[11]),
        created_ms=row[12],
        seen_ms=row[13],
        judged_ms=row[14],
        judged_by=row[15],
        note=row[16],
        confirmed_ms=row[17],
    )

"""Settles what was seen: conditions are kept, alerts are told, the inbox is emptied, all at once.

What may be part of something larger is not told at first: the upstream look decides.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from tellus.alerts.model import Cleared, Finding
from tellus.diagnostics import store_conditions, store_inbox
from tellus.diagnostics.findings import Findings, matter_of
from tellus.diagnostics.model import Condition, Gone, Item, Seen
from tellus.fleet.directory import Device, Directory
from tellus.storage.database import Database, Tx

HELD: Final = frozenset({"F-0301", "F-0302", "F-0701"})
"""Faults that may come from upstream of the charger."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Seen).decode


class Alerts(Protocol):
    """What takes findings in."""

    def take_in(
        self, tx: Tx, findings: Sequence[Finding], cleared: Sequence[Cleared], now_ms: int
    ) -> Any:
        """Open alerts of findings, or count them, and note what is no longer so."""
        ...


class Outcome(NamedTuple):
    """What became of an item: what was seen, what is gone, or when to look again."""

    item: Item | None
    seen: Sequence[Seen] = ()
    gone: Sequence[Gone] = ()
    again_ms: int | None = None


class Desk:
    """Where outcomes become conditions and alerts."""

    def __init__(
        self, database: Database, directory: Directory, findings: Findings, alerts: Alerts
    ) -> None:
        self._database = database
        self._directory = directory
        self.findings = findings
        self.alerts = alerts
        self.told = 0

    async def settle(self, outcomes: Sequence[Outcome], now_ms: int) -> None:
        """Write outcomes; those whose item was taken by another meanwhile count for nothing.

        Raises:
            ApiError: the store cannot take it now; the items wait.
        """
        if outcomes:
            self.told += await self._database.write(self._settle, outcomes, now_ms)

    def _settle(self, tx: Tx, outcomes: Sequence[Outcome], now_ms: int) -> int:
        tx.lock("diagnostics")
        told = 0
        for outcome in outcomes:
            item = outcome.item
            if item is not None:
                if outcome.again_ms is not None:
                    store_inbox.postpone(tx, item, outcome.again_ms)
                elif not store_inbox.take_off(tx, [item]):
                    continue
            cleared = [one for gone in outcome.gone for one in self.note_gone(tx, gone, now_ms)]
            findings = [one for seen in outcome.seen for one in self.note_seen(tx, seen, now_ms)]
            if findings or cleared:
                self.alerts.take_in(tx, findings, cleared, now_ms)
            told += len(findings)
        return told

    def note_seen(self, tx: Tx, seen: Seen, now_ms: int) -> list[Finding]:
        """Keep the condition of what was seen; return the finding if it is to be told now."""
        device = self._directory.by_no(seen.device_no)
        if device is None:
            return []
        matter = matter_of(seen.code, device.device_id, seen.connector_id)
        held = store_conditions.find_condition(tx, device.operator_id, matter)
        present = held if held is not None and held.is_present else None
        if present is not None and not seen.repeats and not _is_other(present, seen):
            return []
        waits = seen.code in HELD and (present is None or present.told_ms is None)
        condition = Condition(
            device.operator_id,
            matter,
            seen.code,
            seen.device_no,
            seen.connector_id,
            device.site_id,
            seen.found_by,
            present.since_ms if present else seen.at_ms,
            max(seen.at_ms, held.last_ms if held else seen.at_ms),
            now_ms,
            None if waits else now_ms,
            present.folded if present else None,
            None,
            _encode(seen).decode(),
        )
        store_conditions.upsert_condition(tx, condition)
        return [] if waits or condition.folded else [self.findings.make(seen, device)]

    def note_gone(self, tx: Tx, gone: Gone, now_ms: int) -> list[Cleared]:
        """End a condition, if it is one; return what alerts are to be told."""
        device = self._directory.by_no(gone.device_no)
        if device is None:
            return []
        matter = matter_of(gone.code, device.device_id, gone.connector_id)
        held = store_conditions.find_condition(tx, device.operator_id, matter)
        return self.end(tx, held, gone.at_ms, now_ms) if held is not None else []

    def end(self, tx: Tx, condition: Condition, at_ms: int, now_ms: int) -> list[Cleared]:
        """End a condition that is present; return what alerts are to be told."""
        if not condition.is_present:
            return []
        store_conditions.upsert_condition(tx, condition._replace(cleared_ms=now_ms))
        if condition.told_ms is None:
            return []
        return [Cleared(operator_id=condition.operator_id, key=condition.matter, at_ms=at_ms)]


def seen_of(condition: Condition) -> Seen:
    """Return what was last seen of a condition."""
    return _decode(condition.content)


def device_of(directory: Directory, condition: Condition) -> Device | None:
    """Return the device of a condition while it is its operator's, or None."""
    device = directory.by_no(condition.device_no)
    if device is None or device.operator_id != condition.operator_id:
        return None
    return device


def _is_other(condition: Condition, seen: Seen) -> bool:
    """Tell whether what is seen differs in its mark from what was seen before."""
    return seen_of(condition).evidence.get("mark") != seen.evidence.get("mark")

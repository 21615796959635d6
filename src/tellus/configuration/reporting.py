"""What chargers say they run: written where it changes, remembered where it does not.

A charger says it with every heartbeat, and almost always what it said before.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tellus.commands.model import Running
from tellus.configuration import store_devices
from tellus.kernel.vins import replace_vins
from tellus.storage.database import Tx

Told = Callable[[Tx, Sequence[int]], None]
"""Told in the transaction which devices (``device_no``) stand otherwise than before."""


class RunningSaid(NamedTuple):
    """What a device says it runs at ``now_ms``."""

    device_no: int
    running: Running
    now_ms: int


class ReportKind:
    """Writes what devices say they run, many at a time (see ``HotKind``).

    ``heard`` is what the store holds, by device, as far as this process knows.
    """

    name = "running_config"

    def __init__(self) -> None:
        self.heard: dict[int, Running] = {}
        self.in_tx: list[Told] = []

    def apply_many(self, tx: Tx, operations: Sequence[RunningSaid]) -> list[bool]:
        """Write the last word of each device; tells of each operation whether it is that now."""
        last: dict[int, RunningSaid] = {}
        for said in operations:
            known = last.get(said.device_no)
            if known is None or said.now_ms >= known.now_ms:
                last[said.device_no] = said
        stored = {device_no: _shown(said.running) for device_no, said in last.items()}
        changed = store_devices.upsert_reports(
            tx, [(no, *stored[no], said.now_ms) for no, said in last.items()]
        )
        if len(changed) < len(last):
            rest = sorted(last.keys() - set(changed))
            stored |= store_devices.read_reports(tx, rest)
        if changed:
            for tell in self.in_tx:
                tell(tx, changed)
        return [stored[said.device_no] == _shown(said.running) for said in operations]

    def after_commit(self, operations: Sequence[RunningSaid], outcomes: Sequence[bool]) -> None:
        """Remember what the store holds."""
        for said, holds in zip(operations, outcomes, strict=True):
            if holds:
                self.heard[said.device_no] = said.running
            else:
                self.heard.pop(said.device_no, None)


def _shown(running: Running) -> tuple[str, str]:
    """Return what is kept of it: free text of a charger may name a vehicle."""
    profile_id, config_hash = running
    return replace_vins(profile_id), replace_vins(config_hash)

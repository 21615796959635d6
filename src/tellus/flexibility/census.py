"""The census: who joins a control while it is under way, and who leaves its reach."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from tellus.consent.model import Service
from tellus.fleet.directory import Device, Directory
from tellus.flexibility import store_targets
from tellus.flexibility.live import Live
from tellus.flexibility.model import NO_CONNECTOR, Gone, Stage, Target
from tellus.flexibility.targeting import SLICE, Targeting
from tellus.storage.database import Database, Tx

_WRITTEN_AT_ONCE: Final = 100


class Census:
    """Compares who is reached with who was; in slices, and it writes only what changed."""

    def __init__(self, database: Database, directory: Directory, targeting: Targeting) -> None:
        self._database = database
        self._directory = directory
        self._targeting = targeting

    async def take(self, live: Live, now_ms: int) -> None:
        """Let a control follow its chargers: new ones and new connectors join, others leave."""
        reached = self._targeting.list_reached(live.control, now_ms)
        await self._note_gone(live, {device.device_no for device in reached}, now_ms)
        if live.is_cancelled or live.control.created_ms + live.control.duration_ms <= now_ms:
            return
        news = []
        for position, device in enumerate(reached):
            if position % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            if live.known.get(device.device_no) != len(device.connectors) or (
                device.device_no in live.unrated and self._is_rated(live, device)
            ):
                news.append(device)
        for start in range(0, len(news), _WRITTEN_AT_ONCE):
            await self._admit(live, news[start : start + _WRITTEN_AT_ONCE], now_ms)

    def _is_rated(self, live: Live, device: Device) -> bool:
        shares = self._targeting.share_out(device, live.control.limit_pct)
        return all(share.limit_kw is not None for share in shares)

    async def _admit(self, live: Live, devices: Sequence[Device], now_ms: int) -> None:
        wanted = [
            (
                device.device_no,
                self._targeting.list_targets(live.control, device, now_ms, 0, joined=True),
            )
            for device in devices
        ]
        control_no = live.control.control_no
        await self._database.write(_write_admitted, control_no, wanted, now_ms)
        for device_no, targets in wanted:
            live.forget(device_no)
            live.count(targets)
        live.note_due(now_ms)

    def _why_gone(self, live: Live, device_no: int, now_ms: int) -> Gone:
        device = self._directory.by_no(device_no)
        if device is None:
            return Gone.DELETED
        is_own = device.operator_id == live.control.operator_id
        return (
            Gone.NO_CONSENT
            if is_own and not device.allows(Service.FLEXIBILITY, now_ms)
            else Gone.MOVED
        )

    async def _note_gone(self, live: Live, reached: set[int], now_ms: int) -> None:
        gone: list[tuple[int, Gone]] = []
        for position, device_no in enumerate(tuple(live.known)):
            if position % (10 * SLICE) == 0:
                await asyncio.sleep(0)
            if device_no not in reached:
                gone.append((device_no, self._why_gone(live, device_no, now_ms)))
        for start in range(0, len(gone), _WRITTEN_AT_ONCE):
            part = gone[start : start + _WRITTEN_AT_ONCE]
            control_no = live.control.control_no
            await self._database.write(store_targets.note_gone, control_no, part, now_ms)
            for device_no, _ in part:
                live.forget(device_no)
            live.note_due(now_ms)


def _write_admitted(
    tx: Tx, control_no: int, wanted: Sequence[tuple[int, Sequence[Target]]], now_ms: int
) -> None:
    """Write the targets of chargers that joined, or have more connectors or a rating by now.

    A new connector may make less of the others' part of the unit: they are told again. What was
    known keeps its times, and is told only if its limit changed.
    """
    written: list[Target] = []
    for device_no, targets in wanted:
        known = {
            target.connector_id: target
            for target in store_targets.list_of_device(tx, control_no, device_no)
        }
        for target in targets:
            before = known.get(target.connector_id)
            if before is None:
                written.append(target)
            elif before.gone is not None or before.limit_kw != target.limit_kw:
                changes: dict[str, Any] = {"gone": None, "lifted": False, "stage": Stage.DUE}
                changes |= {"limit_kw": target.limit_kw, "due_ms": max(now_ms, before.begin_ms)}
                written.append(replace(before, **changes))
        if NO_CONNECTOR in known and any(target.connector_id > 0 for target in targets):
            store_targets.delete_target(tx, control_no, (device_no, NO_CONNECTOR))
    store_targets.put_targets(tx, written)

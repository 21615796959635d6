"""Takes what is due from the inbox, loads what it asks for, and lets the detectors judge it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from tellus.diagnostics import store_conditions, store_inbox
from tellus.diagnostics.desk import Desk, Outcome
from tellus.diagnostics.findings import NOT_ENGAGED, matter_of
from tellus.diagnostics.intake import UNNAMED
from tellus.diagnostics.model import (
    CONTACTOR_WEAR,
    FIRMWARE,
    STUCK_PREPARING,
    Condition,
    FaultTold,
    Gone,
    HeartbeatTold,
    Item,
    ItemKind,
    RecordTold,
    Seen,
    Verdict,
)
from tellus.diagnostics.observing import Observing
from tellus.diagnostics.rules_clearing import HEARTBEAT
from tellus.diagnostics.rules_f_0101 import f_0101
from tellus.diagnostics.rules_f_0203 import f_0203
from tellus.diagnostics.rules_f_0512 import f_0512
from tellus.diagnostics.rules_f_0601 import f_0601
from tellus.diagnostics.rules_f_0805 import GOES_ON, SAME_MS, f_0805
from tellus.diagnostics.rules_stuck import PREPARING, stuck_preparing
from tellus.diagnostics.rules_wear import contactor_wear
from tellus.diagnostics.thresholds import Thresholds
from tellus.fleet.directory import Device, Directory
from tellus.fleet.model import EventType, Origin
from tellus.kernel.errors import ApiError
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, to_ms, to_text
from tellus.storage.database import Database

CHARGER: Final = "charger"
UNKNOWN_MOST: Final = 20
"""How many codes that the dictionary does not know a device has conditions of, within 30 days.

What an event tells beyond that, and some that came at once, counts for one that has no code.
"""

_AT_ONCE: Final = 50
_ASIDE_MS: Final = 10 * MINUTE_MS
_UNHEARD_OF_MS: Final = 2 * SECOND_MS
_TOLD_WITHIN_MS: Final = 10 * MINUTE_MS
_BOOT_MS: Final = 2 * MINUTE_MS
_POWER_UP_MS: Final = 10 * MINUTE_MS
"""So long before and after a charger comes online it is coming up."""

_WHOLE_DEVICE: Final = frozenset({"F-0204", "F-0512", "F-0601"})
"""Faults of the cabinet, or of the configuration: each connector may tell, there is one matter."""

_LATE_MS: Final = HOUR_MS
_HISTORY_MS: Final = 7 * DAY_MS
_LOOK_AGAIN_MS: Final = 5 * MINUTE_MS
_PREPARES_MS: Final = HOUR_MS
"""For how long a vehicle that is plugged in is looked at again and again."""

log = structlog.get_logger(__name__)

_fault = msgspec.json.Decoder(FaultTold).decode
_heartbeat = msgspec.json.Decoder(HeartbeatTold).decode
_record = msgspec.json.Decoder(RecordTold).decode
_decode = msgspec.json.decode


class Detectors:
    """Looks at what is in the inbox; one node at a time does."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        desk: Desk,
        observing: Observing,
        thresholds: Thresholds,
    ) -> None:
        self._database = database
        self._directory = directory
        self._desk = desk
        self._observing = observing
        self._thresholds = thresholds
        self.looked = 0
        self._looks: dict[str, Callable[[Device, Item, int], Awaitable[Outcome]]] = {
            ItemKind.FAULT: self._look_at_fault,
            ItemKind.HEARTBEAT: self._look_at_heartbeat,
            ItemKind.RECORD: self._look_at_record,
            ItemKind.STOP: self._look_at_stop,
            ItemKind.FRAME: self._look_at_stop,
            ItemKind.HEAT: self._look_at_heat,
            ItemKind.FAN: self._look_at_fan,
            ItemKind.CONFIG: self._look_at_configuration,
            ItemKind.WEAR: self._look_at_wear,
            ItemKind.PREPARE: self._look_at_preparing,
        }

    async def take(self, now_ms: int) -> int:
        """Look at all that is due; return how many items that were.

        Raises:
            ApiError: the store cannot take it now; the rest waits.
        """
        taken = 0
        while True:
            items = await self._database.read(store_inbox.list_due, now_ms, _AT_ONCE)
            if not items:
                return taken
            # What chargers told themselves goes first: others look at whether they did.
            told = [item for item in items if item.kind == ItemKind.FAULT]
            for part in (told, [item for item in items if item.kind != ItemKind.FAULT]):
                await self._settle([await self._look_safely(item, now_ms) for item in part], now_ms)
            taken += len(items)
            self.looked += len(items)

    async def _settle(self, outcomes: Sequence[Outcome], now_ms: int) -> None:
        """Settle outcomes; if that fails one by one, so that one that cannot be holds up none."""
        try:
            await self._desk.settle(outcomes, now_ms)
        except ApiError:
            raise
        except Exception as error:
            if len(outcomes) > 1:
                for outcome in outcomes:
                    await self._settle([outcome], now_ms)
            elif outcomes[0].item is None:
                raise
            else:
                again = self._set_aside(outcomes[0].item, error, now_ms)
                await self._desk.settle([again], now_ms)

    async def _look_safely(self, item: Item, now_ms: int) -> Outcome:
        try:
            return await self._look(item, now_ms)
        except ApiError:
            raise
        except Exception as error:  # noqa: BLE001 - one item must not hold up the others
            return self._set_aside(item, error, now_ms)

    def _set_aside(self, item: Item, error: Exception, now_ms: int) -> Outcome:
        """Leave an item that cannot be judged for a while; it is tried again."""
        log.error("detection.set_aside", kind=item.kind, device_no=item.device_no, exc_info=error)
        return Outcome(item, again_ms=now_ms + _ASIDE_MS)

    async def _look(self, item: Item, now_ms: int) -> Outcome:
        device = self._directory.by_no(item.device_no)
        look = self._looks.get(item.kind)
        if device is None and await self._database.read(store_inbox.is_living, item.device_no):
            # Another node has just registered it.
            return Outcome(item, again_ms=now_ms + _UNHEARD_OF_MS)
        if device is None or look is None:
            return Outcome(item)
        return await look(device, item, now_ms)

    async def _look_at_fault(self, device: Device, item: Item, now_ms: int) -> Outcome:
        del now_ms
        told = _fault(item.content)
        if told.received_ms < device.owned_since_ms:
            return Outcome(item)
        code = told.code
        if not await self._has_room(device, code):
            code = UNNAMED
        place = place_of(item, code, told.time_ms, told.received_ms + (device.clock_offset_ms or 0))
        if place is None:
            return Outcome(item)
        if code == "F-0805" and await self._is_told(device, place, told.time_ms, CHARGER):
            return Outcome(item)
        found_by = CHARGER if told.origin == Origin.DEVICE else code.lower().replace("-", "_")
        seen = Seen(
            code=code,
            device_no=item.device_no,
            connector_id=place,
            found_by=found_by,
            at_ms=_lost_ms(told),
            note=await self._note(
                device, item, told, is_late=told.received_ms - told.time_ms > _LATE_MS
            ),
            evidence=told.details | {"received_ms": told.received_ms},
            repeats=True,
            at_power_up=code == NOT_ENGAGED and await self._is_power_up(device, item, told),
        )
        return Outcome(item, (seen,))

    async def _is_power_up(self, device: Device, item: Item, told: FaultTold) -> bool:
        """Tell whether a fault came as the charger came online, before anybody plugged in."""
        since_ms = device.online_since_ms
        if since_ms is None or not -_BOOT_MS <= told.received_ms - since_ms <= _POWER_UP_MS:
            return False
        turns = await self._observing.turns(device, item.connector_id)
        plugged_ms = turns.get(EventType.PLUG_IN, 0)
        return plugged_ms < since_ms - _BOOT_MS + (device.clock_offset_ms or 0)

    async def _note(self, device: Device, item: Item, told: FaultTold, *, is_late: bool) -> str:
        """Return what is to be said beside the dictionary's words."""
        said = []
        if told.message and told.origin == Origin.DEVICE:
            said.append(f"It said: {told.message}.")
        if is_late:
            at = to_text(told.time_ms)[:16]
            said.append(
                f"It was told late: it happened at {at}Z, at connector {item.connector_id}."
            )
        matter = f"{FIRMWARE}:{device.firmware_version}:{device.model}:{told.code}"
        find = store_conditions.find_condition
        blamed = await self._database.read(find, device.operator_id, matter)
        if blamed is not None and blamed.is_present:
            said.append(
                f"Firmware {device.firmware_version} is to blame for it on this model: see the"
                " alert of the firmware before the charger is opened."
            )
        return " ".join(said)

    async def _look_at_heartbeat(self, device: Device, item: Item, now_ms: int) -> Outcome:
        told = _heartbeat(item.content)
        if told.time_ms < device.owned_since_ms:
            return Outcome(item)
        code = self._observing.code_of(told.code)
        present = await self._database.read(store_conditions.list_of, device.device_no)
        over = [
            Gone(one.code, one.device_no, one.connector_id, told.time_ms)
            for one in present
            if one.found_by == HEARTBEAT and one.is_present and one.code != code
        ]
        known = any(
            one.code == code and (one.is_present or one.seen_ms > now_ms - _TOLD_WITHIN_MS)
            for one in present
        )
        if not code or known or not await self._has_room(device, code):
            return Outcome(item, gone=over)
        note = "Its heartbeats name it; no event told of it."
        evidence = {"heartbeat_status": told.status}
        verdict = Verdict(True, told.time_ms, note, evidence)
        return Outcome(item, [_seen(code, item, verdict, HEARTBEAT)], over)

    async def _look_at_record(self, device: Device, item: Item, now_ms: int) -> Outcome:
        del now_ms
        record = _record(item.content)
        if record.received_ms < device.owned_since_ms:
            return Outcome(item)
        known = await self._database.read(store_conditions.list_of, device.device_no)
        here = [one for one in known if one.connector_id in {0, item.connector_id}]
        told = [one.last_ms for one in here if (one.code, one.found_by) == ("F-0805", CHARGER)]
        faults = [one.last_ms for one in here if one.code not in GOES_ON]
        verdict = f_0805(record, max(told, default=None), faults)
        place = place_of(
            item, "F-0805", record.end_ms, record.received_ms + (device.clock_offset_ms or 0)
        )
        if not verdict.present or place is None:
            return Outcome(item)
        there = item._replace(connector_id=place)
        return Outcome(item, [_seen("F-0805", there, verdict, repeats=True)])

    async def _look_at_stop(self, device: Device, item: Item, now_ms: int) -> Outcome:
        stopped_ms = _decode(item.content) if item.kind == ItemKind.STOP else None
        observation = await self._observing.after_stop(
            device, item.connector_id, stopped_ms, now_ms
        )
        if observation is None:
            return Outcome(item)
        verdict = f_0101(observation, self._thresholds.of(device))
        return Outcome(item, [_seen("F-0101", item, verdict)] if verdict.present else ())

    async def _look_at_heat(self, device: Device, item: Item, now_ms: int) -> Outcome:
        del now_ms
        temperature_c, at_ms = _decode(item.content)
        if at_ms < device.owned_since_ms:
            return Outcome(item)
        heat = self._observing.heat(device, item.connector_id, temperature_c, at_ms)
        verdict = f_0203(heat, self._thresholds.of(device))
        return Outcome(item, [_seen("F-0203", item, verdict)] if verdict.present else ())

    async def _look_at_fan(self, device: Device, item: Item, now_ms: int) -> Outcome:
        minutes = await self._observing.fan_minutes(device.device_no, now_ms)
        verdict = f_0601(minutes, self._thresholds.of(device))
        return Outcome(item, [_seen("F-0601", item, verdict)] if verdict.present else ())

    async def _look_at_configuration(self, device: Device, item: Item, now_ms: int) -> Outcome:
        running = await self._observing.running(device.device_no)
        if running is None:
            return Outcome(item, gone=(Gone("F-0512", item.device_no, 0, now_ms),))
        verdict = f_0512(running, now_ms)
        if verdict.present:
            return Outcome(item, [_seen("F-0512", item, verdict)])
        if verdict.present is False:
            return Outcome(item, gone=(Gone("F-0512", item.device_no, 0, verdict.at_ms),))
        again_ms = running.settled_ms if running.settled_ms > now_ms else None
        return Outcome(item, again_ms=again_ms)

    async def _look_at_wear(self, device: Device, item: Item, now_ms: int) -> Outcome:
        parts = await self._observing.wear(device, item.connector_id, now_ms)
        verdict = contactor_wear(parts, now_ms)
        if not verdict.present:
            return Outcome(item)
        severity = "medium" if verdict.evidence["mark"].startswith("soon") else ""
        return Outcome(item, [_seen(CONTACTOR_WEAR, item, verdict, severity=severity)])

    async def _look_at_preparing(self, device: Device, item: Item, now_ms: int) -> Outcome:
        standing = await self._observing.standing(device, item.connector_id, now_ms)
        if standing is None or standing.detail_state != PREPARING:
            return Outcome(item)
        verdict = stuck_preparing(standing)
        if verdict.present:
            return Outcome(item, [_seen(STUCK_PREPARING, item, verdict)])
        # It may be authenticated yet.
        waits = now_ms + _LOOK_AGAIN_MS <= _decode(item.content) + _PREPARES_MS
        return Outcome(item, again_ms=now_ms + _LOOK_AGAIN_MS if waits else None)

    async def _has_room(self, device: Device, code: str) -> bool:
        """Tell whether a code is one of the dictionary, or one of the few others of a device.

        A charger that counts up its codes, or says the time in them, is not an alert for each.
        """
        if self._observing.is_known(code):
            return True
        found = await self._database.read(store_conditions.list_codes, device.device_no)
        others = {one for one in found if not self._observing.is_known(one)}
        return code in others or len(others) < UNKNOWN_MOST

    async def _condition(self, device: Device, code: str, connector_id: int) -> Condition | None:
        matter = matter_of(code, device.device_id, connector_id)
        find = store_conditions.find_condition
        return await self._database.read(find, device.operator_id, matter)

    async def _is_told(self, device: Device, connector_id: int, at_ms: int, by: str) -> bool:
        """Tell whether somebody other than ``by`` has told of this end of a session already."""
        held = await self._condition(device, "F-0805", connector_id)
        return held is not None and held.found_by != by and abs(held.last_ms - at_ms) <= SAME_MS


def place_of(item: Item, code: str, time_ms: int, told_ms: int) -> int | None:
    """Return the connector of a fault's condition by when it happened and when it was told (ms).

    Both are by the charger's clock. What is told late is one matter of the device (0): a charger
    that was away for a day has a tale to tell, not an alert per connector. After a week (None) it
    is history: it counts for firmware and repeats, and what still is so is told by heartbeats.
    """
    late_ms = told_ms - time_ms
    if late_ms > _HISTORY_MS:
        return None
    return 0 if late_ms > _LATE_MS or code in _WHOLE_DEVICE else item.connector_id


def _lost_ms(told: FaultTold) -> int:
    """Return when it began: of a lost heartbeat, when the device was last heard of."""
    details = told.details.get("details")
    since = details.get("offline_since") if isinstance(details, dict) else None
    if told.origin != Origin.PLATFORM or not isinstance(since, str):
        return told.time_ms
    return to_ms(datetime.fromisoformat(since))


def _seen(
    code: str,
    item: Item,
    verdict: Verdict,
    found_by: str = "",
    *,
    repeats: bool = False,
    severity: str = "",
) -> Seen:
    evidence: dict[str, Any] = dict(verdict.evidence)
    return Seen(
        code=code,
        device_no=item.device_no,
        connector_id=item.connector_id,
        found_by=found_by or code.lower().replace("-", "_"),
        at_ms=verdict.at_ms,
        note=verdict.note,
        evidence=evidence,
        repeats=repeats,
        severity=severity,
    )

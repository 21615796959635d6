"""Erasing a vehicle or a device on request.

A vehicle is erased by dropping its key: at once, everywhere. A device is deleted first, so that
nothing more comes of it; its own rows then go a little at a time, on the node on duty, once all
that it did is in the sums of its sites and operators, which stay: they name nobody. Each erasure
leaves a receipt and an entry in the audit log, neither of which tells a VIN.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.fleet import store_erasures, store_metadata, store_retention
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.model_erasures import DEVICE, VEHICLE, Erasure
from tellus.identity.vault import Vault
from tellus.kernel.clock import Clock
from tellus.kernel.errors import NotFound
from tellus.kernel.ids import new_id
from tellus.kernel.retention import Step, timed
from tellus.kernel.units import MINUTE_MS
from tellus.storage.database import Database, Tx
from tellus.storage.settling import Settling

LONGEST_WAIT_MS: Final = 10 * MINUTE_MS
"""How long an erasure waits at most for what the device did to be in the sums."""

_AT_ONCE: Final = 64
_LOOKED_AT_AT_ONCE: Final = 100
_REST: Final = 4
_SHORTEST_REST_S: Final = 0.005
_AFTER_FAILURE_MS: Final = MINUTE_MS

log = structlog.get_logger(__name__)

StillNeeded = Callable[[Tx, int, int], bool]
"""Tells whether something that a device said up to an instant (ms) is not in the sums yet."""

ForgetBeside = Callable[[str, str], Awaitable[dict[str, int]]]
"""Has texts forget a vehicle of an operator; returns how many rows of what were concerned."""


class Part(NamedTuple):
    """Rows of a device in one feature: what they are, and what drops up to a number of them."""

    name: str
    step: Callable[[int, int], Awaitable[Step]]


class ErasureService:
    """Use cases of erasing; ``turn`` is to be called every second on the node on duty."""

    def __init__(
        self, database: Database, vault: Vault, devices: DeviceAdministration, clock: Clock
    ) -> None:
        self._database = database
        self._devices = devices
        self._vault = vault
        self._clock = clock
        self._settling = Settling(database)
        self._scrub_is_due = False
        self._not_before_ms = 0
        self._parts: list[Part] = [
            self.part("events", store_retention.remove_events_of),
            self.part("metadata", store_metadata.remove_metadata),
        ]
        self.still_needed: StillNeeded | None = None
        """Set where energy is made of what devices say."""
        self.forget_beside: ForgetBeside | None = None
        """Set where other features hold texts: has them forget a vehicle before its key goes."""

    def add(self, *parts: Part) -> None:
        """Have rows of other features erased with a device, before the fleet's own."""
        self._parts = [*parts, *self._parts]

    def part(self, name: str, remove: Callable[[Tx, int, int], int]) -> Part:
        """Return the part whose rows ``remove`` deletes: of a device, up to a number of them."""

        async def step(device_no: int, limit: int) -> Step:
            removed, held_s = await self._database.write(timed(remove), device_no, limit)
            return Step(removed, held_s, removed > 0)

        return Part(name, step)

    # ---------------------------------------------------------------- asking

    async def erase_vehicle(self, operator_id: str, vin: str, by: Actor) -> Erasure:
        """Drop the key of a vehicle; what was sealed under it is unreadable from then on.

        Other nodes forget the key within a second or two. Where nothing is held of the vehicle the
        receipt says so.

        Raises:
            NotFound: there is no such operator.
        """
        beside = {} if self.forget_beside is None else await self.forget_beside(operator_id, vin)
        _, erasure = await self._settling.settle(
            lambda erased: self._vault.forget(*erased[0]),
            self._erase_vehicle, operator_id, vin, by, self._clock.now_ms(), beside,
        )  # fmt: skip
        if not await self._database.scrub():
            self._scrub_is_due = True
        return erasure

    def _erase_vehicle(
        self, tx: Tx, operator_id: str, vin: str, by: Actor, now_ms: int, beside: Mapping[str, int]
    ) -> tuple[tuple[str, ...], Erasure]:
        if not store_erasures.is_operator(tx, operator_id):
            raise NotFound
        subject_id = self._vault.erase(tx, operator_id, vin)
        erased = () if subject_id is None else (subject_id,)
        made = Erasure(
            new_id("era"), VEHICLE, operator_id, None, None, by.name, now_ms, now_ms,
            {"keys": len(erased), **beside},
        )  # fmt: skip
        store_erasures.append_erasure(tx, made)
        _record(tx, by.name, "vehicle.erased", made, by.request_id, now_ms)
        _certify(tx, made, by.request_id, now_ms)
        return erased, made

    async def erase_device(self, device_id: str, by: Actor) -> Erasure:
        """Have everything erased that a device has left; returns while that goes on.

        A device that is still there is deleted.

        Raises:
            NotFound: there never was such a device.
        """
        found = await self._database.read(store_erasures.find_device, device_id)
        if found is not None and found.deleted_ms is None:
            with contextlib.suppress(NotFound):  # somebody else has just deleted it
                await self._devices.delete_device(device_id, by, self._clock.now_ms())
        return await self._database.write(self._ask, device_id, by, self._clock.now_ms())

    def _ask(self, tx: Tx, device_id: str, by: Actor, now_ms: int) -> Erasure:
        device = store_erasures.find_device(tx, device_id)
        if device is None or device.deleted_ms is None:
            raise NotFound
        tx.lock(f"erasure:{device.device_no}")
        under_way = store_erasures.find_open_of(tx, device.device_no)
        if under_way is not None:
            return under_way
        made = Erasure(
            new_id("era"), DEVICE, device.operator_id, device.device_no, device_id, by.name,
            now_ms, None, {},
        )  # fmt: skip
        store_erasures.append_erasure(tx, made)
        _record(tx, by.name, "device.erasure_asked", made, by.request_id, now_ms)
        return made

    async def list_erasures(self, offset: int, limit: int) -> tuple[int, Sequence[Erasure]]:
        """Return how many erasures there were and a page of them, newest first."""
        return await self._database.read(store_erasures.list_erasures, offset, limit)

    async def get_erasure(self, erasure_id: str) -> Erasure:
        """Return an erasure.

        Raises:
            NotFound: there is no such one.
        """
        found = await self._database.read(store_erasures.find_erasure, erasure_id)
        if found is None:
            raise NotFound
        return found

    # ---------------------------------------------------------------- doing

    async def turn(self) -> None:
        """Go on with the oldest erasure that is not done; after a failure, a minute later."""
        if self._clock.now_ms() < self._not_before_ms:
            return
        try:
            await self._go_on()
        except Exception:
            self._not_before_ms = self._clock.now_ms() + _AFTER_FAILURE_MS
            raise

    async def _go_on(self) -> None:
        if self._scrub_is_due:
            self._scrub_is_due = not await self._database.scrub()
        found = await self._database.read(self._find_due, self._clock.now_ms())
        if found is None or found.device_no is None:
            return
        removed = dict(found.removed)
        for part in self._parts:
            dropped = await self._drop(part, found.device_no)
            removed[part.name] = removed.get(part.name, 0) + dropped
            found = found._replace(removed=removed)
            await self._database.write(store_erasures.update_erasure, found)
        await self._database.write(self._finish, found, self._clock.now_ms())
        if not await self._database.scrub():
            self._scrub_is_due = True

    def _find_due(self, tx: Tx, now_ms: int) -> Erasure | None:
        """Return the oldest erasure under way that need not wait."""
        for erasure in store_erasures.list_open(tx, _LOOKED_AT_AT_ONCE):
            if not self._waits(tx, erasure, now_ms):
                return erasure
        return None

    def _waits(self, tx: Tx, erasure: Erasure, now_ms: int) -> bool:
        if self.still_needed is None or now_ms - erasure.asked_ms >= LONGEST_WAIT_MS:
            return False
        return erasure.device_no is not None and self.still_needed(
            tx, erasure.device_no, erasure.asked_ms
        )

    async def _drop(self, part: Part, device_no: int) -> int:
        dropped, more = 0, True
        while more:
            step = await part.step(device_no, _AT_ONCE)
            dropped, more = dropped + step.rows, step.more
            await asyncio.sleep(max(_SHORTEST_REST_S, step.held_s * _REST))
        return dropped

    @staticmethod
    def _finish(tx: Tx, erasure: Erasure, now_ms: int) -> None:
        if erasure.device_no is not None:
            store_retention.blank_device(tx, erasure.device_no)
        done = erasure._replace(done_ms=now_ms)
        store_erasures.update_erasure(tx, done)
        _record(tx, erasure.asked_by, "device.erased", done, None, now_ms)
        _certify(tx, done, None, now_ms)


def _record(
    tx: Tx, actor: str, action: str, erasure: Erasure, request_id: str | None, now_ms: int
) -> None:
    """Tell the audit log, by the identifiers of the erasure and of a device, never of a vehicle."""
    record(
        tx, actor, action, "erasure", erasure.erasure_id, erasure.operator_id, request_id, now_ms,
        device_id=erasure.device_id, removed=dict(erasure.removed),
    )  # fmt: skip


def _certify(tx: Tx, erasure: Erasure, request_id: str | None, now_ms: int) -> None:
    """Put the certificate of a finished erasure into the audit log, which nobody can change."""
    record(
        tx, erasure.asked_by, "erasure.completed", "erasure", erasure.erasure_id,
        erasure.operator_id, request_id, now_ms,
        kind=erasure.kind, removed=dict(erasure.removed), digest=erasure.digest,
    )  # fmt: skip

"""Use cases of the vehicles that may give energy back: each operator keeps a list."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands import repeats
from tellus.commands.model import RequestKey
from tellus.diagnostics import rules_vehicles, store_vehicles
from tellus.diagnostics.model_vehicles import VEHICLES_MOST, Eligibility, Vehicle
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import new_id
from tellus.kernel.versions import parse_version
from tellus.kernel.vins import replace_vins
from tellus.storage.database import Database, Tx


class VehicleListed(Conflict):
    """4001: the operator has listed this make and model already."""

    def __init__(self, vehicle_id: str) -> None:
        super().__init__("This make and model is on the list already", vehicle_id=vehicle_id)


class VehicleEntry(NamedTuple):
    """What an operator says of a kind of vehicle; None where it says nothing."""

    make: str
    model: str
    min_firmware: str | None
    note: str | None


class VehicleList:
    """The lists of all operators; an operator sees its own and nothing else exists for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def judge(
        self, tx: Tx, operator_id: str, make: str, model: str, firmware: str | None
    ) -> Eligibility:
        """Return what an operator's list says of a vehicle with that firmware, None for unknown.

        Case and width of blanks in make and model do not matter.
        """
        keys = (rules_vehicles.key_of(make), rules_vehicles.key_of(model))
        entry = store_vehicles.find_by_keys(tx, operator_id, *keys)
        return rules_vehicles.judge_vehicle(entry, firmware)

    async def judge_vehicle(
        self, operator_id: str, make: str, model: str, firmware: str | None
    ) -> Eligibility:
        """Return what an operator's list says of a vehicle, as ``judge`` does."""
        return await self._database.read(self.judge, operator_id, make, model, firmware)

    async def list_vehicles(
        self, operator_id: str, make: str | None, offset: int, size: int
    ) -> tuple[int, list[Vehicle]]:
        """Return how many vehicles are listed, of a make or of all, and a page, by their names."""
        key = None if make is None else rules_vehicles.key_of(make)
        return await self._database.read(
            store_vehicles.list_vehicles, operator_id, key, offset, size
        )

    async def add_vehicle(
        self,
        operator_id: str,
        entry: VehicleEntry,
        by: Actor,
        now_ms: int,
        key: RequestKey | None = None,
    ) -> Vehicle:
        """List a vehicle; the same ``key`` again returns the first entry.

        Raises:
            InvalidParameter: a name is blank, or the firmware is no version.
            VehicleListed: it is listed already.
            Conflict: the list is full.
            KeyReused: the key stands for another request.
        """
        made = Vehicle(
            vehicle_id=new_id("veh"),
            operator_id=operator_id,
            make=entry.make,
            model=entry.model,
            min_firmware=entry.min_firmware,
            note=replace_vins(entry.note),
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        return await self._database.write(_add, made, _check(entry), by, key)

    async def set_vehicle(
        self, vehicle_id: str, operator_id: str, entry: VehicleEntry, by: Actor, now_ms: int
    ) -> Vehicle:
        """Write an entry anew.

        Raises:
            NotFound: it is absent or another operator's.
            InvalidParameter: a name is blank, or the firmware is no version.
            VehicleListed: another entry is for this make and model.
        """
        whose = (vehicle_id, operator_id)
        return await self._database.write(_set, whose, entry, _check(entry), by, now_ms)

    async def remove_vehicle(
        self, vehicle_id: str, operator_id: str, by: Actor, now_ms: int
    ) -> None:
        """Take a vehicle off the list.

        Raises:
            NotFound: it is absent or another operator's.
        """
        await self._database.write(_remove, vehicle_id, operator_id, by, now_ms)


def _check(entry: VehicleEntry) -> tuple[str, str]:
    """Return what make and model are compared by."""
    if entry.min_firmware is not None and parse_version(entry.min_firmware) is None:
        message = "Parameter 'min_firmware' is no version such as 3.1.0 or 260420.0107"
        raise InvalidParameter(message, "min_firmware", entry.min_firmware)
    for name, value in (("make", entry.make), ("model", entry.model)):
        if not rules_vehicles.key_of(value):
            raise InvalidParameter(f"Parameter '{name}' is blank", name, value)
    return rules_vehicles.key_of(entry.make), rules_vehicles.key_of(entry.model)


def _add(
    tx: Tx, made: Vehicle, keys: tuple[str, str], by: Actor, key: RequestKey | None
) -> Vehicle:
    tx.lock(f"v2g_vehicles:{made.operator_id}")
    known = None if key is None else repeats.recall(tx, key, made.created_ms)
    if known is not None:
        return _find(tx, known, made.operator_id)
    _check_free(tx, made, keys)
    total, _ = store_vehicles.list_vehicles(tx, made.operator_id, None, 0, 1)
    if total >= VEHICLES_MOST:
        message = f"{VEHICLES_MOST} vehicles are allowed"
        raise Conflict(message, vehicles=VEHICLES_MOST)
    store_vehicles.append_vehicle(tx, made, keys)
    if key is not None:
        repeats.remember(tx, key, made.vehicle_id, made.created_ms)
    _record(tx, by, "created", made)
    return made


def _set(
    tx: Tx,
    whose: tuple[str, str],
    entry: VehicleEntry,
    keys: tuple[str, str],
    by: Actor,
    now_ms: int,
) -> Vehicle:
    tx.lock(f"v2g_vehicles:{whose[1]}")
    before = _find(tx, *whose)
    made = replace(
        before,
        make=entry.make,
        model=entry.model,
        min_firmware=entry.min_firmware,
        note=replace_vins(entry.note),
        updated_ms=now_ms,
    )
    _check_free(tx, made, keys)
    store_vehicles.update_vehicle(tx, made, keys)
    _record(tx, by, "changed", made)
    return made


def _remove(tx: Tx, vehicle_id: str, operator_id: str, by: Actor, now_ms: int) -> None:
    tx.lock(f"v2g_vehicles:{operator_id}")
    before = _find(tx, vehicle_id, operator_id)
    store_vehicles.remove_vehicle(tx, vehicle_id)
    _record(tx, by, "deleted", replace(before, updated_ms=now_ms))


def _find(tx: Tx, vehicle_id: str, operator_id: str) -> Vehicle:
    found = store_vehicles.find_vehicle(tx, vehicle_id, operator_id)
    if found is None:
        raise NotFound
    return found


def _check_free(tx: Tx, made: Vehicle, keys: tuple[str, str]) -> None:
    holder = store_vehicles.find_by_keys(tx, made.operator_id, *keys)
    if holder is not None and holder.vehicle_id != made.vehicle_id:
        raise VehicleListed(holder.vehicle_id)


def _record(tx: Tx, by: Actor, verb: str, vehicle: Vehicle) -> None:
    record(
        tx,
        by.name,
        f"v2g_vehicle.{verb}",
        "config",
        vehicle.vehicle_id,
        vehicle.operator_id,
        by.request_id,
        vehicle.updated_ms,
        make=vehicle.make,
        model=vehicle.model,
        min_firmware=vehicle.min_firmware,
    )


def request_key(client_id: str, text: str, *content: Any) -> RequestKey | None:
    """Return the key of a request with that content, None where the client gave no text."""
    return repeats.make_key(client_id, text, *content)

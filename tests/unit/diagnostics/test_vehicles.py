"""The list of vehicles that may give energy back: what it says of a vehicle and its firmware."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tellus.audit.model import Actor
from tellus.diagnostics.model_vehicles import Verdict
from tellus.diagnostics.vehicles import VehicleEntry, VehicleList, VehicleListed
from tellus.kernel.clock import SystemClock
from tellus.kernel.errors import InvalidParameter, NotFound
from tests.databases import open_database

T = TypeVar("T")
Run = Callable[[Callable[[VehicleList], Awaitable[T]]], T]

OPERATOR = "op_1"
BY = Actor("cl_1", "req_1")


def entry(
    make: str = "Stellantis",
    model: str = "DrossOne",
    min_firmware: str | None = None,
    note: str | None = None,
) -> VehicleEntry:
    """What an operator says of a vehicle."""
    return VehicleEntry(make, model, min_firmware, note)


@pytest.fixture
def run_list(tmp_path: Path, database_kind: str) -> Run[None]:
    """Run a coroutine function over the lists of a fresh store."""

    def run(test: Callable[[VehicleList], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_database(tmp_path / "tellus.db", SystemClock()) as database:
                await asyncio.wait_for(test(VehicleList(database)), 30)

        assert database_kind
        asyncio.run(whole())

    return run


_JUDGED = [
    ("STELLANTIS", " drossone ", "2.4.0", Verdict.LISTED),
    ("Stellantis", "DrossOne", "2.10.0", Verdict.LISTED),
    ("Stellantis", "DrossOne", "2.3.9", Verdict.FIRMWARE_TOO_OLD),
    ("Stellantis", "DrossOne", "2.4.0-rc.1", Verdict.FIRMWARE_TOO_OLD),
    ("Stellantis", "DrossOne", None, Verdict.FIRMWARE_UNKNOWN),
    ("Stellantis", "DrossOne", "260420.0107", Verdict.FIRMWARE_UNKNOWN),
    ("Stellantis", "DrossOne", "newest", Verdict.FIRMWARE_UNKNOWN),
    ("Nissan", "Leaf", None, Verdict.LISTED),
    ("nissan", "LEAF  e+", None, Verdict.LISTED),
    ("Nissan", "Ariya", "9.9.9", Verdict.NOT_LISTED),
]


def test_judge__of_a_vehicle__goes_by_make_model_and_its_firmware(run_list: Run[None]) -> None:
    """Case and blanks do not matter; what cannot be compared with the gate is unknown."""

    async def check(vehicles: VehicleList) -> None:
        await vehicles.add_vehicle(OPERATOR, entry(min_firmware="2.4.0"), BY, 1)
        for leaf in ("Leaf", "Leaf e+"):
            await vehicles.add_vehicle(OPERATOR, entry("Nissan", leaf), BY, 1)
        for *asked, verdict in _JUDGED:
            told = await vehicles.judge_vehicle(OPERATOR, *asked)
            assert told.verdict is verdict, asked
            assert (told.entry is None) == (verdict is Verdict.NOT_LISTED)

    run_list(check)


def test_list__of_another_operator__says_nothing_and_does_not_exist(run_list: Run[None]) -> None:
    """Each operator's list is its own."""

    async def check(vehicles: VehicleList) -> None:
        made = await vehicles.add_vehicle(OPERATOR, entry(), BY, 1)
        told = await vehicles.judge_vehicle("op_2", "Stellantis", "DrossOne", None)
        assert told.verdict is Verdict.NOT_LISTED
        assert await vehicles.list_vehicles("op_2", None, 0, 10) == (0, [])
        with pytest.raises(NotFound):
            await vehicles.set_vehicle(made.vehicle_id, "op_2", entry(), BY, 2)
        with pytest.raises(NotFound):
            await vehicles.remove_vehicle(made.vehicle_id, "op_2", BY, 2)
        await vehicles.add_vehicle("op_2", entry(), BY, 3)

    run_list(check)


def test_list__same_vehicle_twice__is_refused(run_list: Run[None]) -> None:
    """One make and model has one entry, however they are written, by adding and by changing."""

    async def check(vehicles: VehicleList) -> None:
        first = await vehicles.add_vehicle(OPERATOR, entry(), BY, 1)
        with pytest.raises(VehicleListed) as refused:
            await vehicles.add_vehicle(OPERATOR, entry("stellantis", "DROSSONE"), BY, 2)
        assert refused.value.details == {"vehicle_id": first.vehicle_id}
        second = await vehicles.add_vehicle(OPERATOR, entry("Nissan", "Leaf"), BY, 3)
        with pytest.raises(VehicleListed):
            await vehicles.set_vehicle(second.vehicle_id, OPERATOR, entry(), BY, 4)
        changed = await vehicles.set_vehicle(
            first.vehicle_id, OPERATOR, entry("STELLANTIS", min_firmware="1.0.0"), BY, 5
        )
        assert (changed.make, changed.min_firmware, changed.created_ms) == (
            "STELLANTIS",
            "1.0.0",
            1,
        )
        total, found = await vehicles.list_vehicles(OPERATOR, "nissan", 0, 10)
        assert (total, [one.vehicle_id for one in found]) == (1, [second.vehicle_id])
        await vehicles.remove_vehicle(first.vehicle_id, OPERATOR, BY, 6)
        total, found = await vehicles.list_vehicles(OPERATOR, None, 0, 10)
        assert (total, [one.make for one in found]) == (1, ["Nissan"])

    run_list(check)


def test_list__no_version_or_no_name__is_refused(run_list: Run[None]) -> None:
    """A gate has to be a version, and a name more than blanks."""

    async def check(vehicles: VehicleList) -> None:
        for wrong, field in (
            (entry(min_firmware="newest"), "min_firmware"),
            (entry(make="  "), "make"),
            (entry(model=" "), "model"),
        ):
            with pytest.raises(InvalidParameter) as refused:
                await vehicles.add_vehicle(OPERATOR, wrong, BY, 1)
            assert refused.value.details["field"] == field

    run_list(check)

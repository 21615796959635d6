"""Plans that cannot be, and plans that are in the way of others."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.commands.schedules import ScheduleOverlaps
from tellus.kernel.errors import ApiError, InvalidParameter, MissingParameter
from tests.unit.commands.conftest import CommandBench
from tests.unit.commands.planning import NIGHT, NOON, Planner

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]

EVENING = {"start": "20:00", "end": "22:00", "action": "idle"}


@pytest.mark.parametrize(
    "body",
    [
        {"type": "weekly", "time_slots": [NIGHT | {"day_of_week": ["mon"]}]},
        {"effective_from": "2025-06-01T00:00:00Z"},
        {"effective_until": "2025-03-15T22:00:01Z"},
        {"type": "once"},
        {"time_slots": [EVENING], "timezone": "America/Nuuk"},
        {"time_slots": [EVENING], "timezone": "Atlantic/Azores"},
        {"time_slots": [NIGHT | {"start": "08:00", "end": "22:00"}], "timezone": "Europe/London"},
    ],
)
def test_set__beside_a_nightly_plan_it_meets__is_refused(
    run_bench: Run, body: dict[str, Any]
) -> None:
    """Whatever the recurrence, range and zone, and even if they meet in one season alone."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        await planner.put(NIGHT)
        sent: dict[str, Any] = {"schedule_id": "s2", "time_slots": [NIGHT]} | body
        with pytest.raises(ScheduleOverlaps):
            await planner.put(**sent)

    run_bench(check)


@pytest.mark.parametrize(
    "body",
    [
        {"effective_until": "2025-03-15T22:00:00Z"},
        {"type": "once", "effective_from": "2025-03-10T00:00:00Z"},
        {"time_slots": [NIGHT | {"start": "08:00", "end": "22:00"}]},
        {"time_slots": [EVENING], "timezone": "Asia/Tokyo"},
        {"time_slots": [NIGHT | {"start": "13:30", "end": "03:30"}], "timezone": "Asia/Kolkata"},
        {"time_slots": [EVENING], "timezone": "Europe/London"},
    ],
)
def test_set__beside_a_nightly_plan_it_never_meets__is_stored(
    run_bench: Run, body: dict[str, Any]
) -> None:
    """What only touches, is over, or lies elsewhere in real time is not in the way."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        await planner.put(NIGHT)
        sent: dict[str, Any] = {"schedule_id": "s2", "time_slots": [NIGHT]} | body
        await planner.put(**sent)
        assert len(await planner.list()) == 2

    run_bench(check)


REFUSED: list[tuple[dict[str, Any], type[ApiError], str]] = [
    ({"time_slots": [NIGHT | {"end": "22:00"}]}, InvalidParameter, "time_slots[0].end"),
    ({"type": "weekly"}, MissingParameter, "time_slots[0].day_of_week"),
    (
        {"type": "weekly", "time_slots": [NIGHT | {"day_of_week": []}]},
        MissingParameter,
        "time_slots[0].day_of_week",
    ),
    (
        {"time_slots": [NIGHT | {"day_of_week": ["mon"]}]},
        InvalidParameter,
        "time_slots[0].day_of_week",
    ),
    ({"time_slots": [NIGHT, NOON, NOON | {"start": "13:59"}]}, InvalidParameter, "time_slots"),
    ({"time_slots": [NIGHT, NOON | {"start": "07:59"}]}, InvalidParameter, "time_slots"),
    ({"time_slots": []}, InvalidParameter, "time_slots"),
    ({"time_slots": [NOON] * 49}, InvalidParameter, "time_slots"),
    ({"time_slots": [NIGHT | {"start": "24:00"}]}, InvalidParameter, "time_slots[0].start"),
    ({"time_slots": [NIGHT | {"start": "9:00"}]}, InvalidParameter, "time_slots[0].start"),
    ({"time_slots": [NIGHT | {"start": "09:00\n"}]}, InvalidParameter, "time_slots[0].start"),
    ({"time_slots": [NIGHT | {"start": "٠٩:00"}]}, InvalidParameter, "time_slots[0].start"),
    (
        {"time_slots": [NIGHT | {"power_limit": -0.1}]},
        InvalidParameter,
        "time_slots[0].power_limit",
    ),
    ({"time_slots": [NIGHT | {"action": "boost"}]}, InvalidParameter, "time_slots[0].action"),
    (
        {"time_slots": [{"start": "01:00", "end": "02:00"}]},
        MissingParameter,
        "time_slots[0].action",
    ),
    ({"type": "monthly"}, InvalidParameter, "type"),
    ({"schedule_id": ""}, InvalidParameter, "schedule_id"),
    ({"schedule_id": "s" * 65}, InvalidParameter, "schedule_id"),
    ({"schedule_id": "a\nb"}, InvalidParameter, "schedule_id"),
    ({"target_soc": 101}, InvalidParameter, "target_soc"),
    ({"target_soc": -1}, InvalidParameter, "target_soc"),
    ({"timezone": "Mars/Olympus"}, InvalidParameter, "timezone"),
    ({"timezone": "../UTC"}, InvalidParameter, "timezone"),
    ({"enabled": "yes"}, InvalidParameter, "enabled"),
    (
        {"effective_from": "2025-04-01T00:00:00Z", "effective_until": "2025-04-01T00:00:00Z"},
        InvalidParameter,
        "effective_until",
    ),
]


@pytest.mark.parametrize(("body", "error", "field"), REFUSED)
def test_set__plan_that_cannot_be__is_refused_by_the_name_of_what_is_wrong(
    run_bench: Run, body: dict[str, Any], error: type[ApiError], field: str
) -> None:
    """What is absent is 1002, what is wrong 1001; nothing is stored and nothing goes out."""

    async def check(bench: CommandBench) -> None:
        planner = Planner(bench)
        with pytest.raises(error) as caught:
            await planner.put(**({"time_slots": [NIGHT]} | body))
        assert caught.value.details["field"] == field
        assert await planner.list() == []
        assert await bench.rows("SELECT 1 FROM commands") == []

    run_bench(check)

"""What a control may not ask for: refused with its name, before anything has happened."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.flexibility.targeting import TooManyChargers
from tellus.kernel.errors import ApiError, InvalidParameter, MissingParameter, NotFound
from tests.unit.commands.conftest import OPERATOR
from tests.unit.flexibility.conftest import OTHER, SITE, ControlBench

Run = Callable[[Callable[[ControlBench], Awaitable[None]]], None]


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"target_ids": []}, MissingParameter, "target_ids"),
        ({"target_type": "operator", "target_ids": []}, MissingParameter, "target_ids"),
        ({"target_ids": ["site_9"]}, NotFound, None),
        ({"target_ids": [SITE, "site_2"]}, NotFound, None),
        ({"target_type": "operator", "target_ids": [OTHER]}, NotFound, None),
        ({"target_type": "operator", "target_ids": [OPERATOR, OTHER]}, NotFound, None),
        ({"target_type": "fleet"}, InvalidParameter, "target_type"),
        ({"command": "stop"}, InvalidParameter, "command"),
        ({"params": {"duration": 60}}, MissingParameter, "params.power_limit_percent"),
        ({"params": {"power_limit_percent": 50}}, MissingParameter, "params.duration"),
        (
            {"params": {"power_limit_percent": 101, "duration": 1}},
            InvalidParameter,
            "params.power_limit_percent",
        ),
        (
            {"params": {"power_limit_percent": 0.5, "duration": 1}},
            InvalidParameter,
            "params.power_limit_percent",
        ),
        (
            {"params": {"power_limit_percent": True, "duration": 1}},
            InvalidParameter,
            "params.power_limit_percent",
        ),
        (
            {"params": {"power_limit_percent": 50, "duration": 0}},
            InvalidParameter,
            "params.duration",
        ),
        (
            {"params": {"power_limit_percent": 50, "duration": 86_401}},
            InvalidParameter,
            "params.duration",
        ),
        (
            {"params": {"power_limit_percent": 50, "duration": 60, "stagger_seconds": 61}},
            InvalidParameter,
            "params.stagger_seconds",
        ),
        (
            {"params": {"power_limit_percent": 50, "duration": 60, "reason": 7}},
            InvalidParameter,
            "params.reason",
        ),
    ],
)
def test_control__what_is_wrong__is_named_and_has_no_effect(
    run_bench: Run, changes: dict[str, Any], error: type[ApiError], field: str | None
) -> None:
    """One unknown site refuses the whole call; what is malformed is named as it was written."""
    good = {
        "target_type": "site",
        "target_ids": [SITE],
        "command": "set_power_limit",
        "params": {"power_limit_percent": 50, "duration": 60},
    }

    async def test(bench: ControlBench) -> None:
        await bench.add_site("site_2", OTHER)
        bench.add_charger(1)
        with pytest.raises(error) as refused:
            await bench.post(good | changes)
        assert refused.value.details.get("field") == field
        await bench.flexibility.sweep()
        assert await bench.heartbeat() == []
        assert await bench.list_of() == []
        assert await bench.read_log() == []

    run_bench(test)


def test_control__of_more_chargers_than_allowed__is_refused(run_bench: Run) -> None:
    """The message names the setting; what is allowed exactly is done."""

    async def test(bench: ControlBench) -> None:
        for number in range(1, 1_001):
            bench.add_charger(number, connectors=1)
        await bench.control(50, 60)
        bench.add_charger(1_001, connectors=1)
        with pytest.raises(TooManyChargers, match=r"flexibility\.max_chargers is 1000") as refused:
            await bench.control(50, 60)
        assert refused.value.details == {"field": "target_ids", "value": 1_001}

    run_bench(test)

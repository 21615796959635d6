"""Records are judged, never refused; what says the same is the same."""

from typing import Any

import pytest

from tellus.kernel.vins import find_vin, mask_vin, replace_vins
from tellus.sessions import rules
from tellus.sessions.model import Content

NOW_MS = 1_742_031_000_000
VIN = "LVXFA394XJ1234567"


def make_content(**changes: Any) -> Content:
    """Return a plausible record."""
    values = {
        "record_id": "r",
        "connector_id": 1,
        "start_ms": NOW_MS - 3_600_000,
        "end_ms": NOW_MS - 1_800_000,
        "energy_kwh": 10.0,
        "max_power_kw": 22.0,
        "meter_start_kwh": 100.0,
        "meter_end_kwh": 110.0,
    }
    return Content(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ()),
        ({"energy_kwh": 10.1}, ()),
        ({"energy_kwh": 10.11}, ("energy_mismatch",)),
        ({"energy_kwh": 1.05, "meter_end_kwh": 101.0}, ()),
        ({"energy_kwh": 1.06, "meter_end_kwh": 101.0}, ("energy_mismatch",)),
        ({"energy_kwh": -5.0, "meter_end_kwh": 95.0}, ()),
        ({"energy_kwh": 500.0, "meter_end_kwh": None}, ()),
        ({"energy_kwh": 1e6, "meter_end_kwh": None}, ()),
        ({"energy_kwh": -1_000_000.1, "meter_end_kwh": None}, ("energy_implausible",)),
        (
            {"energy_kwh": 10.0, "meter_end_kwh": 1_000_101.0},
            ("energy_implausible", "energy_mismatch"),
        ),
        ({"end_ms": NOW_MS - 3_600_001}, ("negative_duration",)),
        ({"end_ms": NOW_MS + 300_000}, ()),
        ({"end_ms": NOW_MS + 300_001}, ("clock_suspect",)),
        (
            {"start_ms": NOW_MS + 900_000, "end_ms": NOW_MS, "energy_kwh": 1.0},
            ("clock_suspect", "energy_mismatch", "negative_duration"),
        ),
    ],
)
def test_flags_of__limits__are_exact(changes: dict[str, Any], flags: tuple[str, ...]) -> None:
    """Each flag begins right past its limit and not before."""
    assert rules.flags_of(make_content(**changes), NOW_MS) == flags


def test_open_content__same_words_in_another_spelling__is_equal() -> None:
    """Order of properties and ``5`` or ``5.0`` make no difference; another value does."""
    left = make_content(extras={"a": 1, "b": [2.0, {"c": 3}]})
    right = make_content(extras={"b": [2, {"c": 3.0}], "a": 1.0})
    assert rules.open_content(left) == rules.open_content(right)
    assert rules.open_content(left) != rules.open_content(make_content(extras={"a": 2}))
    assert rules.open_content(left) != rules.open_content(make_content(cost=0.0))


def test_open_content__vins__are_left_out() -> None:
    """No VIN is in the bytes that a fingerprint is made of, wherever it stood."""
    content = make_content(
        vin=VIN, extras={"note": f"car {VIN}", VIN: 1}, vehicle_extras={"other": VIN.lower()}
    )
    assert VIN.encode() not in rules.open_content(content).upper()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (VIN, VIN),
        (f"vin={VIN};", VIN),
        (f"id_{VIN.lower()}", VIN.lower()),
        (f"X{VIN}", None),
        ("LVXFA394XJ123456I", None),
        ("12345678901234567", None),
        ("ABCDEFGHJKLMNPRST", None),
    ],
)
def test_find_vin__shapes__are_those_of_iso_3779(text: str, found: str | None) -> None:
    """A VIN stands alone, has 17 characters without I, O and Q, letters and digits."""
    assert find_vin(text) == found


def test_mask_vin__vin__shows_maker_and_last_four() -> None:
    """A masked VIN can be compared by people and tells no more."""
    assert mask_vin(VIN) == "LVX**********4567"
    assert mask_vin("SHORT-VIN") == "*********"


def test_replace_vins__number_that_looks_like_one__is_left_alone() -> None:
    """Only texts and keys are touched."""
    assert replace_vins({"n": 2.2345678901234567e25, VIN: [VIN]}) == {
        "n": 2.2345678901234567e25,
        mask_vin(VIN): [mask_vin(VIN)],
    }

"""What is a vehicle's own of the time that it was at a connector."""

import pytest

from tellus.privacy.mentions import mask_of
from tellus.privacy.rules import hide_mask, hide_strangers, spans_without

VIN, OTHER = "WVWZZZ1JZXW000001", "WBAZZZ1JZXW009999"


@pytest.mark.parametrize(
    ("others", "left"),
    [
        ([], [(10, 20)]),
        ([(0, 10), (20, 30)], [(10, 20)]),
        ([(0, 12)], [(12, 20)]),
        ([(18, 30)], [(10, 18)]),
        ([(12, 14)], [(10, 12), (14, 20)]),
        ([(12, 14), (13, 16)], [(10, 12), (16, 20)]),
        ([(10, 20)], []),
        ([(0, 30)], []),
    ],
)
def test_spans_without__others__are_cut_out(
    others: list[tuple[int, int]], left: list[tuple[int, int]]
) -> None:
    """Time that two are said to have been there belongs to neither."""
    assert spans_without((10, 20), others) == left


def test_hide_strangers__two_numbers__leaves_the_subjects_own() -> None:
    """However it is spelled, and in keys."""
    told = {"a": [f"{VIN.lower()} and {OTHER}"], OTHER: VIN}
    assert hide_strangers(told, f" {VIN} ") == {
        "a": [f"{VIN.lower()} and {'*' * 17}"],
        "*" * 17: VIN,
    }


def test_hide_mask__however_it_is_spelled__becomes_stars() -> None:
    """Only that mask; a number of another shape is mentioned by nothing."""
    mask = mask_of(VIN)
    assert mask == "WVW**********0001"
    text = f"{mask} {mask.lower()} WBA**********0001"
    assert hide_mask(text, mask) == f"{'*' * 17} {'*' * 17} WBA**********0001"
    assert mask_of("SHORT1") is None
    assert mask_of(f"see {VIN}") is None

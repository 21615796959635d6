"""What lies upstream of chargers: one site's network, an area's grid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.diagnostics.model import SITE_NETWORK, Condition
from tellus.diagnostics.rules_upstream import (
    GRID_INTERVAL_MS,
    OUTAGE_INTERVAL_MS,
    Loss,
    Place,
    distance_km,
    find_together,
    grid,
    is_site_wide,
    site_network,
)
from tellus.diagnostics.upstream import Upstream
from tellus.fleet.directory import Device, Directory

NOW_MS = 1_790_000_000_000


def losses(*after_ms: int) -> list[Loss]:
    """One lost device each, so long after the first."""
    return [Loss(k, NOW_MS + one) for k, one in enumerate(after_ms)]


@pytest.mark.parametrize(
    ("lost", "devices", "wide"),
    [(1, 1, False), (2, 2, True), (2, 3, False), (3, 3, True), (3, 12, True), (3, 13, False),
     (4, 16, True), (0, 0, False)],
)  # fmt: skip
def test_is_site_wide__share__decides(lost: int, devices: int, *, wide: bool) -> None:
    """Three devices and a quarter of the site are the site, or both where there are two."""
    assert is_site_wide(lost, devices) is wide


def test_site_network__within_the_interval__are_one() -> None:
    """Devices lost within the interval are one outage; one lost just outside it is not of it."""
    edge = OUTAGE_INTERVAL_MS
    assert len(site_network(losses(0, 10, edge), 4, edge)) == 3
    assert site_network(losses(0, 10, edge + 1), 4, edge) == []
    assert site_network([Loss(1, NOW_MS), Loss(1, NOW_MS + 1), Loss(1, NOW_MS + 2)], 3, edge) == []


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 500_000)), max_size=30))
def test_find_together__any_losses__lie_within_the_interval_and_are_most(
    found: list[tuple[int, int]],
) -> None:
    """The set is within the interval, each device once, and no larger set begins at any loss."""
    every = [Loss(*one) for one in found]
    together = find_together(every, OUTAGE_INTERVAL_MS)
    assert len({loss.device_no for loss in together}) == len(together)
    if together:
        times = [loss.at_ms for loss in together]
        assert max(times) - min(times) <= OUTAGE_INTERVAL_MS
    for first in every:
        window = {
            loss.device_no for loss in every if 0 <= loss.at_ms - first.at_ms <= OUTAGE_INTERVAL_MS
        }
        assert len(window) <= len(together)


def unit(number: int, lat: float | None, lng: float | None, after_ms: int = 0) -> Place:
    """A V2G unit at a site of its own that lost sync."""
    return Place(number, NOW_MS + after_ms, f"site_{number}", lat, lng)


def test_grid__area_and_minutes__bound_a_group() -> None:
    """Units within 25 km and three minutes are one; farther or later ones are not of it."""
    berlin, potsdam, munich = (52.52, 13.40), (52.40, 13.20), (48.14, 11.58)
    near = [unit(1, *berlin), unit(2, *potsdam, 1_000)]
    assert distance_km(berlin, potsdam) < 25 < distance_km(berlin, munich)
    [group] = grid([*near, unit(3, *munich), unit(4, *berlin, GRID_INTERVAL_MS + 1)], 25.0)
    assert [place.device_no for place in group] == [1, 2]
    assert grid([near[0], unit(3, *munich)], 25.0) == []


def test_grid__no_coordinates__an_area_is_a_site() -> None:
    """Without coordinates only units of one site are near each other."""
    first, second = unit(1, None, None), unit(2, None, None)
    assert grid([first, second], 25.0) == []
    assert len(grid([first, second._replace(site_id=first.site_id)], 25.0)) == 1
    assert grid([first, first._replace(at_ms=NOW_MS + 5)], 25.0) == []


@pytest.mark.parametrize(
    ("first", "second", "km"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 1), 111.2),
        ((60, 0), (60, 1), 55.6),
        ((0, 179.9), (0, -179.9), 22.2),
    ],
)
def test_distance_km__known_distances__agree(
    first: tuple[float, float], second: tuple[float, float], km: float
) -> None:
    """A degree along the equator is 111 km; across the date line it is no farther."""
    assert distance_km(first, second) == pytest.approx(km, abs=0.1)


class Looked(Condition):
    """A condition that counts how often it is asked what it is part of."""

    looks = 0

    @property
    def folded(self) -> str | None:
        Looked.looks += 1
        return self[11]


def test_judge__outages_of_many_sites_go_on__each_device_is_looked_at_a_few_times() -> None:
    """Long outages of 200 sites cost looks by the number of devices, not of devices times sites."""
    directory, present = Directory(), []
    for number in range(1, 1_001):
        site_id = f"site_{number % 200}"
        directory.add(Device(number, f"dvc_{number}", f"sn_{number}", "op_1", site_id))
        matter, folded = f"F-0301:dvc_{number}:0", f"{SITE_NETWORK}:{site_id}"
        facts = ("op_1", matter, "F-0301", number, 0, site_id, "f_0301")
        present.append(Looked(*facts, 1, 1, NOW_MS, NOW_MS, folded, None, "{}"))
    for number in range(200):
        members = ", ".join(f'{{"device_id": "dvc_{k}"}}' for k in range(5))
        facts = ("op_1", f"{SITE_NETWORK}:site_{number}", SITE_NETWORK, 0, 0, f"site_{number}", "")
        content = f'{{"devices": [{members}]}}'
        present.append(Condition(*facts, 1, 1, NOW_MS, NOW_MS, None, None, content))
    Looked.looks = 0
    assert Upstream(directory, 20_000, 25.0).judge(present, {}, NOW_MS + 1) == []
    assert Looked.looks <= 10 * 1_000

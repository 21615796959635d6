"""A depot whose energy is asked for: what its chargers upload, and how the answer is read."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.api.tenancy import Charger, Tenant, record, sample
from tests.contract.client import Reply

PATH = "/v1/operator/aggregated/energy"
DAY = "2025-03-15"


def at(time: str, day: str = DAY) -> str:
    """A moment of the day, in UTC."""
    return f"{day}T{time}{':00' if time.count(':') == 1 else ''}Z"


def moment(text: str) -> datetime:
    """A moment as text, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def write(time: datetime) -> str:
    """A moment as chargers write it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def charge(start: str, end: str, energy_kwh: float, **changes: Any) -> dict[str, Any]:
    """A charging record whose meter began at 0."""
    meter = {"meter_start": 0.0, "meter_end": energy_kwh}
    body = record(start_time=start, end_time=end, energy=energy_kwh, max_power=150.0)
    return body | meter | changes


def reading(time: str, energy_kwh: float, state: str = "charging", **more: Any) -> dict[str, Any]:
    """A sample with this counter; its power is told by its state unless given."""
    power = {"charging": 10.0, "discharging": -10.0}.get(state, 0.0)
    values = {"state": state, "power": power, "energy_delivered": energy_kwh}
    return sample(timestamp=time, **(values | more))


def every(start: str, end: str, step_s: float) -> list[str]:
    """Moments from start to end, both included where the step fits."""
    first, last = moment(start), moment(end)
    count = int((last - first).total_seconds() / step_s)
    return [write(first + timedelta(seconds=step_s * k)) for k in range(count + 1)]


def send(charger: Charger, kind: str, items: Iterable[dict[str, Any]]) -> None:
    """Upload items in batches, each of which has to be taken."""
    held = list(items)
    for start in range(0, len(held), 500):
        reply = charger.send(f"{kind}/batch", {"items": held[start : start + 500]})
        assert {one["outcome"] for one in reply.data["items"]} <= {"stored", "duplicate"}


class Energies(NamedTuple):
    """An answer: its points by label (or label and group), its total and its groups."""

    points: dict[Any, dict[str, float]]
    total: dict[str, float]
    groups: list[dict[str, Any]]

    def column(self, name: str) -> list[float]:
        """One value of all points, in their order."""
        return [point[name] for point in self.points.values()]

    @property
    def charge(self) -> list[float]:
        """Energy in, by bucket."""
        return self.column("charge_energy")


def ask(tenant: Tenant, start: str, end: str, granularity: str = "hour", **more: Any) -> Energies:
    """Ask for energy, and check what holds for every answer."""
    asked = {"start_time": start, "end_time": end, "granularity": granularity} | more
    data = tenant.api.get(PATH, params=asked, expect=200).data
    assert data["granularity"] == granularity
    assert (moment(data["start_time"]), moment(data["end_time"])) == (moment(start), moment(end))
    name = f"{more['group_by']}_id" if "group_by" in more else None
    points = {
        point["time"] if name is None else (point["time"], point[name]): point
        for point in data["series"]
    }
    assert len(points) == len(data["series"])
    found = Energies(points, data["total"], data.get("groups", []))
    for side in ("charge_energy", "discharge_energy"):
        assert sum(found.column(side)) == pytest.approx(found.total[side], abs=1e-6)
    for point in points.values():
        assert point["max_power"] >= abs(point["avg_power"])
        assert min(point["charge_energy"], point["discharge_energy"]) >= 0
    if name is None:
        assert found.total["max_power"] == max(found.column("max_power"), default=0.0)
    return found


def near(*values: float) -> Any:
    """Values within the tolerance of the vectors."""
    return pytest.approx(list(values), abs=1e-6)


def refuse(tenant: Tenant, code: int, field: str, **changes: Any) -> Reply:
    """Ask with something wrong and check which field is blamed."""
    asked = {
        "start_time": at("09:00"), "end_time": at("12:00"), "granularity": "hour",
    } | changes  # fmt: skip
    params = {name: value for name, value in asked.items() if value is not None}
    status = {1001: 400, 1002: 400, 3001: 404}[code]
    reply = tenant.api.get(PATH, params=params, expect=status, code=code)
    assert reply.details["field"] == field
    return reply

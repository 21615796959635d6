"""What is known of each connector: uploads and answers sorted by device, connector and time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

Item = dict[str, Any]


class Violation(NamedTuple):
    """One broken invariant, by its number, and what was seen."""

    invariant: int
    text: str


@dataclass(frozen=True)
class DeviceFacts:
    """What a reviewer knows of a device from its type plate and its site."""

    kind: str
    rated_kw: float
    coldest_c: float = -20.0
    warmest_c: float = 40.0

    @property
    def rise_k(self) -> float:
        """Return the steady rise of a healthy contact at rated current."""
        return 30.0 if self.kind == "ac" else 40.0

    @property
    def tau_s(self) -> float:
        """Return the time constant of the contact."""
        return 1200.0 if self.kind == "ac" else 480.0


@dataclass
class Order:
    """What a remote order asked for, found again by its transaction id or its record's id."""

    duration_s: int | None = None
    target_soc: int | None = None
    charge_power_kw: float | None = None
    min_soc: int | None = None


class Cap(NamedTuple):
    """A power limit on a connector for a span of epoch seconds."""

    from_s: float
    until_s: float
    limit_kw: float


class SlotFacts(NamedTuple):
    """A slot of a plan by local time; ``weekdays`` None = every day, 0 = Monday."""

    start: str
    end: str
    action: str
    limit_kw: float | None = None
    weekdays: frozenset[int] | None = None


class PlanFacts(NamedTuple):
    """The plan that alone decides when a connector runs."""

    zone: str
    slots: tuple[SlotFacts, ...]


@dataclass
class Controls:
    """What was imposed on connectors, by ``device/connector``."""

    caps: dict[str, list[Cap]] = field(default_factory=dict)
    plans: dict[str, PlanFacts] = field(default_factory=dict)


@dataclass
class Evidence:
    """Everything known of one connector, in time order."""

    facts: DeviceFacts
    name: str
    samples: list[Item] = field(default_factory=list)
    events: list[Item] = field(default_factory=list)
    records: list[Item] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    caps: list[Cap] = field(default_factory=list)
    plan: PlanFacts | None = None

    def order_of(self, record: Item) -> Order | None:
        """Return what the session of a record was ordered to do."""
        found = self.orders.get(record.get("transaction_id", ""))
        return found or self.orders.get(record["record_id"])

    def within(self, start_s: float, end_s: float) -> list[Item]:
        """Return the samples from ``start_s`` up to and including ``end_s``."""
        return [one for one in self.samples if start_s <= seconds(one) <= end_s]


def parse_s(text: str) -> float:
    """Return a timestamp as epoch seconds; no zone means UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def seconds(item: Item) -> float:
    """Return the time of a sample or event."""
    return parse_s(item["timestamp"])


def gather(
    devices: dict[str, DeviceFacts],
    telemetry: list[Item],
    events: list[Item],
    records: list[Item],
    orders: dict[str, Order],
    controls: Controls,
) -> list[Evidence]:
    """Sort everything by device and connector, and by time within."""
    connectors: dict[tuple[str, int], Evidence] = {}

    def place(item: Item) -> Evidence:
        device = item.get("device") or item.get("device_id") or item["sn"]
        key = (device, item["connector_id"])
        if key not in connectors:
            name = f"{device}/{item['connector_id']}"
            connectors[key] = Evidence(
                devices[device],
                name,
                orders=orders,
                caps=controls.caps.get(name, []),
                plan=controls.plans.get(name),
            )
        return connectors[key]

    for item in telemetry:
        place(item).samples.append(item)
    for item in events:
        place(item).events.append(item)
    for item in records:
        place(item).records.append(item)
    for evidence in connectors.values():
        evidence.samples.sort(key=seconds)
        evidence.events.sort(key=seconds)
        evidence.records.sort(key=lambda one: parse_s(one["start_time"]))
    return list(connectors.values())

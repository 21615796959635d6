"""One vehicle of one operator, and when it charged where."""

from typing import Any, NamedTuple


class Subject(NamedTuple):
    """A vehicle of an operator: when it was first and last heard of (ms)."""

    subject_id: str
    operator_id: str
    created_ms: int
    seen_ms: int


class Charge(NamedTuple):
    """A span (ms) in which a vehicle was at a connector, by one of its charging records."""

    device_no: int
    device_id: str
    connector_id: int
    record_id: str
    start_ms: int
    end_ms: int


class Held(NamedTuple):
    """What is held of a subject: rows by table, its charges, and texts that mention it.

    ``mentions_left_out`` counts texts that may as well mention another vehicle.
    """

    subject: Subject
    rows: dict[str, list[dict[str, Any]]]
    charges: list[Charge]
    mentions: list[dict[str, Any]]
    mentions_left_out: int

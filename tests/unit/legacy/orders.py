"""Orders to test with."""

from typing import Any

from tellus.legacy.model import Order, OrderKind

BEGAN_MS = 1_000_000
"""When orders here are started."""


def order_of(**changes: Any) -> Order:
    """An order that has just been started, unless said otherwise."""
    facts: dict[str, Any] = {
        "vendor_order_id": "ord_1",
        "peer_id": "peer_1",
        "order_id": "order-1",
        "operator_id": "op_1",
        "device_no": 1,
        "device_id": "dvc_1",
        "connector_id": 1,
        "kind": OrderKind.CHARGE,
        "created_ms": BEGAN_MS,
        "changed_ms": BEGAN_MS,
        "command_id": "cmd_1",
    }
    return Order(**facts | changes)

"""Cursors that no list of ours has written."""

import base64
import json
from typing import Any

import pytest

from tests.api.tenancy import Charger

BEYOND = (2**63, -(2**63) - 1, 2**70)


def cursor(*position: Any) -> str:
    """A cursor in the spelling of ours."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("number", BEYOND)
def test_cursor__with_a_number_beyond_64_bits__is_1001(charger: Charger, number: int) -> None:
    """It is a bad parameter, and never an error of the platform."""
    device = charger.device_id
    for path, position in (
        ("/v1/operator/charging-records", (number, "rec", 1)),
        ("/v1/operator/charging-records", (1, "rec", number)),
        (f"/v1/operator/devices/{device}/telemetry", (number, 1)),
        (f"/v1/operator/devices/{device}/telemetry", (1, number)),
    ):
        query = {"cursor": cursor(*position)}
        reply = charger.operator.get(path, params=query, expect=400)
        assert (reply.code, reply.details["field"]) == (1001, "cursor")

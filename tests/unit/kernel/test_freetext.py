"""What people write is masked at the door, and every text of a request is known for what it is."""

from typing import Any

import msgspec
import pytest
from msgspec import inspect

from tellus.kernel.call import Audience, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.freetext import FREE_TEXTS, mask_body
from tellus.kernel.vins import mask_vin
from tellus.surfaces.tables import ROUTES

VIN = "WVWZZZ1JZXW000001"

# Identifiers, addresses, versions, instants and secrets: masking would make others of them. Two
# more name the vehicle on purpose, and are never stored.
_NO_TEXT = frozenset(
    {
        "ChangeTime", "ChargeBoxId", "ChargePointId", "CreateTime", "DeviceVendorOrderId",
        "LastQueryTime", "OrderId", "activation_date", "alert_id", "allowed_networks", "auth_id",
        "auth_scope", "auth_secret", "command_id", "config_profile_id", "consent_id",
        "cors_origins", "current_versions", "device_id", "device_ids", "end", "firmware",
        "firmware_version", "limits", "manufacturing_batch", "min_firmware", "model", "models",
        "operator_id", "platform_build", "push_url", "region", "rollback_version", "schedule_id",
        "sha256", "site_id", "site_ids", "sn", "start", "target_ids", "timezone", "to_region",
        "token_url", "transaction_id", "url", "vin",
    }
)  # fmt: skip


def _texts(kind: inspect.Type, name: str, seen: frozenset[type]) -> set[str]:
    """The names of the fields below ``kind`` that hold any text."""
    if isinstance(kind, inspect.StrType | inspect.AnyType):
        return {name} if name else set()
    inner: list[inspect.Type] = []
    if isinstance(kind, inspect.Metadata):
        inner = [kind.type]
    elif isinstance(kind, inspect.UnionType):
        inner = list(kind.types)
    elif isinstance(kind, inspect.ListType | inspect.SetType | inspect.VarTupleType):
        inner = [kind.item_type]
    elif isinstance(kind, inspect.DictType):
        inner = [kind.key_type, kind.value_type]
    elif isinstance(kind, inspect.StructType) and kind.cls not in seen:
        seen |= {kind.cls}
        return set().union(*(_texts(one.type, one.encode_name, seen) for one in kind.fields))
    return set().union(*(_texts(one, name, seen) for one in inner))


def test_requests__every_text_in_them__is_free_or_known_not_to_be() -> None:
    """A new field of an operator's or administrator's request has to say what it is."""
    found = {
        name
        for route in ROUTES
        if route.audience in (Audience.OPERATOR, Audience.ADMIN) and route.request is not Nothing
        for name in _texts(inspect.type_info(route.request), "", frozenset())
    }
    assert found - FREE_TEXTS - _NO_TEXT == set()
    assert {"note", "evidence", "customer", "answered_by"} <= found & FREE_TEXTS


@pytest.mark.parametrize("name", sorted(FREE_TEXTS))
def test_mask_body__vin_in_a_free_text__is_masked_however_it_is_written(name: str) -> None:
    """Plainly, escaped, and deep inside; keys of what is inside, too."""
    expected: Any = {name: f"seen {mask_vin(VIN)}", "more": [{name: {mask_vin(VIN): 1}}]}
    body = msgspec.json.encode({name: f"seen {VIN}", "more": [{name: {VIN: 1}}]})
    assert msgspec.json.decode(mask_body(body)) == expected
    escaped = body.replace(b"WVW", b"\\u0057V\\u0057")
    assert msgspec.json.decode(mask_body(escaped)) == expected


def test_mask_body__identifiers_and_secrets__stay_as_they_are() -> None:
    """A serial number may have the shape of a VIN; a body without one is not even copied."""
    body = msgspec.json.encode({"sn": VIN, "auth_secret": VIN, "device_ids": [VIN], "n": 1.0})
    assert mask_body(body) is body


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 5_000])
def test_mask_body__number_out_of_range_that_nobody_looked_at__is_refused(number: bytes) -> None:
    """What was passed over as unknown is the caller's fault, not the platform's."""
    with pytest.raises(InvalidParameter):
        mask_body(b'{"name": "a", "unknown": ' + number + b"}")

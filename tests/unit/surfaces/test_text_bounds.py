"""No text of a request is as long as a caller likes."""

from msgspec import inspect

from tellus.kernel.call import Nothing
from tellus.surfaces.tables import ROUTES

OF_THE_DOOR = {"issueOperatorToken", "issueDeviceToken", "issueAdminToken", "subscribeTelemetry"}
"""Operations that compare what they are told with what they know, and keep none of it."""


def is_open(kind: inspect.Type) -> bool:
    """Whether a type is, or holds beside other structs, a text without an end."""
    match kind:
        case inspect.StrType():
            return kind.max_length is None and kind.pattern is None
        case inspect.UnionType():
            return any(is_open(one) for one in kind.types)
        case inspect.Metadata():
            return is_open(kind.type)
        case inspect.CollectionType():
            return is_open(kind.item_type)
    return False


def open_fields(kind: object) -> list[str]:
    """The fields of a struct whose length nobody bounds."""
    described = inspect.type_info(kind)
    fields = described.fields if isinstance(described, inspect.StructType) else ()
    return [field.name for field in fields if is_open(field.type)]


def test_texts__of_every_query_and_body__have_a_longest_length() -> None:
    """A row that takes a text says how long it may be."""
    found = [
        f"{route.operation_id}: {name}"
        for route in ROUTES
        if route.operation_id not in OF_THE_DOOR
        for kind in (route.query, route.request)
        if kind is not Nothing
        for name in open_fields(kind)
    ]
    assert found == []
    assert any(open_fields(route.request) for route in ROUTES if route.operation_id in OF_THE_DOOR)

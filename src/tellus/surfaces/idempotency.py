"""The ``Idempotency-Key`` header: what makes a control call safe to repeat (rule C8)."""

from typing import Any, Final

from tellus.kernel.errors import InvalidParameter
from tellus.surfaces.routes import Answer, Route

HEADER: Final = "Idempotency-Key"
KEY_CHARACTERS: Final = 255

_NAME: Final = HEADER.lower().encode()
_PRINTABLE: Final = range(0x21, 0x7F)


def takes_key(route: Route) -> bool:
    """Tell whether calls of a route may carry a key: those that make something happen anew.

    The legacy paths have an order's identifier for that.
    """
    return route.is_control and route.method == "POST" and route.answer is not Answer.BARE


def read_key(route: Route, scope: dict[str, Any]) -> str:
    """Return the key of a request, empty where it has none or its route takes none.

    Raises:
        InvalidParameter: not 1 to 255 printable characters without blanks, or given twice.
    """
    if not takes_key(route):
        return ""
    found = [value for name, value in scope["headers"] if name == _NAME]
    if not found:
        return ""
    key: bytes = found[0]
    if len(found) > 1 or not 0 < len(key) <= KEY_CHARACTERS or not set(key).issubset(_PRINTABLE):
        # The value is not repeated: it may be a secret in the wrong place.
        message = f"{HEADER} must be 1 to {KEY_CHARACTERS} printable characters, given once"
        raise InvalidParameter(message, HEADER)
    return key.decode("ascii")

"""The contract as the tests hold it: published operations, the error table, look-up by path."""

import re
from functools import cache

from tests.contract.device_surface import DEVICE_OPERATIONS
from tests.contract.legacy_surface import LEGACY_OPERATIONS
from tests.contract.operator_surface import OPERATOR_OPERATIONS
from tests.contract.shapes import Operation

OPERATIONS: tuple[Operation, ...] = (
    *OPERATOR_OPERATIONS,
    *DEVICE_OPERATIONS,
    *LEGACY_OPERATIONS,
)

# Code to HTTP status, as published.
PUBLISHED_STATUS: dict[int, int] = {
    1001: 400,
    1002: 400,
    2001: 401,
    2002: 401,
    2003: 403,
    3001: 404,
    4001: 409,
    5001: 429,
    9001: 500,
}

# Statuses outside the published table, with the one code that goes with each.
EXTRA_STATUS: dict[int, int] = {
    405: 1001,
    408: 1001,
    413: 1001,
    414: 1001,
    415: 1001,
    426: 1001,
    431: 1001,
    503: 9001,
}

TOKEN_LIFETIME_S = 86_400
PAGE_DEFAULT = 1
SIZE_DEFAULT = 20

_ENROLMENT_PREFIX = re.compile(r"^/e/[^/]+(?=/v1/)")


def is_status_of_code(status: int, code: int) -> bool:
    """Whether an error code may stand in an answer of that HTTP status."""
    return PUBLISHED_STATUS.get(code) == status or EXTRA_STATUS.get(status) == code


def plain_path(target: str) -> str:
    """The path of a request target: without query and without a charger's enrolment prefix."""
    return _ENROLMENT_PREFIX.sub("", target.partition("?")[0])


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]+\})", template)
    return re.compile(
        "".join(f"(?P<{p[1:-1]}>[^/]+)" if p.startswith("{") else re.escape(p) for p in parts)
    )


def find_operation(method: str, target: str) -> Operation | None:
    """The published operation that a request is for, or none if it is not a published one."""
    path = plain_path(target)
    for operation in OPERATIONS:
        if operation.method == method and _pattern(operation.path).fullmatch(path):
            return operation
    return None


def path_values(operation: Operation, target: str) -> dict[str, str]:
    """The values that a request's path holds for the operation's path parameters."""
    found = _pattern(operation.path).fullmatch(plain_path(target))
    return found.groupdict() if found else {}

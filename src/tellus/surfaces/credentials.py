"""Who calls, as a request's head and path tell it."""

from typing import Any

from tellus.kernel.call import Principal
from tellus.kernel.errors import PermissionDenied, Unauthenticated
from tellus.surfaces import cors

ENROLMENT_PREFIX = "/e/"

Scope = dict[str, Any]


def read_authorization(scope: Scope) -> str:
    """Return the Authorization header, empty where there is none or more than one."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def bearer_of(authorization: str) -> str:
    """Return the token of a Bearer authorization (RFC 6750); raises Unauthenticated for others."""
    if authorization[:7].lower() != "bearer ":
        raise Unauthenticated
    return authorization[7:].strip()


def check_network(principal: Principal, address: str) -> None:
    """Refuse a client that calls from outside its networks.

    Raises:
        PermissionDenied: the address is in none of ``principal.allowed_networks``.
    """
    if not cors.is_in_networks(address, principal.allowed_networks):
        message = "This client may not call from this address"
        raise PermissionDenied(message)


def split_enrolment(path: str) -> tuple[str, str]:
    """Return the path without ``/e/<token>`` in front, and that token."""
    if not path.startswith(ENROLMENT_PREFIX):
        return path, ""
    token, slash, rest = path[len(ENROLMENT_PREFIX) :].partition("/")
    return (slash + rest, token) if rest.startswith("v1/device/") else (path, "")

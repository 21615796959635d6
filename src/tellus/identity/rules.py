"""What identity decides: which secret works, what becomes of others, which settings are sound."""

import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from msgspec.structs import replace

from tellus.identity.model import TOKEN_LIFE_S, ClientSecret, DeviceSecret
from tellus.kernel.errors import Conflict, InvalidParameter
from tellus.kernel.limits import CLIENT_CLASSES, LIMIT_LARGEST
from tellus.kernel.units import DAY_MS, SECOND_MS

LIVE_CLIENT_SECRETS = 2
_ORIGIN = re.compile(r"https?://([A-Za-z0-9.\-]{1,253}|\[[0-9a-fA-F:.]+\])(:\d{1,5})?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Secret(Protocol):
    """What every kind of secret has."""

    @property
    def verifier(self) -> bytes:
        """The keyed hash."""
        ...

    @property
    def retires_ms(self) -> int | None:
        """When it stops to work."""
        ...


S = TypeVar("S", bound=Secret)

_NO_SECRET = bytes(32)


class SwapUnderWay(Conflict):
    """Two secrets are live and in use: a third would cut off one of them."""


def is_live(secret: Secret, now_ms: int) -> bool:
    """Tell whether ``secret`` works at ``now_ms``."""
    return secret.retires_ms is None or now_ms < secret.retires_ms


def find_secret(secrets: Iterable[S], verifier: bytes, now_ms: int) -> S | None:
    """Return the live secret that ``verifier`` belongs to, or None.

    All are compared, in constant time each, and one more where there is none, so that an unknown
    id and a wrong secret take the same steps.
    """
    found: S | None = None
    hmac.compare_digest(_NO_SECRET, verifier)
    for secret in secrets:
        if hmac.compare_digest(secret.verifier, verifier) and is_live(secret, now_ms):
            found = secret
    return found


def is_overdue(secret: DeviceSecret, now_ms: int) -> bool:
    """Tell whether the advised life of ``secret`` is over."""
    return now_ms >= secret.expires_ms


def secrets_after_issue(
    secrets: Sequence[DeviceSecret], fresh: DeviceSecret, now_ms: int, *, replace_unused: bool
) -> tuple[DeviceSecret, ...]:
    """Return a device's secrets once ``fresh`` has been issued.

    What has been used goes on working: only the first use of the new one retires it, so a lost
    answer locks nobody out. What has never been used is replaced.
    """
    kept = [
        secret
        for secret in secrets
        if is_live(secret, now_ms) and not (replace_unused and secret.first_used_ms is None)
    ]
    return (*kept, fresh)


def secrets_after_use(
    secrets: Sequence[DeviceSecret], used_id: str, now_ms: int
) -> tuple[DeviceSecret, ...]:
    """Return a device's secrets once the one named ``used_id`` got a token at ``now_ms``.

    At the first use of a secret the older ones retire: a day later where they were in use, at once
    where they never were. An overdue secret is marked, so that it is told once.
    """
    used = next(secret for secret in secrets if secret.secret_id == used_id)
    if is_overdue(used, now_ms) and used.overdue_told_ms is None:
        used = replace(used, overdue_told_ms=now_ms)
    if used.first_used_ms is not None:
        return tuple(used if secret.secret_id == used_id else secret for secret in secrets)
    position = [secret.secret_id for secret in secrets].index(used_id)
    older = [
        replace(secret, retires_ms=_earlier(secret.retires_ms, now_ms + DAY_MS))
        for secret in secrets[:position]
        if secret.first_used_ms is not None and is_live(secret, now_ms)
    ]
    return (*older, replace(used, first_used_ms=now_ms), *secrets[position + 1 :])


def secrets_after_swap(
    secrets: Sequence[ClientSecret], fresh: ClientSecret, now_ms: int, overlap_s: int
) -> tuple[ClientSecret, ...]:
    """Return a client's secrets once ``fresh`` has been issued: at most two of them live.

    The one in use works for ``overlap_s`` longer. One that was never used (its answer may have been
    lost) gives way. A retired one stays known for as long as its tokens live.

    Raises:
        SwapUnderWay: two secrets are live and both in use.
    """
    live = [secret for secret in secrets if is_live(secret, now_ms)]
    if len(live) >= LIVE_CLIENT_SECRETS:
        unused = [secret for secret in live if secret.first_used_ms is None]
        if not unused:
            message = "Two secrets of this client are live and in use; revoke one of them first"
            raise SwapUnderWay(message)
        live.remove(unused[-1])
    retired = [
        secret
        for secret in secrets
        if secret.retires_ms is not None
        and secret.retires_ms <= now_ms < secret.retires_ms + TOKEN_LIFE_S * SECOND_MS
    ]
    retires_ms = now_ms + overlap_s * SECOND_MS
    return (*retired, *(replace(secret, retires_ms=retires_ms) for secret in live), fresh)


def next_ms(now_ms: int, created_ms: Iterable[int]) -> int:
    """Return a time of creation after all of ``created_ms``, so that order is never in doubt."""
    return max((now_ms, *(earlier + 1 for earlier in created_ms)))


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that ``texts`` (CIDR, or single addresses) name.

    Raises:
        InvalidParameter: one is no network, or has bits beyond its prefix.
    """
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            message = "Parameter 'allowed_networks' must list networks such as 192.0.2.0/24"
            raise InvalidParameter(message, "allowed_networks", text) from None
    return tuple(networks)


def admits(networks: Sequence[Network], address: str) -> bool:
    """Tell whether ``address`` is in one of ``networks``; an empty list admits every address."""
    if not networks:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


def check_origins(origins: Iterable[str]) -> None:
    """Check that each is a browser's origin: scheme, host and port, without a path.

    Raises:
        InvalidParameter: one is not.
    """
    for origin in origins:
        if _ORIGIN.fullmatch(origin) is None:
            message = "Parameter 'cors_origins' must list origins such as https://app.example.com"
            raise InvalidParameter(message, "cors_origins", origin)


def check_limits(limits: dict[str, int]) -> None:
    """Check that each overrides a class that clients have, with 1 to 1,000,000.

    Raises:
        InvalidParameter: one does not.
    """
    for limit_class, limit in limits.items():
        if limit_class not in CLIENT_CLASSES:
            message = f"Parameter 'limits' knows the classes {', '.join(sorted(CLIENT_CLASSES))}"
            raise InvalidParameter(message, "limits", limit_class)
        if not 1 <= limit <= LIMIT_LARGEST:
            message = f"Parameter 'limits' takes 1 to {LIMIT_LARGEST}"
            raise InvalidParameter(message, "limits", limit)


def _earlier(left_ms: int | None, right_ms: int) -> int:
    return right_ms if left_ms is None else min(left_ms, right_ms)

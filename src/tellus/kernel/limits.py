"""The figures of all rate limits, as data; windows over them are in ``windows``."""

import ipaddress
from types import MappingProxyType
from typing import NamedTuple

from tellus.kernel.call import Principal
from tellus.kernel.errors import TooManyRequests
from tellus.kernel.windows import RollingWindow, retry_after_s

MINUTE_S = 60.0
HOUR_S = 3_600.0
LIMIT_LARGEST = 1_000_000


class Rate(NamedTuple):
    """``limit`` acceptances in any ``period_s`` seconds."""

    limit: int
    period_s: float

    def window(self, scale: float = 1.0) -> RollingWindow:
        """Return an empty window of this rate, its limit multiplied by ``scale``."""
        return RollingWindow(scaled(self.limit, scale), self.period_s)


class Bucket(NamedTuple):
    """``rate_per_s`` a second in the long run, ``burst`` at once."""

    rate_per_s: float
    burst: float


# Per client: queries, control, batch_control, token. Per device: the device classes.
RATES = MappingProxyType(
    {
        "queries": Rate(60, MINUTE_S),
        "control": Rate(60, MINUTE_S),
        "batch_control": Rate(30, MINUTE_S),
        "token": Rate(10, MINUTE_S),
        "device_hot": Rate(10, 1.0),
        "device_other": Rate(60, MINUTE_S),
        "device_batch": Rate(2, 1.0),
    }
)
# Counted by each node alone: to count them together would cost more than they protect.
NODE_CLASSES = frozenset({"device_hot"})
CLIENT_CLASSES = frozenset({"queries", "control", "batch_control", "token"})

REGISTER_PER_SERIAL = Rate(5, HOUR_S)
FAILED_PER_ADDRESS_AND_ID = Rate(10, MINUTE_S)
FAILED_PER_ADDRESS = Rate(60, MINUTE_S)
UNAUTHENTICATED_PER_ADDRESS = Bucket(50.0, 500.0)
FILES_PER_CLIENT = 4
UPLOADS_PER_CLIENT = 8
UPLOADS_OF_CHARGERS = 64


def scaled(limit: int, scale: float) -> int:
    """Return ``limit`` times ``scale`` as a whole number of at least 1."""
    return max(1, round(limit * scale))


def window_of(principal: Principal, limit_class: str, scale: float = 1.0) -> RollingWindow:
    """Return the principal's window of a class, made at first use; its own limit goes first."""
    window: RollingWindow | None = principal.windows.get(limit_class)
    if window is None:
        rate = RATES[limit_class]
        limit = principal.limits.get(limit_class, rate.limit)
        window = Rate(limit, rate.period_s).window(scale)
        principal.windows[limit_class] = window
    return window


def apply_limits(principal: Principal, limits: dict[str, int], scale: float = 1.0) -> None:
    """Give ``principal`` other limits of its own; what its windows hold goes on counting."""
    principal.limits = limits
    for limit_class, window in principal.windows.items():
        limit = limits.get(limit_class, RATES[limit_class].limit)
        window.resize(scaled(limit, scale))


def window_key(principal: Principal, limit_class: str) -> str:
    """Return the name of the principal's window among those of all nodes."""
    return f"{limit_class}:{principal.principal_id}"


def refuse_after(wait_s: float) -> None:
    """Do nothing for 0.0.

    Raises:
        TooManyRequests: there are seconds to wait; says how many.
    """
    if wait_s > 0.0:
        raise TooManyRequests(retry_after_s(wait_s))


def network_of(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64)) + "/64"

"""Rate limits at the door: per principal and class, and per address before authentication.

The figures are in ``tellus.kernel.limits``. Failed authentications are counted by the identity
service, which alone knows what failed; registrations per serial number by the fleet.
"""

import ipaddress
from collections.abc import Iterable

from tellus.kernel.call import Principal
from tellus.kernel.errors import TooManyRequests
from tellus.kernel.limits import (
    NODE_CLASSES,
    UNAUTHENTICATED_PER_ADDRESS,
    network_of,
    refuse_after,
    window_key,
    window_of,
)
from tellus.kernel.windows import (
    KeyedWindows,
    SharedWindows,
    TokenBucket,
    retry_after_s,
    take_together,
)
from tellus.surfaces.guard.proxies import parse_address
from tellus.surfaces.routes import LimitClass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK = ("127.0.0.0/8", "::1/128")
_EXEMPT_REMEMBERED = 10_000
_ALONE = frozenset({LimitClass.NONE, *map(LimitClass, NODE_CLASSES)})


class Limiter:
    """Decides whether a call may go on; ``scale`` multiplies every limit.

    ``exempt`` lists networks (CIDR) of trusted proxies, which are not limited by address; neither
    is loopback. ``shared`` are the windows of all nodes together, where there are several.
    """

    def __init__(self, scale: float = 1.0, exempt: Iterable[str] = ()) -> None:
        self._scale = scale
        self.shared: SharedWindows | None = None
        self._exempt = [ipaddress.ip_network(text) for text in (*_LOOPBACK, *exempt)]
        self._exempt_by_address: dict[str, bool] = {}
        rate, burst = UNAUTHENTICATED_PER_ADDRESS
        self._unauthenticated = KeyedWindows(
            lambda: TokenBucket(rate * scale, max(1.0, burst * scale))
        )

    def check_principal(self, principal: Principal, limit_class: LimitClass, now_s: float) -> None:
        """Count one call of ``principal`` in its class, as far as this node is concerned.

        Raises:
            TooManyRequests: the class is full; says after how many seconds it is not.
        """
        window = principal.windows.get(limit_class)
        if window is None:
            if limit_class is LimitClass.NONE:
                return
            window = window_of(principal, limit_class.value, self._scale)
        refuse_after(window.take(now_s))

    def is_shared(self, limit_class: LimitClass) -> bool:
        """Tell whether calls of this class are counted by all nodes together."""
        return self.shared is not None and limit_class not in _ALONE

    async def check_together(
        self, principal: Principal, limit_class: LimitClass, now_s: float
    ) -> None:
        """Count one call of ``principal`` in its class, with all nodes.

        Raises:
            TooManyRequests: the class is full; says after how many seconds it is not.
        """
        window = window_of(principal, limit_class.value, self._scale)
        key = window_key(principal, limit_class.value)
        refuse_after(await take_together(self.shared, key, window, now_s))

    def check_unauthenticated(self, address: str, now_s: float) -> None:
        """Count one call without a valid token from ``address``.

        Raises:
            TooManyRequests: that address sends too many of them.
        """
        if self.is_exempt(address):
            return
        wait_s = self._unauthenticated.take(network_of(address), now_s)
        if wait_s > 0.0:
            raise TooManyRequests(retry_after_s(wait_s))

    def is_exempt(self, address: str) -> bool:
        """Tell whether ``address`` is loopback or a trusted proxy; what is no address is not."""
        known = self._exempt_by_address.get(address)
        if known is not None:
            return known
        parsed = parse_address(address)
        if parsed is None:
            return False
        exempt = any(parsed in network for network in self._exempt)
        if len(self._exempt_by_address) >= _EXEMPT_REMEMBERED:
            self._exempt_by_address.clear()
        self._exempt_by_address[address] = exempt
        return exempt

"""Rate limits at the door: per principal and class, and per address before authentication.

The figures are in ``tellus.kernel.limits``. Failed authentications are counted by the identity
service, which alone knows what failed; registrations per serial number by the fleet.
"""

import ipaddress
from collections.abc import Iterable

from tellus.kernel.call import Principal
from tellus.kernel.errors import TooManyRequests
from tellus.kernel.limits import UNAUTHENTICATED_PER_ADDRESS, network_of, window_of
from tellus.kernel.windows import KeyedWindows, TokenBucket, retry_after_s
from tellus.surfaces.guard.proxies import parse_address
from tellus.surfaces.routes import LimitClass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK = ("127.0.0.0/8", "::1/128")
_EXEMPT_REMEMBERED = 10_000


class Limiter:
    """Decides whether a call may go on; ``scale`` multiplies every limit.

    ``exempt`` lists networks (CIDR) of trusted proxies, which are not limited by address; neither
    is loopback.
    """

    def __init__(self, scale: float = 1.0, exempt: Iterable[str] = ()) -> None:
        self._scale = scale
        self._exempt = [ipaddress.ip_network(text) for text in (*_LOOPBACK, *exempt)]
        self._exempt_by_address: dict[str, bool] = {}
        rate, burst = UNAUTHENTICATED_PER_ADDRESS
        self._unauthenticated = KeyedWindows(
            lambda: TokenBucket(rate * scale, max(1.0, burst * scale))
        )

    def check_principal(self, principal: Principal, limit_class: LimitClass, now_s: float) -> None:
        """Count one call of ``principal`` in its class.

        Raises:
            TooManyRequests: the class is full; says after how many seconds it is not.
        """
        window = principal.windows.get(limit_class)
        if window is None:
            if limit_class is LimitClass.NONE:
                return
            window = window_of(principal, limit_class.value, self._scale)
        wait_s = window.take(now_s)
        if wait_s > 0.0:
            raise TooManyRequests(retry_after_s(wait_s))

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

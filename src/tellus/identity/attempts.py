"""Failed authentications: counted per address and id, and per address, successes never."""

from tellus.kernel.errors import TooManyRequests
from tellus.kernel.limits import FAILED_PER_ADDRESS, FAILED_PER_ADDRESS_AND_ID, network_of
from tellus.kernel.windows import KeyedWindows, RollingWindow, retry_after_s

_ID_CHARACTERS = 64


class FailedAttempts:
    """Two windows deep, so that guessing is slow and nobody can lock out a victim elsewhere."""

    def __init__(self, scale: float = 1.0) -> None:
        self._by_address: KeyedWindows[RollingWindow] = KeyedWindows(
            lambda: FAILED_PER_ADDRESS.window(scale)
        )
        self._by_id: KeyedWindows[RollingWindow] = KeyedWindows(
            lambda: FAILED_PER_ADDRESS_AND_ID.window(scale)
        )

    def check(self, address: str, principal_id: str, now_s: float) -> None:
        """Check that another attempt may be made; it counts only if it fails.

        Raises:
            TooManyRequests: too many have failed.
        """
        caller = network_of(address)
        wait_s = max(
            self._by_address.wait_s(caller, now_s),
            self._by_id.wait_s((caller, principal_id[:_ID_CHARACTERS]), now_s),
        )
        if wait_s > 0.0:
            raise TooManyRequests(
                retry_after_s(wait_s), "Too many failed authentications; try again later"
            )

    def count(self, address: str, principal_id: str, now_s: float) -> None:
        """Count an attempt that failed."""
        caller = network_of(address)
        self._by_address.take(caller, now_s)
        self._by_id.take((caller, principal_id[:_ID_CHARACTERS]), now_s)

"""Failed authentications: counted per address and id, and per address, successes never."""

from tellus.kernel.errors import TooManyRequests
from tellus.kernel.limits import FAILED_PER_ADDRESS, FAILED_PER_ADDRESS_AND_ID, network_of
from tellus.kernel.windows import (
    KeyedWindows,
    RollingWindow,
    SharedWindows,
    retry_after_s,
    take_together,
)

_ID_CHARACTERS = 64


class FailedAttempts:
    """Two windows deep, so that guessing is slow and nobody can lock out a victim elsewhere.

    ``shared`` are the windows of all nodes together, where there are several.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._by_address: KeyedWindows[RollingWindow] = KeyedWindows(
            lambda: FAILED_PER_ADDRESS.window(scale)
        )
        self._by_id: KeyedWindows[RollingWindow] = KeyedWindows(
            lambda: FAILED_PER_ADDRESS_AND_ID.window(scale)
        )
        self.shared: SharedWindows | None = None

    async def check(self, address: str, principal_id: str, now_s: float) -> None:
        """Check that another attempt may be made; it counts only if it fails.

        Raises:
            TooManyRequests: too many have failed.
        """
        caller, of_id = _keys(address, principal_id)
        _refuse_after(max(self._by_address.wait_s(caller, now_s), self._by_id.wait_s(of_id, now_s)))
        if self.shared is not None:
            waits_s = [
                await self.shared.wait_s(_name(key), window.limit, window.period_s)
                for key, window in (
                    (caller, self._by_address.use(caller, now_s)),
                    (of_id, self._by_id.use(of_id, now_s)),
                )
            ]
            _refuse_after(max(wait_s or 0.0 for wait_s in waits_s))

    async def count(self, address: str, principal_id: str, now_s: float) -> None:
        """Count an attempt that failed.

        Raises:
            TooManyRequests: as many have failed meanwhile as may.
        """
        caller, of_id = _keys(address, principal_id)
        if self.shared is None:
            self._by_address.take(caller, now_s)
            self._by_id.take(of_id, now_s)
            return
        by_address = self._by_address.use(caller, now_s)
        by_id = self._by_id.use(of_id, now_s)
        _refuse_after(
            max(
                await take_together(self.shared, _name(caller), by_address, now_s),
                await take_together(self.shared, _name(of_id), by_id, now_s),
            )
        )


def _keys(address: str, principal_id: str) -> tuple[str, tuple[str, str]]:
    caller = network_of(address)
    return caller, (caller, principal_id[:_ID_CHARACTERS])


def _name(key: object) -> str:
    """Return the name that a window has among those of all nodes."""
    return f"failed:{key}"


def _refuse_after(wait_s: float) -> None:
    if wait_s > 0.0:
        raise TooManyRequests(
            retry_after_s(wait_s), "Too many failed authentications; try again later"
        )

"""The open connections: caps per address, per device and in all.

One ``Connection`` lives as long as its TCP connection, also across the upgrade to a stream. The
pipeline finds it in an ASGI scope under ``scope["extensions"][CONNECTION_KEY]``.
"""

from collections.abc import Mapping
from typing import Any

from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.proxies import TrustedProxies, parse_address

CONNECTION_KEY = "tellus.connection"

_LINGERING_SHARE = 0.05
_LINGERING_LEAST = 64


class Connection:
    """What is counted for one TCP connection."""

    __slots__ = (
        "_device", "_register", "address_key", "body_grace_s", "counts_device", "proxied",
    )  # fmt: skip

    def __init__(
        self,
        register: "ConnectionRegister",
        address_key: str | None,
        *,
        proxied: bool,
        counts_device: bool = True,
    ) -> None:
        self._register = register
        self._device: str | None = None
        self.address_key = address_key
        self.proxied = proxied
        self.counts_device = counts_device
        self.body_grace_s = 0.0
        """How much longer the body of this request may take than others; the pipeline says so."""

    def claim_device(self, device_id: str) -> bool:
        """Count this connection for a device; call after the device has authenticated.

        Returns ``False``, and counts nothing, when the device already holds its cap of other
        connections. A connection counts for the device that used it last, until it closes; one of
        a trusted proxy only while a request is in flight, one from loopback not at all.
        """
        if device_id == self._device or not self.counts_device:
            return True
        self.release_device()
        if not self._register.claim(device_id):
            return False
        self._device = device_id
        return True

    def release_device(self) -> None:
        """Give back what was claimed."""
        if self._device is not None:
            self._register.release(self._device)
            self._device = None

    def end_request(self) -> None:
        """Forget what held for one request, and give back its claim where that is a proxy's."""
        self.body_grace_s = 0.0
        if self.proxied:
            self.release_device()

    def close(self) -> None:
        """Stop counting this connection; further calls do nothing."""
        self.release_device()
        self._register.forget(self)


class ConnectionRegister:
    """Counts connections by address, by device and in all."""

    def __init__(self, limits: GuardLimits, proxies: TrustedProxies) -> None:
        self._limits = limits
        self._proxies = proxies
        self._total = limits.resolved_total()
        self._open: set[Connection] = set()
        self._by_address: dict[str, int] = {}
        self._by_device: dict[str, int] = {}
        self._lingering_cap = max(_LINGERING_LEAST, int(self._total * _LINGERING_SHARE))
        self._lingering = 0

    @property
    def open_count(self) -> int:
        """How many connections are admitted and open."""
        return len(self._open)

    @property
    def device_count(self) -> int:
        """How many devices hold at least one connection."""
        return len(self._by_device)

    @property
    def address_count(self) -> int:
        """How many addresses that are not exempt hold at least one connection."""
        return len(self._by_address)

    def admit(self, address: str) -> Connection | None:
        """Count a new connection from ``address``; ``None`` when a cap is reached."""
        if len(self._open) >= self._total:
            return None
        proxied = self._proxies.trusts(address)
        key = None if proxied else _address_key(address)
        exempt = self._limits.loopback_is_exempt and not proxied and is_loopback(address)
        if key is not None:
            held = self._by_address.get(key, 0)
            if held >= self._limits.connections_per_address:
                return None
            self._by_address[key] = held + 1
        connection = Connection(self, key, proxied=proxied, counts_device=not exempt)
        self._open.add(connection)
        return connection

    def forget(self, connection: Connection) -> None:
        """Stop counting a connection."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        if connection.address_key is not None:
            _decrement(self._by_address, connection.address_key)

    def claim(self, device_id: str) -> bool:
        """Count one connection for a device, unless it holds its cap already."""
        held = self._by_device.get(device_id, 0)
        if held >= self._limits.connections_per_device:
            return False
        self._by_device[device_id] = held + 1
        return True

    def release(self, device_id: str) -> None:
        """Give back one connection of a device."""
        _decrement(self._by_device, device_id)

    def begin_linger(self) -> bool:
        """Tell whether one more refused connection may stay open to read its refusal."""
        if self._lingering >= self._lingering_cap:
            return False
        self._lingering += 1
        return True

    def end_linger(self) -> None:
        """Count a refused connection as gone."""
        self._lingering -= 1


def connection_of(scope: Mapping[str, Any]) -> Connection | None:
    """Return the connection of an ASGI scope; ``None`` under a test client without the guard."""
    connection = scope.get("extensions", {}).get(CONNECTION_KEY)
    return connection if isinstance(connection, Connection) else None


def is_loopback(address: str) -> bool:
    """Tell whether the peer is on this machine."""
    if address.startswith("127."):
        return True
    parsed = parse_address(address) if ":" in address else None
    return parsed is not None and parsed.is_loopback


def _address_key(address: str) -> str | None:
    """Return under which key an address is counted; ``None`` for loopback and unknown ones.

    IPv6 is counted by /64, because whoever has one address there has all of them.
    """
    if ":" not in address:
        return None if not address or address.startswith("127.") else address
    parsed = parse_address(address)
    if parsed is None or parsed.is_loopback:
        return None
    if parsed.version == 4:  # noqa: PLR2004 - the version of the Internet Protocol
        return str(parsed)
    return parsed.exploded[:19]


def _decrement(counts: dict[str, int], key: str) -> None:
    left = counts.get(key, 0) - 1
    if left > 0:
        counts[key] = left
    else:
        counts.pop(key, None)

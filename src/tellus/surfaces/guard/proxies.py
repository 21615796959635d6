"""Who is calling, when proxies that we trust stand in between."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

_CACHED_ADDRESSES = 4096

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The networks whose ``X-Forwarded-For`` is believed.

    ``entries`` are addresses or networks (``10.0.0.0/8``); anything else raises ``ValueError``.
    With no entries every question is answered without a look at the headers.
    """

    __slots__ = ("_known", "_networks")

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks: tuple[_Network, ...] = tuple(
            ipaddress.ip_network(entry, strict=False) for entry in entries
        )
        self._known: dict[str, bool] = {}

    def trusts(self, address: str) -> bool:
        """Tell whether the peer at ``address`` may speak for others."""
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _CACHED_ADDRESSES:
                self._known.clear()
            known = self._known[address] = self._in_networks(address)
        return known

    def _in_networks(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(
            parsed.version == network.version and parsed in network for network in self._networks
        )

    def client_address(self, scope: Mapping[str, Any]) -> str:
        """Return the address of the caller of an ASGI ``scope``; empty when it is unknown.

        Behind trusted proxies it is the last entry of ``X-Forwarded-For`` that no trusted proxy
        wrote about another trusted proxy; entries further left are the caller's own claims.
        """
        client = scope.get("client")
        address: str = client[0] if client else ""
        if not self._networks or not self.trusts(address):
            return address
        hops: list[str] = []
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                hops.extend(value.decode("latin-1").split(","))
        for hop in reversed(hops):
            parsed = parse_address(_without_port(hop.strip()))
            if parsed is None:
                break
            address = str(parsed)
            if not self.trusts(address):
                break
        return address


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in ``text``, IPv4 written as IPv6 resolved to IPv4; ``None`` if none."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    if hop.count(":") == 1:
        return hop.partition(":")[0]
    return hop

"""Where pushes may go: the host is resolved once, judged, and exactly that is connected to."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

# Lookups of names whose servers are silent take long: they must not use up what others need.
_LOOKUPS_AT_ONCE: Final = 32
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# What the standard library takes for public, or for neither: shared by carriers (RFC 6598), kept
# for protocols (RFC 6890; a cloud's metadata are at 192.0.0.192), 6to4 relays (RFC 7526), NAT64 of
# one's own (RFC 8215), documentation (RFC 9637), site-local (RFC 3879).
_NEAR: Final = [
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "3fff::/20",
        "fec0::/10",
    )
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], Sequence[tuple[Any, ...]]]
"""Returns what ``socket.getaddrinfo`` does; may wait, as it has a thread of its own."""


class AddressRefused(OSError):
    """A host has no address that pushes may go to."""


def check_url(url: str, *, allows_private: bool) -> str | None:
    """Return what is wrong with the address of a peer, or None.

    It is HTTPS, or HTTP where private addresses are allowed, and names a host and no user.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no address"
    literal = read_literal(parts.hostname or "")
    is_near = literal is not None and not is_allowed(literal, allows_private=allows_private)
    has_odd_marks = any(mark <= " " or mark == "\\" for mark in url)
    faults = {
        "is not HTTPS": parts.scheme != "https" and not (allows_private and parts.scheme == "http"),
        "names no host": not parts.hostname or port == 0,
        "holds credentials": parts.username is not None or parts.password is not None,
        "holds more than a host and a path": parts.query or parts.fragment or has_odd_marks,
        "is an address of this machine or network": is_near,
    }
    return next((fault for fault, is_there in faults.items() if is_there), None)


def read_literal(host: str) -> Address | None:
    """Return the address that ``host`` is, or None where it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_allowed(address: Address, *, allows_private: bool) -> bool:
    """Tell whether pushes may go to an address.

    Never to what is no single machine. To this machine and its networks (loopback, link-local,
    private, shared) only where that is allowed; an IPv4 address inside an IPv6 one counts as what
    it is.
    """
    inner = _inner(address)
    if inner is not None:
        return is_allowed(inner, allows_private=allows_private)
    if address.is_multicast or address.is_unspecified or _is_broadcast(address):
        return False
    if any(address in network for network in _NEAR):
        return allows_private
    if address.is_global and not address.is_reserved:
        return True
    near = address.is_loopback or address.is_link_local or address.is_private
    return allows_private and near


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one leads to, if it is of such a kind."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def _is_broadcast(address: Address) -> bool:
    return address == ipaddress.IPv4Address("255.255.255.255")


def system_lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Ask the system for the addresses of a host."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class CheckedResolver(AbstractResolver):
    """Resolves for the HTTP client, and hands out only addresses that pushes may go to."""

    def __init__(self, *, allows_private: bool, lookup: Lookup = system_lookup) -> None:
        self._allows_private = allows_private
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "tellus-lookup")
        self._asked: dict[tuple[str, int], asyncio.Future[Sequence[tuple[Any, ...]]]] = {}

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the port's signature
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``.

        Raises:
            AddressRefused: it has addresses, but none that is allowed.
            OSError: it has none.
        """
        found = [
            _result(host, port, entry)
            for entry in await self._look_up(host, port)
            if self._is_allowed(entry)
        ]
        if not found:
            raise AddressRefused
        return found

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Return a socket for one address; the last to look before it is connected to.

        Raises:
            AddressRefused: pushes may not go there.
        """
        if not self._is_allowed(info):
            raise AddressRefused
        made = socket.socket(info[0], info[1], info[2])
        made.setblocking(False)
        return made

    async def close(self) -> None:
        """Let go of the threads; a lookup under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is_allowed(self, entry: tuple[Any, ...]) -> bool:
        address = read_literal(str(entry[4][0]))
        return address is not None and is_allowed(address, allows_private=self._allows_private)

    async def _look_up(self, host: str, port: int) -> Sequence[tuple[Any, ...]]:
        """Look a host up once for all who ask meanwhile; who gives up leaves it to the others."""
        key = (host, port)
        asked = self._asked.get(key)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._lookup, host, port)
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(asked)

    def _forget(self, key: tuple[str, int], done: "asyncio.Future[Any]") -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            done.exception()  # that nobody waits for it any more is no reason to complain


def _result(host: str, port: int, entry: tuple[Any, ...]) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(entry[4][0]),
        port=port,
        family=entry[0],
        proto=entry[2],
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )

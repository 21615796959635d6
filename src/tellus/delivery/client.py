"""HTTP to those who are owed something: to the named address only, quick, with small answers.

The other side is not trusted: its address is checked and then connected to, redirects are not
followed, some seconds are all there is, and what comes back is read up to a bound.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Mapping
from typing import Any, Final

import aiohttp

from tellus.delivery.addresses import (
    AddressRefused,
    CheckedResolver,
    Lookup,
    check_url,
    system_lookup,
)
from tellus.delivery.model import Outcome, Verdict

TIMEOUT_S: Final = 3.0
ANSWER_BYTES: Final = 64 * 1024

_CHUNK_BYTES: Final = 8 * 1024
_REDIRECTS: Final = range(300, 400)


class Failed(Exception):
    """There is no answer to be had from this attempt."""

    def __init__(self, outcome: Outcome, http_status: int | None = None) -> None:
        super().__init__(outcome.value)
        self.verdict = Verdict(outcome, http_status)


class GuardedClient:
    """Sends requests to those who are not trusted. For one event loop, and to be closed.

    ``allows_private`` admits receivers on this machine and its networks, and those without TLS;
    ``tls`` is the context that certificates are checked with, by default the system's.
    """

    def __init__(
        self,
        *,
        allows_private: bool = False,
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._allows_private = allows_private
        self._lookup = lookup
        self._tls = tls
        self._timeout_s = timeout_s
        self._resolver: CheckedResolver | None = None
        self._session: aiohttp.ClientSession | None = None

    async def judge(self, attempt: Awaitable[Verdict]) -> Verdict:
        """Return how an attempt ends within its time; never raises for what the other side does."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await attempt
        except Failed as failure:
            return failure.verdict
        except TimeoutError:
            return Verdict(Outcome.TIMEOUT)

    async def close(self) -> None:
        """Let go of all connections."""
        session, self._session = self._session, None
        resolver, self._resolver = self._resolver, None
        if session is not None:
            await session.close()
        if resolver is not None:
            await resolver.close()

    async def ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer.

        Raises:
            Failed: there is none that could be used.
        """
        if check_url(url, allows_private=self._allows_private) is not None:
            raise Failed(Outcome.ADDRESS_REFUSED)
        sent = {"Content-Type": "application/json", **headers}
        with _translated():
            async with self._open().request(
                method, url, data=body, headers=sent, allow_redirects=False
            ) as response:
                if response.status in _REDIRECTS:
                    raise Failed(Outcome.REDIRECTED, response.status)
                return response.status, await _read(response)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._resolver = resolver = CheckedResolver(
                allows_private=self._allows_private, lookup=self._lookup
            )
            connector = aiohttp.TCPConnector(
                # A connection per push: each is to an address that was checked for it.
                force_close=True,
                limit=0,
                resolver=resolver,
                socket_factory=resolver.make_socket,
                ssl=self._tls if self._tls is not None else True,
                use_dns_cache=False,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                skip_auto_headers=("User-Agent",),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer, which is to be small."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        content += chunk
        if len(content) > ANSWER_BYTES:
            raise Failed(Outcome.TOO_LARGE, response.status)
    return bytes(content)


@contextlib.contextmanager
def _translated() -> Any:
    """Turn what the HTTP client raises into how the attempt ended."""
    try:
        yield
    except (ssl.SSLError, aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch):
        raise Failed(Outcome.TLS_FAILED) from None
    except aiohttp.InvalidURL:
        raise Failed(Outcome.ADDRESS_REFUSED) from None
    except aiohttp.ClientConnectorError as error:
        is_refused = isinstance(error.os_error, AddressRefused)
        raise Failed(Outcome.ADDRESS_REFUSED if is_refused else Outcome.UNREACHABLE) from None
    except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError):
        raise Failed(Outcome.GARBAGE) from None
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError):
        raise Failed(Outcome.UNREACHABLE) from None

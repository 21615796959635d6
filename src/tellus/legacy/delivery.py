"""One push to one peer over HTTP: to the configured address only, quick, and with small answers.

The other side is not trusted: its address is checked and then connected to, redirects are not
followed, three seconds are all there is, and what comes back is read up to a bound.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import aiohttp
import msgspec

from tellus.legacy.delivery_addresses import (
    AddressRefused,
    CheckedResolver,
    Lookup,
    check_url,
    system_lookup,
)
from tellus.legacy.model import PeerAuth, PushOperation
from tellus.legacy.model_outbox import Destination, Outcome, OwedPush, Verdict

TIMEOUT_S: Final = 3.0
ANSWER_BYTES: Final = 64 * 1024

_CHUNK_BYTES: Final = 8 * 1024
_OK: Final = 200
_UNAUTHORISED: Final = 401
_REDIRECTS: Final = range(300, 400)
_TOKENS_KEPT: Final = 1_000
_TOKEN_MARGIN_S: Final = 60.0

_METHODS: Final = {PushOperation.STATION_STATUS: "PUT", PushOperation.WORK_STATUS: "POST"}
"""How the published contract sends each; both go below ``customer/``."""


class _Answer(msgspec.Struct):
    status: Literal["Accept", "Reject"] = msgspec.field(name="Status")


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 0.0


class _Held(NamedTuple):
    token: str
    until_s: float


class _Failed(Exception):
    """There is no answer to be had from this attempt."""

    def __init__(self, outcome: Outcome, http_status: int | None = None) -> None:
        super().__init__(outcome.value)
        self.verdict = Verdict(outcome, http_status)


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_TOKEN: Final = msgspec.json.Decoder(_Token)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Delivery:
    """Sends pushes. To be used on one event loop, and closed.

    ``allows_private`` admits peers on this machine and its networks, and those without TLS; ``tls``
    is the context that certificates are checked with, by default the system's.
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
        self._tokens: dict[Destination, _Held] = {}

    async def send(self, to: Destination, push: OwedPush) -> Verdict:
        """Make one attempt and return how it ended; never raises for what the other side does."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._attempt(to, push)
        except _Failed as failure:
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

    # ------------------------------------------------------------------ the push

    async def _attempt(self, to: Destination, push: OwedPush) -> Verdict:
        url = f"{to.push_url.rstrip('/')}/customer/{push.operation.value}"
        method, body = _METHODS[push.operation], push.body.encode()
        is_known = to in self._tokens
        status, content = await self._ask(method, url, body, await self._authorise(to))
        if status == _UNAUTHORISED and is_known:
            # The peer may have forgotten the token that it gave us: with a new one, once.
            self._tokens.pop(to, None)
            status, content = await self._ask(method, url, body, await self._authorise(to))
        if status == _UNAUTHORISED:
            self._tokens.pop(to, None)
        if status != _OK:
            return Verdict(Outcome.BAD_STATUS, status)
        try:
            answer = _ANSWER.decode(content)
        except _UNREADABLE:
            return Verdict(Outcome.GARBAGE, status)
        is_accepted = answer.status == "Accept"
        return Verdict(Outcome.ACCEPTED if is_accepted else Outcome.REJECTED, status)

    async def _authorise(self, to: Destination) -> dict[str, str]:
        """Return the headers that prove who we are."""
        if to.auth is PeerAuth.NONE:
            return {}
        token = to.secret if to.auth is PeerAuth.BEARER else await self._token(to)
        if not (token.isascii() and token.isprintable() and token):
            raise _Failed(Outcome.UNAUTHENTICATED)
        return {"Authorization": f"Bearer {token}"}

    async def _token(self, to: Destination) -> str:
        """Return a token of the peer's, the one that we have as long as it lives."""
        now_s = asyncio.get_running_loop().time()
        held = self._tokens.get(to)
        if held is not None and now_s < held.until_s:
            return held.token
        given = {"client_id": to.auth_id, "client_secret": to.secret, "scope": to.auth_scope}
        asked = {"grant_type": "client_credentials"} | {k: v for k, v in given.items() if v}
        status, content = await self._ask("POST", to.token_url or "", msgspec.json.encode(asked))
        if status != _OK:
            raise _Failed(Outcome.UNAUTHENTICATED, status)
        try:
            answer = _TOKEN.decode(content)
        except _UNREADABLE:
            raise _Failed(Outcome.UNAUTHENTICATED, status) from None
        if len(self._tokens) >= _TOKENS_KEPT:
            self._tokens.clear()
        self._tokens[to] = _Held(answer.access_token, now_s + answer.expires_in - _TOKEN_MARGIN_S)
        return answer.access_token

    # ------------------------------------------------------------------ HTTP

    async def _ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer.

        Raises:
            _Failed: there is none that could be used.
        """
        if check_url(url, allows_private=self._allows_private) is not None:
            raise _Failed(Outcome.ADDRESS_REFUSED)
        sent = {"Content-Type": "application/json", **headers}
        with _translated():
            async with self._open().request(
                method, url, data=body, headers=sent, allow_redirects=False
            ) as response:
                if response.status in _REDIRECTS:
                    raise _Failed(Outcome.REDIRECTED, response.status)
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
            raise _Failed(Outcome.TOO_LARGE, response.status)
    return bytes(content)


@contextlib.contextmanager
def _translated() -> Any:
    """Turn what the HTTP client raises into how the attempt ended."""
    try:
        yield
    except (ssl.SSLError, aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch):
        raise _Failed(Outcome.TLS_FAILED) from None
    except aiohttp.InvalidURL:
        raise _Failed(Outcome.ADDRESS_REFUSED) from None
    except aiohttp.ClientConnectorError as error:
        is_refused = isinstance(error.os_error, AddressRefused)
        raise _Failed(Outcome.ADDRESS_REFUSED if is_refused else Outcome.UNREACHABLE) from None
    except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError):
        raise _Failed(Outcome.GARBAGE) from None
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError):
        raise _Failed(Outcome.UNREACHABLE) from None

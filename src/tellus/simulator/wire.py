"""HTTP as a charger sees it: one request, one answer, and what the answer means."""

from __future__ import annotations

from enum import Enum
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from tellus.simulator.messages import Kind

_REQUEST_TIMEOUT_S = 15.0
_POLL_GRACE_S = 15.0
_CONNECT_TIMEOUT_S = 10.0
# Below the 75 s after which the platform closes idle connections; heartbeats come every 30 s.
_KEEP_ALIVE_S = 65.0
_EXCERPT_CHARACTERS = 300

PATHS = {
    Kind.TELEMETRY: "/v1/device/telemetry",
    Kind.EVENT: "/v1/device/events",
    Kind.RECORD: "/v1/device/charging-records",
    Kind.COMMAND_STATUS: "/v1/device/command-status",
    Kind.FIRMWARE_STATUS: "/v1/device/firmware/status",
}
BATCH_PATHS = {kind: f"{PATHS[kind]}/batch" for kind in (Kind.TELEMETRY, Kind.EVENT, Kind.RECORD)}


class LinkDown(Exception):
    """No usable answer: refused, reset, timed out, or the server could not serve."""


class Verdict(Enum):
    """What to do about an answer."""

    TAKEN = "taken"
    UNAUTHORISED = "unauthorised"
    SLOW_DOWN = "slow down"
    TRY_LATER = "try later"
    REFUSED = "refused"


class _Details(msgspec.Struct):
    retry_after_seconds: float | None = None


class _Envelope(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: msgspec.Raw = msgspec.Raw()
    details: _Details | None = None
    access_token: str = ""
    expires_in: int = 0


class Answer(msgspec.Struct):
    """One answer; ``data`` is the raw JSON of the envelope's data."""

    status: int
    code: int = 0
    data: msgspec.Raw = msgspec.Raw()
    retry_after_s: float = 0.0
    excerpt: str = ""
    access_token: str = ""
    expires_in: int = 0

    @property
    def verdict(self) -> Verdict:
        """Return what the status and code mean for the sender."""
        if self.status == 200 and self.code == 0:
            return Verdict.TAKEN
        if self.status == 401:
            return Verdict.UNAUTHORISED
        if self.status == 429:
            return Verdict.SLOW_DOWN
        if self.status in {408, 425} or self.status >= 500:
            return Verdict.TRY_LATER
        return Verdict.REFUSED

    def __str__(self) -> str:
        return f"{self.status}/{self.code} {self.excerpt}"


_DECODER = msgspec.json.Decoder(_Envelope)


def read_answer(status: int, body: bytes, retry_after: str | None) -> Answer:
    """Read status, envelope and Retry-After; a body that is no envelope is an answer too."""
    try:
        envelope = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        envelope = _Envelope(code=0 if status == 200 else status)
    wait_s = 0.0
    if retry_after is not None and retry_after.isdigit():
        wait_s = float(retry_after)
    elif envelope.details is not None and envelope.details.retry_after_seconds is not None:
        wait_s = envelope.details.retry_after_seconds
    is_good = status == 200 and envelope.code == 0
    return Answer(
        status=status,
        code=envelope.code,
        data=envelope.data,
        retry_after_s=wait_s,
        excerpt="" if is_good else body[:_EXCERPT_CHARACTERS].decode(errors="replace"),
        access_token=envelope.access_token,
        expires_in=envelope.expires_in,
    )


class Wire:
    """A shared connection pool to one platform. ``base_url`` may hold a path prefix."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._timeout = aiohttp.ClientTimeout(_REQUEST_TIMEOUT_S, sock_connect=_CONNECT_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=0, keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=300
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, path: str, body: bytes, token: str | None) -> Answer:
        """POST a JSON body; LinkDown when no answer came."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self._call("POST", path, headers, body, self._timeout)

    async def poll(self, connector_id: int, wait_s: int, token: str) -> Answer:
        """Ask for a command and wait up to ``wait_s`` for one; LinkDown when no answer came."""
        path = f"/v1/device/commands?connector_id={connector_id}&wait={wait_s}"
        timeout = aiohttp.ClientTimeout(wait_s + _POLL_GRACE_S, sock_connect=_CONNECT_TIMEOUT_S)
        return await self._call("GET", path, {"Authorization": f"Bearer {token}"}, None, timeout)

    async def _call(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the client's own, per request
    ) -> Answer:
        if self._session is None:
            raise RuntimeError("the wire is used outside its context")
        url = self._base + path
        for is_last in (False, True):
            try:
                async with self._session.request(
                    method, url, data=body, headers=headers, timeout=timeout
                ) as response:
                    content = await response.read()
                    return read_answer(
                        response.status, content, response.headers.get("Retry-After")
                    )
            except aiohttp.ServerDisconnectedError as error:
                # A kept-alive connection that the server had closed: not an outage, try anew.
                if is_last:
                    raise LinkDown(str(error)) from error
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise LinkDown(f"{type(error).__name__}: {error}") from error
        raise LinkDown("no answer")


_T = TypeVar("_T")


def read_data(answer: Answer, shape: type[_T]) -> _T:
    """Return the data of an answer in its shape; LinkDown when it is not what was agreed."""
    try:
        return msgspec.json.decode(answer.data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LinkDown(f"an answer that is not understood: {error}") from error


def json_body(value: Any) -> bytes:
    """Encode a small body."""
    return msgspec.json.encode(value)

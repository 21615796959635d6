"""One push to one peer over HTTP: what the published contract says, through the guarded client."""

import asyncio
import ssl
from typing import Final, Literal, NamedTuple

import msgspec

from tellus.delivery.addresses import Lookup, system_lookup
from tellus.delivery.client import TIMEOUT_S, Failed, GuardedClient
from tellus.delivery.model import Outcome, Verdict
from tellus.legacy.model import PeerAuth, PushOperation
from tellus.legacy.model_outbox import Destination, OwedPush

_OK: Final = 200
_UNAUTHORISED: Final = 401
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
        self._client = GuardedClient(
            allows_private=allows_private, lookup=lookup, tls=tls, timeout_s=timeout_s
        )
        self._tokens: dict[Destination, _Held] = {}

    async def send(self, to: Destination, push: OwedPush) -> Verdict:
        """Make one attempt and return how it ended; never raises for what the other side does."""
        return await self._client.judge(self._attempt(to, push))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.close()

    # ------------------------------------------------------------------ the push

    async def _attempt(self, to: Destination, push: OwedPush) -> Verdict:
        url = f"{to.push_url.rstrip('/')}/customer/{push.operation.value}"
        method, body = _METHODS[push.operation], push.body.encode()
        is_known = to in self._tokens
        status, content = await self._client.ask(method, url, body, await self._authorise(to))
        if status == _UNAUTHORISED and is_known:
            # The peer may have forgotten the token that it gave us: with a new one, once.
            self._tokens.pop(to, None)
            status, content = await self._client.ask(method, url, body, await self._authorise(to))
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
            raise Failed(Outcome.UNAUTHENTICATED)
        return {"Authorization": f"Bearer {token}"}

    async def _token(self, to: Destination) -> str:
        """Return a token of the peer's, the one that we have as long as it lives."""
        now_s = asyncio.get_running_loop().time()
        held = self._tokens.get(to)
        if held is not None and now_s < held.until_s:
            return held.token
        given = {"client_id": to.auth_id, "client_secret": to.secret, "scope": to.auth_scope}
        asked = {"grant_type": "client_credentials"} | {k: v for k, v in given.items() if v}
        status, content = await self._client.ask(
            "POST", to.token_url or "", msgspec.json.encode(asked)
        )
        if status != _OK:
            raise Failed(Outcome.UNAUTHENTICATED, status)
        try:
            answer = _TOKEN.decode(content)
        except _UNREADABLE:
            raise Failed(Outcome.UNAUTHENTICATED, status) from None
        if len(self._tokens) >= _TOKENS_KEPT:
            self._tokens.clear()
        self._tokens[to] = _Held(answer.access_token, now_s + answer.expires_in - _TOKEN_MARGIN_S)
        return answer.access_token

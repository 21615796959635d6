"""Use cases of request signing: a signature is checked, and acted on once (rule R7).

Before a signed control call acts, its signature is reserved on disk; afterwards the answer is
stored beside it. A process that dies in between leaves the reservation alone: a repeat then learns
that the outcome is not known, and never acts a second time.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from tellus.identity import signing, store_signed
from tellus.identity.rules import is_live
from tellus.identity.signing import SignedRequest
from tellus.identity.state import IdentityState
from tellus.identity.store_signed import SignedAnswer
from tellus.kernel.call import Principal
from tellus.kernel.errors import ApiError, Conflict
from tellus.kernel.units import SECOND_MS

_SUCCESS: Final = 200
_SERVER_FAILED: Final = 500
# A signature is good for twice the skew; the minute is for calls that are under way meanwhile.
ANSWER_KEPT_S: Final = 2 * signing.SKEW_S + 60

_LOOK_EVERY_S: Final = 0.1
_LOOKS: Final = 20

Key = tuple[str, bytes]


class OutcomeUnknown(Conflict):
    """The first request with this signature was interrupted; whether it acted is not known."""

    def __init__(self) -> None:
        super().__init__(
            "The first request with this signature was interrupted, and what came of it is not"
            " known. Look for its effect before you sign it anew",
            field=signing.SIGNATURE,
        )


class SignatureUseCases:
    """Checks signatures and answers each once; ``prune`` it now and then."""

    def __init__(self, state: IdentityState) -> None:
        self._state = state
        self._running: dict[Key, asyncio.Task[bytes]] = {}

    def verify(self, principal: Principal, request: SignedRequest) -> bytes:
        """Return the signature of a client's request in its 32 bytes.

        Raises:
            SignatureRefused: no live secret of the client made it.
        """
        entry = self._state.directory.client(principal.principal_id)
        now_ms = self._state.clock.now_ms()
        secrets = [
            self._state.keys.open(secret.sealed, signing.sealing_context(secret.secret_id))
            for secret in (() if entry is None else entry.client.secrets)
            if secret.sealed is not None and is_live(secret, now_ms)
        ]
        return signing.check_signature(secrets, request)

    async def answer_once(
        self, principal: Principal, signature: bytes, act: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """Return the body that ``act`` answers with, now or when the signature was first used.

        A repeat that comes while the first is under way waits for it. A refusal (a status below
        500) had no effect and is not kept. What has begun is finished when its caller goes away.

        Raises:
            OutcomeUnknown: the first request was interrupted, or failed in an unknown way.
            Unavailable: the store cannot be written to; nothing was done.
        """
        key = (principal.principal_id, signature)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._act(key, act))
            task.add_done_callback(lambda done: self._finished(key, done))
        return await asyncio.shield(task)

    async def prune(self) -> None:
        """Drop the answers whose signatures are no longer good."""
        before_ms = self._state.clock.now_ms() - ANSWER_KEPT_S * SECOND_MS
        await self._state.database.write(store_signed.prune, before_ms)

    async def _act(self, key: Key, act: Callable[[], Awaitable[bytes]]) -> bytes:
        database = self._state.database
        first = await self._reserve(key)
        if first is not None:
            if first.body is None:
                raise OutcomeUnknown
            return first.body
        try:
            body = await act()
        except ApiError as error:
            if error.http_status < _SERVER_FAILED:
                with contextlib.suppress(ApiError):  # what stays reserved cannot act either
                    await database.write(store_signed.release, *key)
            raise
        with contextlib.suppress(ApiError):  # it has acted: the caller is told so in any case
            await database.write(store_signed.keep_answer, *key, SignedAnswer(_SUCCESS, body))
        return body

    async def _reserve(self, key: Key) -> SignedAnswer | None:
        """Reserve a signature; return what is there where it was used before.

        Another node may be acting on it at this moment: that is waited for, a while.
        """
        database = self._state.database
        first = await database.write(store_signed.reserve, *key, self._state.clock.now_ms())
        for _ in range(_LOOKS if database.is_shared else 0):
            if first is None or first.body is not None:
                break
            await asyncio.sleep(_LOOK_EVERY_S)
            first = await database.write(store_signed.reserve, *key, self._state.clock.now_ms())
        return first

    def _finished(self, key: Key, task: asyncio.Task[bytes]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # whoever waits has it; where all went away, nobody is left to tell

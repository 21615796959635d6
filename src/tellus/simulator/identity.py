"""How a charger becomes known: registration, credentials, tokens."""

from __future__ import annotations

import asyncio
import time
from random import Random

import msgspec

from tellus.simulator.credentials import Credentials, CredentialStore, Token
from tellus.simulator.device import ChargerSpec
from tellus.simulator.report import Recorder, Tally
from tellus.simulator.wire import Answer, LinkDown, Verdict, Wire, json_body, read_data

_MANUFACTURER = "Tellus Power"
# Renewing with more than ten minutes left would count as a reconnect at the platform.
_RENEW_BEFORE_S = (60.0, 540.0)


class NotAdmitted(Exception):
    """The platform will not have this charger; trying again would not help."""


class AskedToWait(Exception):
    """The platform said 429; ``wait_s`` is what it asked for."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"asked to wait {wait_s:g} s")
        self.wait_s = max(wait_s, 1.0)


class _RegisterData(msgspec.Struct):
    device_id: str
    device_secret: str


class Identity:
    """Registers one charger once, and keeps it in tokens."""

    def __init__(
        self,
        spec: ChargerSpec,
        wire: Wire,
        store: CredentialStore,
        recorder: Recorder,
        gate: asyncio.Semaphore,
        rng: Random,
    ) -> None:
        self._spec = spec
        self._wire = wire
        self._store = store
        self._recorder = recorder
        self._gate = gate
        self._rng = rng

    @property
    def device_id(self) -> str:
        """Return the platform's id of this charger, empty before registration."""
        known = self._store.find(self._spec.sn)
        return "" if known is None else known.device_id

    async def token(self) -> str:
        """Return a valid token, getting one where needed.

        Raises LinkDown, AskedToWait, or NotAdmitted.
        """
        sn = self._spec.sn
        token = self._store.tokens.get(sn)
        if token is not None and time.time() < token.renew_at_s:
            return token.text
        async with self._store.lock(sn):
            token = self._store.tokens.get(sn)
            if token is not None and time.time() < token.renew_at_s:
                return token.text
            async with self._gate:
                return await self._obtain()

    def discard(self, stale: str) -> None:
        """Forget a token that the platform has refused, unless it was replaced meanwhile."""
        token = self._store.tokens.get(self._spec.sn)
        if token is not None and token.text == stale:
            del self._store.tokens[self._spec.sn]

    def forget_token(self) -> None:
        """Forget the present token, as a charger does that starts up or reconnects."""
        self._store.tokens.pop(self._spec.sn, None)

    async def _obtain(self) -> str:
        credentials = self._store.find(self._spec.sn)
        is_fresh = credentials is None
        if credentials is None:
            credentials = await self._register()
        answer = await self._ask_token(credentials)
        if answer.verdict is Verdict.UNAUTHORISED and not is_fresh:
            # Credentials of an earlier life of the platform: it may have been set up anew.
            self._store.forget(self._spec.sn)
            credentials = await self._register()
            answer = await self._ask_token(credentials)
        if not answer.access_token:
            self._recorder.tally("token").failed += 1
            raise NotAdmitted(f"{self._spec.sn}: no token: {answer}")
        left_s = max(answer.expires_in - self._rng.uniform(*_RENEW_BEFORE_S), 30.0)
        token = Token(answer.access_token, time.time() + left_s)
        self._store.tokens[self._spec.sn] = token
        return token.text

    async def _register(self) -> Credentials:
        spec = self._spec
        body = json_body(
            {
                "sn": spec.sn,
                "model": spec.model,
                "manufacturer": _MANUFACTURER,
                "firmware_version": spec.firmware,
            }
        )
        tally = self._recorder.tally("register")
        answer = await self._send("/v1/device/register", body, spec.enrolment_token, tally)
        if answer.verdict is not Verdict.TAKEN:
            tally.failed += 1
            if answer.status == 409:
                raise NotAdmitted(
                    f"{spec.sn}: the platform knows this serial number already (409) and there are "
                    f"no stored credentials for it: use the state file of the run that registered "
                    f"it, another seed, or open a re-claim window"
                )
            raise NotAdmitted(f"{spec.sn}: registration refused: {answer}")
        data = read_data(answer, _RegisterData)
        credentials = Credentials(data.device_id, data.device_secret)
        self._store.remember(spec.sn, credentials)
        return credentials

    async def _ask_token(self, credentials: Credentials) -> Answer:
        body = json_body(
            {
                "device_id": credentials.device_id,
                "device_secret": credentials.device_secret,
                "grant_type": "client_credentials",
            }
        )
        return await self._send("/v1/device/token", body, None, self._recorder.tally("token"))

    async def _send(self, path: str, body: bytes, token: str | None, tally: Tally) -> Answer:
        tally.sent += 1
        try:
            answer = await self._wire.post(path, body, token)
        except LinkDown:
            tally.retried += 1
            tally.sent -= 1
            raise
        verdict = answer.verdict
        if verdict in {Verdict.SLOW_DOWN, Verdict.TRY_LATER}:
            tally.retried += 1
            tally.sent -= 1
            if verdict is Verdict.SLOW_DOWN:
                raise AskedToWait(answer.retry_after_s)
            raise LinkDown(str(answer))
        if verdict is Verdict.TAKEN:
            tally.acknowledged += 1
        return answer

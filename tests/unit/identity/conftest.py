"""Identity over a real SQLite file, with a clock that tests move."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tellus.audit.model import PLATFORM
from tellus.identity.keys import KeyRing
from tellus.identity.model import ClientScope, ClientSettings, IssuedClientSecret, IssuedSecret
from tellus.identity.service import BadCredentials, IdentityService
from tellus.kernel.call import Audience
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import Unauthenticated
from tellus.storage.database import Row
from tellus.storage.sqlite import SQLiteDatabase

T = TypeVar("T")

ADDRESS = "203.0.113.7"
READ = frozenset({ClientScope.READ})


class IdentityBench:
    """Service, store and clock of one test, and builders of what tests start from."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.keys = KeyRing(bytes(range(32)), bytes(range(32, 64)))
        # On the machine's clock: the writer judges its own pace, which a day's jump would confuse.
        self.database = SQLiteDatabase.open(path)
        self.service = self.fresh_service()

    def fresh_service(self, **changes: Any) -> IdentityService:
        """The service as a restart makes it: over the same store, remembering nothing."""
        return IdentityService(self.database, self.keys, self.clock, **changes)

    async def restart(self) -> None:
        self.service = self.fresh_service()
        await self.service.start()

    async def operator(self, name: str = "Acme") -> str:
        return (await self.service.create_operator(name, PLATFORM)).operator_id

    async def client(self, operator_id: str | None = None, **settings: Any) -> IssuedClientSecret:
        values = {"name": "portal", "scopes": READ} | settings
        return await self.service.create_client(
            operator_id or await self.operator(), ClientSettings(**values), PLATFORM
        )

    async def device(self, device_no: int = 1, operator_id: str = "op_1") -> IssuedSecret:
        """A device as registration leaves it: with a first secret that was never used."""

        def register(tx: Any) -> IssuedSecret:
            now_ms = self.clock.now_ms()
            device_id = f"dvc_{device_no}"
            self.service.add_device(tx, device_no, device_id, operator_id, now_ms)
            return self.service.issue_device_secret(tx, device_no, now_ms)

        issued = await self.database.write(register)
        self.service.remember_device(issued.record)
        return issued

    async def device_token(self, secret: str, device_no: int = 1) -> str:
        token = await self.service.issue_device_token(f"dvc_{device_no}", secret, ADDRESS)
        return token.text

    async def rotate(self, device_no: int = 1) -> str:
        """A new secret, asked for with the device's token."""
        principal = self.service.find_device(device_no)
        assert principal is not None
        return (await self.service.rotate_device_secret(principal)).text

    async def client_token(self, issued: IssuedClientSecret, secret: str = "") -> str:
        """A token of a client, for its first secret or another one."""
        token = await self.service.issue_operator_token(
            issued.client.client_id, secret or issued.text, ADDRESS
        )
        return token.text

    def accepts(self, token: str) -> bool:
        """Whether a token is accepted on the operator surface."""
        try:
            self.service.authenticate(token, Audience.OPERATOR)
        except Unauthenticated:
            return False
        return True

    async def client_works(self, issued: IssuedClientSecret, secret: str = "") -> bool:
        """Whether a secret gets a token, a minute from now, so that no limit is met."""
        self.clock.advance(61)
        try:
            await self.client_token(issued, secret)
        except BadCredentials:
            return False
        return True

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        return await self.database.read(lambda tx: tx.rows(sql, *values))


@pytest.fixture
def run_bench(tmp_path: Path) -> Callable[[Callable[[IdentityBench], Awaitable[T]]], T]:
    """Run a coroutine function over a started bench and stop it afterwards."""

    def run(test: Callable[[IdentityBench], Awaitable[T]]) -> T:
        async def whole() -> T:
            bench = IdentityBench(tmp_path / "tellus.db")
            await bench.database.start()
            try:
                await bench.service.start()
                return await test(bench)
            finally:
                await bench.database.stop()

        return asyncio.run(whole())

    return run

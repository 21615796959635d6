"""Principals read again from the store, because another node has changed them.

What this node writes itself is followed by ``Settling``. A row read again takes a number of its own
before it is read, so that of two readings the later one stands.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from tellus.identity import store, store_keys
from tellus.identity.model import Client, DeviceRecord, ServiceAccount
from tellus.identity.state import IdentityState
from tellus.kernel.call import Audience, Principal
from tellus.kernel.errors import NotFound
from tellus.storage.database import Tx

T = TypeVar("T")

FindDevices = Callable[[Sequence[int]], Awaitable[Callable[[], None]]]
"""Reads what else there is to devices that were not known; returns what makes that known."""

_AT_ONCE: Final = 100


class RefreshUseCases:
    """Reads clients, service accounts, devices and signing keys again, by their ids."""

    def __init__(self, state: IdentityState, use_keys: Callable[[list[Any]], None]) -> None:
        self._state = state
        self._use_keys = use_keys
        self._kids: tuple[Any, ...] = ()
        self.found_devices: list[FindDevices] = []

    async def refresh_clients(self, client_ids: Iterable[str]) -> None:
        """Take over clients with their secrets as they are stored."""
        for part in _parts(client_ids):
            for client in await self._state.database.read(self._read_clients, part):
                entry = self._state.directory.client(client.client_id)
                before = frozenset() if entry is None else entry.secret_ids
                self._state.directory.remember_client(client, reread=True)
                if before - {secret.secret_id for secret in client.secrets}:
                    self._state.tokens.forget_verified()

    async def refresh_accounts(self, account_ids: Iterable[str]) -> None:
        """Take over service accounts as they are stored."""
        for part in _parts(account_ids):
            for account in await self._state.database.read(self._read_accounts, part):
                self._state.directory.remember_account(account, reread=True)

    async def refresh_devices(self, device_nos: Iterable[int]) -> None:
        """Take over devices with their secrets as they are stored."""
        for part in _parts(device_nos):
            await self._take_over_devices(await self._state.database.read(self._read_devices, part))

    async def refresh_keys(self, kids: Sequence[str] = ()) -> None:
        """Take over the signing keys, if they are others; which ones changed does not matter."""
        del kids
        keys = await self._state.database.read(store_keys.list_signing_keys)
        known = tuple((key.kid, key.retired_ms) for key in keys)
        if known != self._kids:
            self._kids = known
            self._use_keys(keys)

    async def look_again(self, audience: Audience, principal_id: str) -> None:
        """Take over one principal, in case another node knows of it something newer.

        A device that was not known here at all becomes known to the fleet as well.
        """
        if audience is Audience.OPERATOR:
            await self.refresh_clients([principal_id])
        elif audience is Audience.ADMIN:
            await self.refresh_accounts([principal_id])
        elif audience is Audience.DEVICE:
            device_no = await self._state.database.read(store.find_device_no, principal_id)
            if device_no is not None:
                await self.refresh_devices([device_no])

    async def revive(self, token: str, audience: Audience) -> Principal:
        """Authenticate a token that was refused, after a look at what other nodes have written.

        Raises:
            TokenExpired, Unauthenticated: it is refused still.
        """
        if self._state.tokens.is_of_unknown_key(token):
            await self.refresh_keys()
        principal_id = self._state.tokens.read_subject(token)
        await self.look_again(audience, principal_id)
        return self._state.tokens.authenticate(token, audience)

    async def refresh_all(self) -> None:
        """Take over everything as it is stored; long revoked principals too."""
        found = await self._state.database.read(self._read_all)
        clients, accounts, devices = found
        for client in clients:
            self._state.directory.remember_client(client, reread=True)
        for account in accounts:
            self._state.directory.remember_account(account, reread=True)
        for part in _parts(devices):
            await self._take_over_devices(part)
        self._state.tokens.forget_verified()
        await self.refresh_keys()

    async def _take_over_devices(self, records: Sequence[DeviceRecord]) -> None:
        """Take over devices; one that was not known gets known to the fleet in the same step."""
        known = self._state.directory.device_of
        fresh = [one.device_no for one in records if known(one.device_no) is None]
        steps = [await find(fresh) for find in self.found_devices] if fresh else []
        for record in records:
            self._state.directory.remember_device(record, reread=True)
        for step in steps:
            step()

    def _read_clients(self, tx: Tx, client_ids: Sequence[str]) -> list[Client]:
        revision = self._state.next_revision()
        found = (store.find_client(tx, client_id, revision) for client_id in client_ids)
        return [client for client in found if client is not None]

    def _read_accounts(self, tx: Tx, account_ids: Sequence[str]) -> list[ServiceAccount]:
        revision = self._state.next_revision()
        return list(_existing(store.get_account, tx, account_ids, revision))

    def _read_devices(self, tx: Tx, device_nos: Sequence[int]) -> list[DeviceRecord]:
        revision = self._state.next_revision()
        return list(_existing(store.get_device, tx, device_nos, revision))

    def _read_all(self, tx: Tx) -> tuple[list[Client], list[ServiceAccount], list[DeviceRecord]]:
        revision = self._state.next_revision()
        return (
            store.list_all_clients(tx, revision),
            store.list_accounts(tx, revision),
            store.list_devices(tx, revision),
        )


def _existing(
    get: Callable[[Tx, Any, int], T], tx: Tx, keys: Iterable[Any], revision: int
) -> Iterator[T]:
    for key in keys:
        try:
            yield get(tx, key, revision)
        except NotFound:
            continue


def _parts(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    source = iter(items)
    while part := tuple(islice(source, _AT_ONCE)):
        yield part

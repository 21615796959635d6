"""Principals in memory: one living object per client, service account and device.

Touched on the event loop only, and only with what a commit made durable. Whoever holds a principal
sees its revocation at the next look.
"""

from collections.abc import Callable, Iterator

from tellus.identity.model import Client, DeviceRecord, ServiceAccount
from tellus.identity.rules import parse_networks
from tellus.kernel.call import Audience, Principal
from tellus.kernel.limits import apply_limits
from tellus.kernel.permits import OPEN, Permit


class Standing:
    """How new what is known of a principal is.

    A write of this node takes its number inside its transaction, a reading before it reads. A
    reading that began before a write was remembered may have looked before that write's commit, so
    it is not believed; the store notes the write, and another reading follows.
    """

    __slots__ = ("read", "remembered", "written")

    def __init__(self) -> None:
        self.read = 0
        self.written = 0
        self.remembered = 0

    def admits(self, revision: int, *, reread: bool) -> bool:
        """Tell whether a row with this number may be newer than what is known."""
        if reread:
            return revision >= max(self.read, self.remembered)
        return revision >= self.written

    def note(self, revision: int, now: int, *, reread: bool) -> None:
        """Note that a row was taken over; ``now`` is a number greater than all before."""
        if reread:
            self.read = revision
        else:
            self.written, self.remembered = revision, now


class DeviceEntry:
    """A device's principal beside what its tokens are issued from."""

    __slots__ = ("last_token_expires_ms", "principal", "record", "standing")

    def __init__(self, principal: Principal, record: DeviceRecord) -> None:
        self.standing = Standing()
        self.principal = principal
        self.record = record
        self.last_token_expires_ms = 0


class ClientEntry:
    """A client's principal beside what its tokens are issued from."""

    __slots__ = ("client", "principal", "secret_ids", "standing")

    def __init__(self, principal: Principal, client: Client) -> None:
        self.standing = Standing()
        self.principal = principal
        self.client = client
        self.secret_ids: frozenset[str] = frozenset()


class AccountEntry:
    """A service account's principal beside what its tokens are issued from."""

    __slots__ = ("account", "principal", "standing")

    def __init__(self, principal: Principal, account: ServiceAccount) -> None:
        self.standing = Standing()
        self.principal = principal
        self.account = account


class Directory:
    """All principals by id. What is older than what is already known is ignored.

    ``next_revision`` gives a number greater than all before. ``first_permit`` is that of devices
    which the fleet has not taken in yet.
    """

    def __init__(self, scale: float, next_revision: Callable[[], int]) -> None:
        self._scale = scale
        self._next_revision = next_revision
        self._clients: dict[str, ClientEntry] = {}
        self._accounts: dict[str, AccountEntry] = {}
        self._devices: dict[str, DeviceEntry] = {}
        self._device_ids: dict[int, str] = {}
        self._cors_origins: frozenset[str] | None = None
        self.first_permit: Permit = OPEN

    def client(self, client_id: str) -> ClientEntry | None:
        """Return a client, revoked or not, or None."""
        return self._clients.get(client_id)

    def account(self, service_account_id: str) -> AccountEntry | None:
        """Return a service account, revoked or not, or None."""
        return self._accounts.get(service_account_id)

    def accounts(self) -> Iterator[AccountEntry]:
        """Yield every service account."""
        return iter(self._accounts.values())

    def device(self, device_id: str) -> DeviceEntry | None:
        """Return a device, revoked or not, or None."""
        return self._devices.get(device_id)

    def device_of(self, device_no: int) -> DeviceEntry | None:
        """Return a device by its number, or None."""
        return self._devices.get(self._device_ids.get(device_no, ""))

    def cors_origins(self) -> frozenset[str]:
        """Return every origin that some living client lists."""
        if self._cors_origins is None:
            living = (e.principal for e in self._clients.values() if not e.principal.revoked)
            self._cors_origins = frozenset(o for p in living for o in p.cors_origins)
        return self._cors_origins

    def remember_client(self, client: Client, *, reread: bool = False) -> None:
        """Take over what a commit made of a client, or with ``reread`` what was read of it."""
        entry = self._clients.get(client.client_id)
        if entry is None:
            principal = Principal(Audience.OPERATOR, client.client_id, client.operator_id)
            entry = self._clients[client.client_id] = ClientEntry(principal, client)
        elif not entry.standing.admits(client.revision, reread=reread):
            return
        entry.standing.note(client.revision, self._next_revision(), reread=reread)
        entry.client = client
        entry.secret_ids = frozenset(secret.secret_id for secret in client.secrets)
        self._cors_origins = None
        settings, principal = client.settings, entry.principal
        principal.scopes = frozenset(scope.value for scope in settings.scopes)
        principal.vin_mode = settings.vin_mode.value
        principal.signing = settings.signing.value
        principal.customer = settings.customer or ""
        principal.allowed_networks = parse_networks(settings.allowed_networks)
        principal.cors_origins = settings.cors_origins
        principal.generation = client.generation
        principal.revoked = client.revoked_ms is not None
        apply_limits(principal, settings.limits, self._scale)

    def remember_account(self, account: ServiceAccount, *, reread: bool = False) -> None:
        """Take over what a commit made of a service account, or what was read of it."""
        entry = self._accounts.get(account.service_account_id)
        if entry is None:
            principal = Principal(Audience.ADMIN, account.service_account_id, "")
            entry = self._accounts[account.service_account_id] = AccountEntry(principal, account)
        elif not entry.standing.admits(account.revision, reread=reread):
            return
        entry.standing.note(account.revision, self._next_revision(), reread=reread)
        entry.account = account
        entry.principal.scopes = frozenset(scope.value for scope in account.scopes)
        entry.principal.generation = account.generation
        entry.principal.revoked = account.revoked_ms is not None

    def remember_device(self, record: DeviceRecord, *, reread: bool = False) -> Principal:
        """Take over what a commit made of a device, or what was read; return its principal."""
        entry = self._devices.get(record.device_id)
        if entry is None:
            principal = Principal(
                Audience.DEVICE, record.device_id, record.operator_id, device_no=record.device_no
            )
            principal.permit = self.first_permit
            entry = self._devices[record.device_id] = DeviceEntry(principal, record)
            self._device_ids[record.device_no] = record.device_id
        elif not entry.standing.admits(record.revision, reread=reread):
            return entry.principal
        entry.standing.note(record.revision, self._next_revision(), reread=reread)
        entry.record = record
        entry.principal.operator_id = record.operator_id
        entry.principal.generation = record.generation
        entry.principal.revoked = record.revoked_ms is not None
        return entry.principal

"""Identity: who calls, and what proves it. One door; what lies behind is in the parts' files."""

from collections.abc import Callable
from typing import TypeVar

from tellus.identity import store, store_keys
from tellus.identity.accounts import AccountUseCases
from tellus.identity.clients import ClientUseCases
from tellus.identity.devices import DeviceUseCases
from tellus.identity.issuance import BadCredentials, TokenUseCases
from tellus.identity.keys import KeyRing
from tellus.identity.model import (
    DEVICE_SECRET_LIFE_S,
    Client,
    DeviceRecord,
    Fact,
    ServiceAccount,
    SigningKey,
)
from tellus.identity.refreshing import RefreshUseCases
from tellus.identity.signatures import SignatureUseCases
from tellus.identity.state import IdentityState
from tellus.identity.vault import Vault
from tellus.kernel.clock import Clock
from tellus.kernel.windows import SharedWindows
from tellus.storage.database import Database, Tx

F = TypeVar("F", bound=Fact)

__all__ = ["BadCredentials", "IdentityService", "Vault"]


class IdentityService:
    """All of identity's use cases; ``start`` it before use.

    ``issuer`` is the ``iss`` claim of tokens, ``region`` the instance's, ``limit_scale`` multiplies
    every limit, ``device_secret_life_s`` is the advised life of a device's secret.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        clock: Clock,
        *,
        issuer: str = "tellus",
        region: str = "local",
        limit_scale: float = 1.0,
        device_secret_life_s: int = DEVICE_SECRET_LIFE_S,
    ) -> None:
        self._state = state = IdentityState(database, keys, clock, issuer, limit_scale)
        self._accounts = AccountUseCases(state)
        self._devices = DeviceUseCases(state, device_secret_life_s)
        self.vault = Vault(keys)
        self._offer_administration(ClientUseCases(state, region), self._accounts)
        self._offer_devices(self._devices)
        self._offer_tokens(TokenUseCases(state, self._devices))
        self._offer_signatures(SignatureUseCases(state))
        self._offer_refreshing(RefreshUseCases(state, self._accounts.use_signing_keys))

    def _offer_administration(self, clients: ClientUseCases, accounts: AccountUseCases) -> None:
        self.create_operator = clients.create_operator
        self.list_operators = clients.list_operators
        self.create_client = clients.create_client
        self.list_clients = clients.list_clients
        self.get_client = clients.get_client
        self.update_client = clients.update_client
        self.rotate_client_secret = clients.rotate_client_secret
        self.revoke_client_secret = clients.revoke_client_secret
        self.revoke_client = clients.revoke_client
        self.add_client = clients.add_client
        self.remember_issued = clients.remember_issued
        self.end_client = clients.end_client
        self.remember_ended = clients.remember_ended
        self.create_service_account = accounts.create_service_account
        self.list_service_accounts = accounts.list_service_accounts
        self.rotate_service_account_secret = accounts.rotate_service_account_secret
        self.revoke_service_account = accounts.revoke_service_account
        self.list_signing_keys = accounts.list_signing_keys
        self.rotate_signing_key = accounts.rotate_signing_key

    def _offer_devices(self, devices: DeviceUseCases) -> None:
        self.add_device = devices.add_device
        self.issue_device_secret = devices.issue_device_secret
        self.move_device = devices.move_device
        self.revoke_device = devices.revoke_device
        self.end_device_tokens = devices.end_device_tokens
        self.demand_consent = devices.demand_consent
        self.remember_device = devices.remember_device
        self.find_device = devices.find_device
        self.note_token = devices.note_token
        self.rotate_device_secret = devices.rotate_device_secret

    def _offer_tokens(self, issuance: TokenUseCases) -> None:
        self.issue_operator_token = issuance.issue_operator_token
        self.issue_admin_token = issuance.issue_admin_token
        self.issue_device_token = issuance.issue_device_token
        self.authenticate = self._state.tokens.authenticate

    def _offer_signatures(self, signatures: SignatureUseCases) -> None:
        self.verify_signature = signatures.verify
        self.answer_once = signatures.answer_once
        self.prune_signed_answers = signatures.prune

    def _offer_refreshing(self, refreshing: RefreshUseCases) -> None:
        self.look_again = refreshing.look_again
        self.revive = refreshing.revive
        self.found_devices = refreshing.found_devices
        self.refresh_clients = refreshing.refresh_clients
        self.refresh_accounts = refreshing.refresh_accounts
        self.refresh_devices = refreshing.refresh_devices
        self.refresh_keys = refreshing.refresh_keys
        self.refresh_all = refreshing.refresh_all

    def share(self, windows: SharedWindows) -> None:
        """Count in ``windows``, and look again before an unknown principal is refused.

        For where other nodes answer and write too.
        """
        self._state.look_again = self.look_again
        self._state.attempts.shared = windows

    async def start(self) -> None:
        """Load all principals and keys; make the first signing key where there is none.

        Raises:
            KeyFileRefused: the database was written with another key file.
        """
        keys, clients, accounts, devices = await self._state.database.read(_load)
        self._accounts.use_signing_keys(keys)
        if not keys:
            await self._accounts.ensure_signing_key()
        for client in clients:
            self._state.directory.remember_client(client)
        for account in accounts:
            self._state.directory.remember_account(account)
        for device in devices:
            self._state.directory.remember_device(device)

    def react(
        self,
        kind: type[F],
        *,
        in_tx: Callable[[Tx, F], None] | None = None,
        after_commit: Callable[[F], None] | None = None,
    ) -> None:
        """Register who is told of one kind of fact.

        ``in_tx`` runs inside the transaction and may write; ``after_commit`` runs on the event loop
        once the commit is durable. ``DeviceTokenIssued`` has no transaction.
        """
        if in_tx is not None:
            self._state.in_tx.setdefault(kind, []).append(in_tx)
        if after_commit is not None:
            self._state.after_commit.setdefault(kind, []).append(after_commit)

    def cors_origins(self) -> frozenset[str]:
        """Return every browser origin that some living client lists, for preflight requests."""
        return self._state.directory.cors_origins()

    def has_service_accounts(self) -> bool:
        """Tell whether a living service account exists; before the first start there is none."""
        return any(not entry.principal.revoked for entry in self._state.directory.accounts())


def _load(
    tx: Tx,
) -> tuple[list[SigningKey], list[Client], list[ServiceAccount], list[DeviceRecord]]:
    return (
        store_keys.list_signing_keys(tx),
        store.list_all_clients(tx),
        store.list_accounts(tx),
        store.list_devices(tx),
    )

"""Use cases of administration: service accounts and signing keys."""

import secrets
from collections.abc import Callable

from msgspec.structs import replace

from tellus.audit.model import PLATFORM, Actor
from tellus.identity import rules, store, store_keys
from tellus.identity.keys import KEY_BYTES
from tellus.identity.model import (
    AdminScope,
    IssuedAccountSecret,
    ServiceAccount,
    SigningKey,
)
from tellus.identity.state import IdentityState
from tellus.identity.tokens import LiveKey
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound, PermissionDenied
from tellus.kernel.ids import new_id, new_secret
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Tx

# Tokens live for a day; the rest lets an expired one be told from a forged one.
_KEY_VERIFIES_ON_MS = 7 * DAY_MS


class AccountUseCases:
    """Service accounts, and the keys that tokens are signed with."""

    def __init__(self, state: IdentityState) -> None:
        self._state = state

    # ------------------------------------------------------- service accounts

    async def create_service_account(
        self,
        name: str,
        scopes: frozenset[AdminScope],
        by: Actor,
        keep: Callable[[IssuedAccountSecret], None] | None = None,
    ) -> IssuedAccountSecret:
        """Create a service account with its secret.

        ``keep`` is for the first account of all: it puts the secret away before the account is
        committed, on the writer's thread, so that no end of the process leaves an account whose
        secret nobody has. What it raises undoes all.

        Raises:
            InvalidParameter: no scope is given.
            PermissionDenied: a scope is not the actor's own to give.
            Conflict: it is to be the first account, and there is one.
        """
        if not scopes:
            raise InvalidParameter("A service account has at least one scope", "scopes")
        check_may_grant(by, scopes)
        return await self._state.settle(self._remember_issued, self._create, name, scopes, by, keep)

    async def list_service_accounts(
        self, offset: int, size: int
    ) -> tuple[int, list[ServiceAccount]]:
        """Return how many service accounts there are and one page of them, oldest first."""
        accounts = await self._state.database.read(store.list_accounts)
        return len(accounts), accounts[offset : offset + size]

    async def rotate_service_account_secret(
        self, service_account_id: str, by: Actor, *, revoke_tokens: bool = False
    ) -> IssuedAccountSecret:
        """Replace the secret of a service account.

        Its tokens live on unless ``revoke_tokens``, so that a lost answer can be asked for again.

        Raises:
            NotFound: there is no such account, or it is revoked.
            PermissionDenied: the account may do what the actor may not.
        """
        return await self._state.settle(
            self._remember_issued, self._rotate, service_account_id, by, revoke_tokens=revoke_tokens
        )

    async def revoke_service_account(self, service_account_id: str, by: Actor) -> ServiceAccount:
        """Revoke a service account with its secret and tokens, at once and for good; repeatable.

        Raises:
            NotFound: there is no such account.
            PermissionDenied: the account may do what the actor may not.
            Conflict: it is the last one that can administer accounts.
        """
        return await self._state.settle(
            self._state.directory.remember_account, self._revoke, service_account_id, by
        )

    def _create(
        self,
        tx: Tx,
        name: str,
        scopes: frozenset[AdminScope],
        by: Actor,
        keep: Callable[[IssuedAccountSecret], None] | None,
    ) -> IssuedAccountSecret:
        tx.lock("service_accounts")
        if keep is not None and store.list_accounts(tx):
            raise Conflict("There are service accounts already")
        account_id, text = new_id("sa"), new_secret("sk_adm")
        account = ServiceAccount(
            service_account_id=account_id,
            name=name,
            scopes=scopes,
            verifier=self._state.keys.verifier("account", account_id, text),
            generation=1,
            revoked_ms=None,
            created_ms=self._state.clock.now_ms(),
            revision=self._state.next_revision(),
        )
        store.upsert_account(tx, account)
        self._audit(tx, by, "service_account.created", account, name=name, scopes=sorted(scopes))
        issued = IssuedAccountSecret(text, account)
        if keep is not None:
            keep(issued)
        return issued

    def _rotate(
        self,
        tx: Tx,
        account_id: str,
        by: Actor,
        *,
        revoke_tokens: bool,
    ) -> IssuedAccountSecret:
        account = self._read(tx, account_id)
        if account.revoked_ms is not None:
            raise NotFound("Service account is revoked")
        check_may_grant(by, account.scopes)
        text = new_secret("sk_adm")
        account = replace(
            account,
            verifier=self._state.keys.verifier("account", account_id, text),
            generation=account.generation + int(revoke_tokens),
        )
        store.upsert_account(tx, account)
        self._audit(tx, by, "service_account.secret_rotated", account, tokens_revoked=revoke_tokens)
        return IssuedAccountSecret(text, account)

    def _revoke(self, tx: Tx, account_id: str, by: Actor) -> ServiceAccount:
        account = self._read(tx, account_id)
        if account.revoked_ms is not None:
            return account
        check_may_grant(by, account.scopes)
        others = (
            other
            for other in store.list_accounts(tx)
            if other.service_account_id != account_id and other.revoked_ms is None
        )
        if not any(AdminScope.ORG_WRITE in other.scopes for other in others):
            raise Conflict("This is the last service account that can administer accounts")
        account = replace(
            account,
            generation=account.generation + 1,
            revoked_ms=self._state.clock.now_ms(),
        )
        store.upsert_account(tx, account)
        self._audit(tx, by, "service_account.revoked", account)
        return account

    def _read(self, tx: Tx, account_id: str) -> ServiceAccount:
        tx.lock("service_accounts")
        return store.get_account(tx, account_id, self._state.next_revision())

    def _remember_issued(self, issued: IssuedAccountSecret) -> None:
        self._state.directory.remember_account(issued.account)

    def _audit(
        self, tx: Tx, by: Actor, action: str, account: ServiceAccount, **details: object
    ) -> None:
        resource = ("service_account", account.service_account_id)
        self._state.audit(tx, by, action, resource, None, **details)

    # ----------------------------------------------------------- signing keys

    async def list_signing_keys(self) -> list[SigningKey]:
        """Return all signing keys, oldest first; the last one signs."""
        return await self._state.database.read(store_keys.list_signing_keys)

    async def rotate_signing_key(
        self, by: Actor, *, revoke_tokens: bool = False
    ) -> list[SigningKey]:
        """Sign with a fresh key from now on, and return all keys, oldest first.

        The older ones verify until no token of theirs can live; with ``revoke_tokens`` they stop
        at once, and everybody has to get a new token.
        """
        return await self._state.settle(
            self.use_signing_keys, self._rotate_key, by, revoke_tokens=revoke_tokens
        )

    async def ensure_signing_key(self) -> None:
        """Make the first signing key, unless another process has just done so, and use it."""
        await self._state.settle(self.use_signing_keys, self._ensure_key)

    def use_signing_keys(self, keys: list[SigningKey]) -> None:
        """Sign with the last of ``keys`` and verify with all of them.

        Raises:
            KeyFileRefused: they were sealed under another instance's key.
        """
        self._state.tokens.use_keys(
            LiveKey(key.kid, self._state.keys.open(key.sealed, _context(key.kid)), key.retired_ms)
            for key in keys
        )

    def _ensure_key(self, tx: Tx) -> list[SigningKey]:
        tx.lock("signing_keys")
        return store_keys.list_signing_keys(tx) or self._rotate_key(
            tx, PLATFORM, revoke_tokens=False
        )

    def _rotate_key(self, tx: Tx, by: Actor, *, revoke_tokens: bool) -> list[SigningKey]:
        tx.lock("signing_keys")
        now_ms = self._state.clock.now_ms()
        kid = new_id("key")
        sealed = self._state.keys.seal(secrets.token_bytes(KEY_BYTES), _context(kid))
        earlier = store_keys.list_signing_keys(tx)
        created_ms = rules.next_ms(now_ms, (key.created_ms for key in earlier))
        store_keys.append_signing_key(tx, SigningKey(kid, sealed, created_ms))
        retired_ms = now_ms if revoke_tokens else now_ms + _KEY_VERIFIES_ON_MS
        store_keys.retire_signing_keys(tx, kid, retired_ms)
        resource = ("signing_key", kid)
        self._state.audit(tx, by, "signing_key.created", resource, tokens_revoked=revoke_tokens)
        return store_keys.list_signing_keys(tx)


def check_may_grant(by: Actor, scopes: frozenset[AdminScope]) -> None:
    """Check that the actor holds what it hands on.

    Raises:
        PermissionDenied: it does not.
    """
    if by.scopes is not None and not scopes <= by.scopes:
        raise PermissionDenied("A service account gives no scope that it does not have itself")


def _context(kid: str) -> str:
    return f"signing-key:{kid}"

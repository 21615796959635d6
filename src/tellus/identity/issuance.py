"""Use cases of the three token endpoints: credentials in, a token out."""

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.identity import rules, store
from tellus.identity.devices import DeviceUseCases
from tellus.identity.directory import ClientEntry, DeviceEntry
from tellus.identity.model import (
    Client,
    ClientSecret,
    DeviceRecord,
    DeviceSecret,
    DeviceTokenIssued,
    Fact,
    IssuedToken,
    SecretFirstUsed,
    SecretOverdue,
)
from tellus.identity.state import IdentityState
from tellus.kernel.call import Audience, Principal
from tellus.kernel.errors import PermissionDenied, Unauthenticated
from tellus.kernel.limits import refuse_after, window_key, window_of
from tellus.kernel.units import SECOND_MS
from tellus.kernel.windows import take_together
from tellus.storage.database import Tx


class BadCredentials(Unauthenticated):
    """The id is unknown, or the secret is not one of its own; the answer does not say which."""

    def __init__(self) -> None:
        super().__init__("Unknown id or wrong secret")


def check_address(principal: Principal, address: str) -> None:
    """Check that the principal may call from ``address``.

    Raises:
        PermissionDenied: its list of networks does not admit that address.
    """
    if principal.allowed_networks and not rules.admits(principal.allowed_networks, address):
        raise PermissionDenied("Calls from this address are not allowed")


class TokenUseCases:
    """Issues tokens.

    Credentials are compared in memory, in one step with the count of failures: however many
    guesses arrive at once, no more than the limit are tried.
    """

    def __init__(self, state: IdentityState, devices: DeviceUseCases) -> None:
        self._state = state
        self._devices = devices

    async def issue_operator_token(self, client_id: str, secret: str, address: str) -> IssuedToken:
        """Exchange a client's credentials for a token.

        Raises:
            BadCredentials: they are not good.
            PermissionDenied: the client may not call from ``address``.
            TooManyRequests: too many failed attempts, or too many tokens for this client.
        """
        now_ms = await self._check_attempts(address, client_id)
        verifier = self._state.keys.verifier("client", client_id, secret)
        entry, used = self._find_client(client_id, verifier, now_ms)
        if used is None and self._state.look_again is not None:
            await self._state.look_again(Audience.OPERATOR, client_id)
            entry, used = self._find_client(client_id, verifier, now_ms)
        if entry is None or used is None:
            raise await self._failed(address, client_id)
        check_address(entry.principal, address)
        await self._throttle(entry.principal, "token")
        if used.first_used_ms is None:
            await self._state.settle(
                self._state.directory.remember_client,
                self._use_client_secret,
                client_id,
                used.secret_id,
            )
            self._still_good(entry, used.secret_id)
        return self._state.tokens.issue(entry.principal, used.secret_id)

    async def issue_admin_token(
        self, service_account_id: str, secret: str, address: str, request_id: str = ""
    ) -> IssuedToken:
        """Exchange a service account's credentials for a token; both outcomes are audited.

        Raises:
            BadCredentials: they are not good.
            TooManyRequests: too many failed attempts.
        """
        now_ms = await self._check_attempts(address, service_account_id)
        if self._state.look_again is not None:
            await self._state.look_again(Audience.ADMIN, service_account_id)
        entry = self._state.directory.account(service_account_id)
        held = () if entry is None or entry.principal.revoked else (entry.account,)
        verifier = self._state.keys.verifier("account", service_account_id, secret)
        good = rules.find_secret(held, verifier, now_ms) is not None
        failure = None if good else await self._failed(address, service_account_id)
        # What was typed as an id may be a secret in the wrong place: only known ids are recorded.
        name = "unknown" if entry is None else service_account_id
        action = "service_account.token_issued" if good else "service_account.token_refused"
        await self._state.database.write(
            self._audit_login, Actor(name, request_id or None), action, address
        )
        if failure is not None or entry is None or entry.principal.revoked:
            raise failure or BadCredentials
        return self._state.tokens.issue(entry.principal)

    async def issue_device_token(self, device_id: str, secret: str, address: str) -> IssuedToken:
        """Exchange a device's credentials for a token; the first use of a secret activates it.

        Raises:
            BadCredentials: they are not good.
            TooManyRequests: too many failed attempts, or too many tokens for this device.
        """
        now_ms = await self._check_attempts(address, device_id)
        verifier = self._state.keys.verifier("device", device_id, secret)
        entry, used = self._find_device(device_id, verifier, now_ms)
        if used is None and self._state.look_again is not None:
            await self._state.look_again(Audience.DEVICE, device_id)
            entry, used = self._find_device(device_id, verifier, now_ms)
        if entry is None or used is None:
            raise await self._failed(address, device_id)
        await self._throttle(entry.principal, "device_other")
        overdue = rules.is_overdue(used, now_ms) and used.overdue_told_ms is None
        if used.first_used_ms is None or overdue:
            await self._state.settle(
                self._remember_use, self._use_device_secret, entry.record.device_no, used.secret_id
            )
            if entry.principal.revoked:
                raise BadCredentials
        return self._issue_to_device(entry, now_ms)

    def _find_client(
        self, client_id: str, verifier: bytes, now_ms: int
    ) -> tuple[ClientEntry | None, ClientSecret | None]:
        entry = self._state.directory.client(client_id)
        held = () if entry is None or entry.principal.revoked else entry.client.secrets
        return entry, rules.find_secret(held, verifier, now_ms)

    def _find_device(
        self, device_id: str, verifier: bytes, now_ms: int
    ) -> tuple[DeviceEntry | None, DeviceSecret | None]:
        entry = self._state.directory.device(device_id)
        held = () if entry is None or entry.principal.revoked else entry.record.secrets
        return entry, rules.find_secret(held, verifier, now_ms)

    def _issue_to_device(self, entry: DeviceEntry, now_ms: int) -> IssuedToken:
        token = self._state.tokens.issue(entry.principal)
        left_ms = max(0, entry.last_token_expires_ms - now_ms)
        entry.last_token_expires_ms = now_ms + token.expires_in_s * SECOND_MS
        fact = DeviceTokenIssued(entry.record.device_no, now_ms, left_ms / SECOND_MS)
        self._state.tell([fact])
        return token

    def _use_device_secret(
        self, tx: Tx, device_no: int, secret_id: str
    ) -> tuple[DeviceRecord, list[Fact]]:
        record = self._devices.read(tx, device_no)
        now_ms = self._state.clock.now_ms()
        used = next((secret for secret in record.secrets if secret.secret_id == secret_id), None)
        if used is None or record.revoked_ms is not None or not rules.is_live(used, now_ms):
            raise BadCredentials  # replaced by another request between look-up and transaction
        after = rules.secrets_after_use(record.secrets, secret_id, now_ms)
        store.save_device_secrets(tx, device_no, record.secrets, after)
        facts: list[Fact] = []
        if used.first_used_ms is None:
            facts.append(SecretFirstUsed(device_no, now_ms))
        if rules.is_overdue(used, now_ms) and used.overdue_told_ms is None:
            facts.append(SecretOverdue(device_no, now_ms, used.expires_ms))
        self._state.tell_in_tx(tx, facts)
        return replace(record, secrets=after), facts

    def _remember_use(self, result: tuple[DeviceRecord, list[Fact]]) -> None:
        record, facts = result
        self._devices.remember_device(record)
        self._state.tell(facts)

    def _use_client_secret(self, tx: Tx, client_id: str, secret_id: str) -> Client:
        tx.lock(f"client:{client_id}")
        client = store.get_client(tx, client_id, self._state.next_revision())
        now_ms = self._state.clock.now_ms()
        after = tuple(
            replace(secret, first_used_ms=now_ms)
            if secret.secret_id == secret_id and secret.first_used_ms is None
            else secret
            for secret in client.secrets
        )
        store.save_client_secrets(tx, client_id, client.secrets, after)
        return replace(client, secrets=after)

    def _audit_login(self, tx: Tx, by: Actor, action: str, address: str) -> None:
        self._state.audit(tx, by, action, ("service_account", by.name), None, address=address)

    async def _check_attempts(self, address: str, principal_id: str) -> int:
        clock = self._state.clock
        await self._state.attempts.check(address, principal_id, clock.monotonic_s())
        return clock.now_ms()

    async def _failed(self, address: str, principal_id: str) -> BadCredentials:
        await self._state.attempts.count(address, principal_id, self._state.clock.monotonic_s())
        return BadCredentials()

    async def _throttle(self, principal: Principal, limit_class: str) -> None:
        window = window_of(principal, limit_class, self._state.scale)
        key = window_key(principal, limit_class)
        shared, now_s = self._state.attempts.shared, self._state.clock.monotonic_s()
        refuse_after(await take_together(shared, key, window, now_s))

    @staticmethod
    def _still_good(entry: ClientEntry, secret_id: str) -> None:
        if entry.principal.revoked or secret_id not in entry.secret_ids:
            raise BadCredentials

"""Use cases of administration: operators and their clients."""

from collections.abc import Callable

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.identity import rules, signing, store
from tellus.identity.model import (
    SWAP_OVERLAP_S,
    Client,
    ClientScope,
    ClientSecret,
    ClientSettings,
    IssuedClientSecret,
    Operator,
    SigningPolicy,
    VinMode,
)
from tellus.identity.state import IdentityState
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import new_id, new_secret
from tellus.storage.database import Tx


class ClientUseCases:
    """Operators and clients; ``region`` is that of the instance."""

    def __init__(self, state: IdentityState, region: str) -> None:
        self._state = state
        self._region = region

    # -------------------------------------------------------------- operators

    async def create_operator(
        self, name: str, by: Actor, region: str | None = None, operator_id: str | None = None
    ) -> Operator:
        """Create a tenant; ``operator_id`` is chosen by the platform for its built-in one only.

        Raises:
            InvalidParameter: ``region`` is not that of this instance.
            Conflict: ``operator_id`` is taken.
        """
        if region is not None and region != self._region:
            message = f"This instance serves region {self._region}, not {region}"
            raise InvalidParameter(message, "region", region)
        operator = Operator(
            operator_id=operator_id or new_id("op"),
            name=name,
            region=self._region,
            created_ms=self._state.clock.now_ms(),
        )
        return await self._state.database.write(self._create_operator, operator, by)

    async def list_operators(self, offset: int, size: int) -> tuple[int, list[Operator]]:
        """Return how many operators there are and one page of them, oldest first."""
        return await self._state.database.read(store.list_operators, offset, size)

    def _create_operator(self, tx: Tx, operator: Operator, by: Actor) -> Operator:
        tx.lock(f"operator:{operator.operator_id}")
        if store.find_operator(tx, operator.operator_id) is not None:
            raise Conflict("This operator exists already")
        store.append_operator(tx, operator)
        resource = ("operator", operator.operator_id)
        self._state.audit(
            tx, by, "operator.created", resource, operator.operator_id, name=operator.name
        )
        return operator

    # ---------------------------------------------------------------- clients

    async def create_client(
        self, operator_id: str, settings: ClientSettings, by: Actor
    ) -> IssuedClientSecret:
        """Create a client of an operator with its first secret.

        Raises:
            NotFound: there is no such operator.
            InvalidParameter: a setting is not sound.
        """
        check_settings(settings)
        return await self._state.settle(
            self.remember_issued, self._create_client, operator_id, settings, by
        )

    def add_client(
        self, tx: Tx, client_id: str, operator_id: str, settings: ClientSettings
    ) -> IssuedClientSecret:
        """Create the client of a peer in the transaction of that; ``remember_issued`` follows.

        Whoever does so records it.

        Raises:
            NotFound: there is no such operator.
            InvalidParameter: a setting is not sound.
        """
        check_settings(settings, of_peer=True)
        return self._append(tx, client_id, operator_id, settings)

    def remember_issued(self, issued: IssuedClientSecret) -> None:
        """Let memory follow a client whose secret was issued."""
        self._state.directory.remember_client(issued.client)

    def end_client(self, tx: Tx, client_id: str) -> Client:
        """Revoke a client in the transaction of what it was for; ``remember_ended`` follows.

        Whoever does so records it.

        Raises:
            NotFound: there is no such client.
        """
        return self._revoke(tx, self._read(tx, client_id))

    def remember_ended(self, client: Client) -> None:
        """Let memory follow a client that was revoked."""
        self._state.directory.remember_client(client)

    async def list_clients(
        self, offset: int, size: int, operator_id: str | None = None
    ) -> tuple[int, list[Client]]:
        """Return how many clients there are, of one operator or of all, and one page of them."""
        return await self._state.database.read(store.list_clients, operator_id, offset, size)

    async def get_client(self, client_id: str) -> Client:
        """Return a client.

        Raises:
            NotFound: there is none of that id.
        """
        return await self._state.database.read(store.get_client, client_id)

    async def update_client(
        self, client_id: str, change: Callable[[ClientSettings], ClientSettings], by: Actor
    ) -> Client:
        """Give a client the settings that ``change`` makes of its present ones.

        Raises:
            NotFound: there is no such client, or it is revoked.
            InvalidParameter: a setting is not sound.
            RotationNeeded: it shall sign, and no live secret was issued for that.
        """
        return await self._state.settle(
            self._state.directory.remember_client, self._update_client, client_id, change, by
        )

    async def rotate_client_secret(
        self,
        client_id: str,
        by: Actor,
        overlap_s: int = SWAP_OVERLAP_S,
        policy: SigningPolicy | None = None,
    ) -> IssuedClientSecret:
        """Issue another secret; the one in use works for ``overlap_s`` longer.

        ``policy`` sets at the same time whether the client signs; None leaves that as it is.

        Raises:
            NotFound: there is no such client, or it is revoked.
            SwapUnderWay: two secrets are live and in use.
        """
        return await self._state.settle(
            self.remember_issued, self._rotate_secret, client_id, overlap_s, policy, by
        )

    async def revoke_client_secret(self, client_id: str, secret_id: str, by: Actor) -> Client:
        """Revoke one secret and every token that was issued for it, at once.

        Raises:
            NotFound: there is no such client or secret.
        """
        return await self._state.settle(
            self._forget_tokens, self._revoke_secret, client_id, secret_id, by
        )

    async def revoke_client(self, client_id: str, by: Actor) -> Client:
        """Revoke a client with all its secrets and tokens, at once and for good; repeatable.

        Raises:
            NotFound: there is no such client.
        """
        return await self._state.settle(
            self._state.directory.remember_client, self._revoke_client, client_id, by
        )

    def _create_client(
        self, tx: Tx, operator_id: str, settings: ClientSettings, by: Actor
    ) -> IssuedClientSecret:
        issued = self._append(tx, new_id("cli"), operator_id, settings)
        scopes = sorted(settings.scopes)
        self._audit(tx, by, "client.created", issued.client, name=settings.name, scopes=scopes)
        return issued

    def _append(
        self, tx: Tx, client_id: str, operator_id: str, settings: ClientSettings
    ) -> IssuedClientSecret:
        if store.find_operator(tx, operator_id) is None:
            raise NotFound("Operator not found")
        now_ms = self._state.clock.now_ms()
        secret, text = self._new_secret(client_id, now_ms, settings.signing)
        client = Client(client_id, operator_id, settings, 1, None, now_ms)
        store.append_client(tx, client)
        store.save_client_secrets(tx, client_id, (), (secret,))
        return self._issued(tx, client_id, secret, text)

    def _update_client(
        self, tx: Tx, client_id: str, change: Callable[[ClientSettings], ClientSettings], by: Actor
    ) -> Client:
        client = self._living(tx, client_id)
        settings = change(client.settings)
        check_settings(settings, of_peer=ClientScope.PEER in client.settings.scopes)
        changed = [
            name
            for name in settings.__struct_fields__
            if getattr(settings, name) != getattr(client.settings, name)
        ]
        after = signing.secrets_under(settings.signing, client.secrets, self._state.clock.now_ms())
        store.update_client(tx, replace(client, settings=settings))
        store.save_client_secrets(tx, client_id, client.secrets, after)
        self._audit(tx, by, "client.updated", client, changed=changed)
        return self._read(tx, client_id)

    def _rotate_secret(
        self, tx: Tx, client_id: str, overlap_s: int, policy: SigningPolicy | None, by: Actor
    ) -> IssuedClientSecret:
        client = self._living(tx, client_id)
        settings = replace(client.settings, signing=policy or client.settings.signing)
        now_ms = self._state.clock.now_ms()
        created_ms = rules.next_ms(now_ms, (secret.created_ms for secret in client.secrets))
        secret, text = self._new_secret(client_id, created_ms, settings.signing)
        swapped = rules.secrets_after_swap(client.secrets, secret, now_ms, overlap_s)
        after = signing.secrets_under(settings.signing, swapped, now_ms)
        store.update_client(tx, replace(client, settings=settings))
        store.save_client_secrets(tx, client_id, client.secrets, after)
        details: dict[str, object] = {"secret_id": secret.secret_id, "overlap_s": overlap_s}
        if settings != client.settings:
            details["signing"] = settings.signing.value
        self._audit(tx, by, "client.secret_rotated", client, **details)
        return self._issued(tx, client_id, secret, text)

    def _revoke_secret(self, tx: Tx, client_id: str, secret_id: str, by: Actor) -> Client:
        client = self._read(tx, client_id)
        kept = [secret for secret in client.secrets if secret.secret_id != secret_id]
        if len(kept) == len(client.secrets):
            raise NotFound("Secret not found")
        store.save_client_secrets(tx, client_id, client.secrets, kept)
        self._audit(tx, by, "client.secret_revoked", client, secret_id=secret_id)
        return self._read(tx, client_id)

    def _revoke_client(self, tx: Tx, client_id: str, by: Actor) -> Client:
        client = self._read(tx, client_id)
        if client.revoked_ms is not None:
            return client
        revoked = self._revoke(tx, client)
        self._audit(tx, by, "client.revoked", client)
        return revoked

    def _revoke(self, tx: Tx, client: Client) -> Client:
        revoked_ms = self._state.clock.now_ms()
        store.update_client(
            tx, replace(client, generation=client.generation + 1, revoked_ms=revoked_ms)
        )
        store.save_client_secrets(tx, client.client_id, client.secrets, ())
        return self._read(tx, client.client_id)

    def _read(self, tx: Tx, client_id: str) -> Client:
        tx.lock(f"client:{client_id}")
        return store.get_client(tx, client_id, self._state.next_revision())

    def _living(self, tx: Tx, client_id: str) -> Client:
        client = self._read(tx, client_id)
        if client.revoked_ms is not None:
            raise NotFound("Client is revoked")
        return client

    def _new_secret(
        self, client_id: str, created_ms: int, policy: SigningPolicy
    ) -> tuple[ClientSecret, str]:
        text, secret_id = new_secret("cs"), new_id("sid")
        verifier = self._state.keys.verifier("client", client_id, text)
        sealed = None
        if policy is not SigningPolicy.OFF:
            sealed = self._state.keys.seal(text.encode(), signing.sealing_context(secret_id))
        return ClientSecret(secret_id, verifier, created_ms, sealed=sealed), text

    def _issued(
        self, tx: Tx, client_id: str, secret: ClientSecret, text: str
    ) -> IssuedClientSecret:
        return IssuedClientSecret(secret.secret_id, text, self._read(tx, client_id))

    def _forget_tokens(self, client: Client) -> None:
        self._state.directory.remember_client(client)
        self._state.tokens.forget_verified()

    def _audit(self, tx: Tx, by: Actor, action: str, client: Client, **details: object) -> None:
        resource = ("client", client.client_id)
        self._state.audit(tx, by, action, resource, client.operator_id, **details)


def check_settings(settings: ClientSettings, *, of_peer: bool = False) -> None:
    """Check what an administrator wants for a client; that of a peer is nothing else.

    Raises:
        InvalidParameter: a setting is not sound; names it.
    """
    if not settings.scopes:
        raise InvalidParameter("A client has at least one scope", "scopes")
    for scope in settings.scopes:
        if scope not in list(ClientScope):
            message = "Scopes are read, write, diagnostics and customer_portal"
            raise InvalidParameter(message, "scopes", scope)
    if of_peer != (ClientScope.PEER in settings.scopes) or (of_peer and len(settings.scopes) > 1):
        message = "The scope peer is that of a peer's client, which has no other"
        raise InvalidParameter(message, "scopes", " ".join(sorted(settings.scopes)))
    if settings.vin_mode not in list(VinMode):
        raise InvalidParameter("VIN modes are full, masked, none", "vin_mode", settings.vin_mode)
    _check_customer(settings)
    rules.check_limits(settings.limits)
    rules.parse_networks(settings.allowed_networks)
    rules.check_origins(settings.cors_origins)


def _check_customer(settings: ClientSettings) -> None:
    """Check that a customer's portal, and nothing else, is bound to a customer.

    Raises:
        InvalidParameter: it is not; names the setting.
    """
    is_portal = ClientScope.CUSTOMER_PORTAL in settings.scopes
    if is_portal and len(settings.scopes) > 1:
        message = "The scope customer_portal goes with no other"
        raise InvalidParameter(message, "scopes", " ".join(sorted(settings.scopes)))
    if is_portal and not settings.customer:
        raise InvalidParameter("A client of scope customer_portal names its customer", "customer")
    if settings.customer and not is_portal:
        message = "A customer is named for the scope customer_portal alone"
        raise InvalidParameter(message, "customer", settings.customer)

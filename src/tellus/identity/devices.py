"""Use cases around a device's credentials: secrets overlap, so that none is ever locked out."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.identity import rules, store
from tellus.identity.model import TOKEN_LIFE_S, DeviceRecord, DeviceSecret, IssuedSecret
from tellus.identity.state import IdentityState
from tellus.kernel.call import Principal
from tellus.kernel.errors import Unauthenticated
from tellus.kernel.ids import new_id, new_secret
from tellus.kernel.permits import Permit
from tellus.kernel.units import SECOND_MS
from tellus.storage.database import Tx


class DeviceUseCases:
    """Principals and secrets of devices.

    The methods that take a transaction belong to use cases of the fleet: they change rows alone and
    return the device as it is after them, for ``remember_device`` once the commit is durable.
    """

    def __init__(self, state: IdentityState, secret_life_s: int) -> None:
        self._state = state
        self._secret_life_s = secret_life_s

    def add_device(
        self, tx: Tx, device_no: int, device_id: str, operator_id: str, now_ms: int
    ) -> DeviceRecord:
        """Make a principal for a new device; it has no secret yet."""
        record = DeviceRecord(
            device_no=device_no,
            device_id=device_id,
            operator_id=operator_id,
            generation=1,
            revoked_ms=None,
            created_ms=now_ms,
            revision=self._state.next_revision(),
        )
        store.upsert_device(tx, record)
        return record

    def issue_device_secret(
        self, tx: Tx, device_no: int, now_ms: int, *, replace_unused: bool = True
    ) -> IssuedSecret:
        """Issue a secret; those in use go on working until it is first used, and a day longer.

        Raises:
            NotFound: the device has no principal.
        """
        record = self.read(tx, device_no)
        text = new_secret("sk")
        fresh = DeviceSecret(
            secret_id=new_id("sid"),
            verifier=self._state.keys.verifier("device", record.device_id, text),
            created_ms=rules.next_ms(now_ms, (secret.created_ms for secret in record.secrets)),
            expires_ms=now_ms + self._secret_life_s * SECOND_MS,
        )
        after = rules.secrets_after_issue(
            record.secrets, fresh, now_ms, replace_unused=replace_unused
        )
        store.save_device_secrets(tx, device_no, record.secrets, after)
        return IssuedSecret(text, self._secret_life_s, replace(record, secrets=after))

    def move_device(self, tx: Tx, device_no: int, operator_id: str) -> DeviceRecord:
        """Give a device to another operator; its secrets and tokens stay valid.

        Raises:
            NotFound: the device has no principal.
        """
        record = replace(self.read(tx, device_no), operator_id=operator_id)
        store.upsert_device(tx, record)
        return record

    def revoke_device(self, tx: Tx, device_no: int, now_ms: int) -> DeviceRecord:
        """Revoke a device's secrets and tokens for good; repeatable.

        Raises:
            NotFound: the device has no principal.
        """
        record = self.read(tx, device_no)
        if record.revoked_ms is None:
            store.save_device_secrets(tx, device_no, record.secrets, ())
            record = replace(
                record, generation=record.generation + 1, revoked_ms=now_ms, secrets=()
            )
            store.upsert_device(tx, record)
        return record

    def end_device_tokens(self, tx: Tx, device_nos: Sequence[int]) -> None:
        """Let no token that devices have be good any more; their secrets get them new ones.

        Memory follows with ``refresh_devices``.
        """
        store.raise_device_generations(tx, device_nos)

    def demand_consent(self, device: Permit) -> None:
        """Give devices this permit until the fleet has taken them in."""
        self._state.directory.first_permit = device

    def remember_device(self, record: DeviceRecord) -> Principal:
        """Let memory follow a commit, and return the device's principal.

        Call it on the event loop; records may come in any order, the newest stands.
        """
        return self._state.directory.remember_device(record)

    def find_device(self, device_no: int) -> Principal | None:
        """Return the living object of a device, revoked or not, or None."""
        entry = self._state.directory.device_of(device_no)
        return None if entry is None else entry.principal

    def note_token(self, device_nos: Iterable[int]) -> None:
        """Follow tokens that another node has issued to devices."""
        expires_ms = self._state.clock.now_ms() + TOKEN_LIFE_S * SECOND_MS
        for device_no in device_nos:
            entry = self._state.directory.device_of(device_no)
            if entry is not None:
                entry.last_token_expires_ms = expires_ms

    async def rotate_device_secret(self, device: Principal, request_id: str = "") -> IssuedSecret:
        """Issue another secret to an authenticated device.

        The one in use works until the new one is first used, and a day longer; asking again before
        that replaces the new one. So an answer lost at any point locks nobody out.

        Raises:
            Unauthenticated: the device was revoked meanwhile.
        """
        return await self._state.settle(
            self._remember_issued, self._rotate, device.device_no, request_id
        )

    def _rotate(self, tx: Tx, device_no: int, request_id: str) -> IssuedSecret:
        now_ms = self._state.clock.now_ms()
        issued = self.issue_device_secret(tx, device_no, now_ms)
        record = issued.record
        if record.revoked_ms is not None:
            raise Unauthenticated
        by = Actor(record.device_id, request_id or None)
        resource = ("device", record.device_id)
        self._state.audit(tx, by, "device.secret_rotated", resource, record.operator_id)
        return issued

    def read(self, tx: Tx, device_no: int) -> DeviceRecord:
        """Return a device for change, and let no other transaction change it meanwhile.

        Raises:
            NotFound: the device has no principal.
        """
        tx.lock(f"device-credentials:{device_no}")
        return store.get_device(tx, device_no, self._state.next_revision())

    def _remember_issued(self, issued: IssuedSecret) -> None:
        self.remember_device(issued.record)

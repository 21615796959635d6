"""Registration: how a charger becomes a device, and heals when the answer was lost."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

from tellus.audit.service import record
from tellus.fleet import store, store_metadata, store_state
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.enrolment import EnrolmentTokens
from tellus.fleet.model import DeviceIdentity, Provisioning, Registration
from tellus.fleet.model_metadata import NO_LINK
from tellus.fleet.rules import Claim, Mode, decide_claim
from tellus.fleet.rules_metadata import merge_link
from tellus.identity.model import IssuedSecret, SecretFirstUsed
from tellus.identity.service import IdentityService
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, InvalidParameter
from tellus.kernel.ids import is_identifier, new_id
from tellus.kernel.limits import REGISTER_PER_SERIAL, refuse_after
from tellus.kernel.windows import KeyedWindows, RollingWindow, SharedWindows, take_together
from tellus.storage.database import Database, Tx
from tellus.storage.instance import note_instance_value
from tellus.storage.settling import Settling

_REFUSED_KEY = "unknown_serial_refused_ms"

Figures = tuple[float | None, bool | None]
"""Rated power (kW) and whether the device can discharge, as set for it; None where nothing was."""


class RegistrationRefused(Conflict):
    """The serial number cannot be registered; the answer tells no more than that.

    Unknown, taken, wrong proof and outside the claim window look alike, so that register is no
    oracle.
    """

    def __init__(self) -> None:
        super().__init__("This serial number cannot be registered")


@dataclass(frozen=True, slots=True)
class RegistrationSettings:
    """Who may register; ``limit_scale`` multiplies the limit of calls per serial number."""

    mode: Mode = Mode.ALLOWLIST
    limit_scale: float = 1.0


class RegisterCall(NamedTuple):
    """Where a register call came from, and the enrolment token it carried, if any.

    ``recorded`` False keeps its refusal out of the audit log: enough of them are in it.
    """

    enrolment: str
    address: str
    request_id: str
    now_ms: int
    recorded: bool = True


class Claimed(NamedTuple):
    """A device that may be told its secret."""

    device_no: int
    device_id: str
    place: tuple[str, str]
    figures: Figures
    connectors: int
    secret: IssuedSecret


class RegistrationService:
    """Registers chargers, in the transaction of the credentials they get."""

    def __init__(
        self,
        database: Database,
        identity: IdentityService,
        directory: Directory,
        catalogue: Catalogue,
        tokens: EnrolmentTokens,
        settings: RegistrationSettings,
        clock: Clock,
    ) -> None:
        self._settling = Settling(database)
        self._identity = identity
        self._directory = directory
        self._catalogue = catalogue
        self._tokens = tokens
        self._settings = settings
        self._clock = clock
        self._default_place = ("", "")
        self.refused = dict.fromkeys(Claim, 0)
        # Refusals are counted by serial number, and all calls by serial number and proof: whoever
        # guesses is stopped, and uses up nothing of what the charger with the right proof may call.
        self._calls = _windows(settings.limit_scale)
        self._refusals = _windows(settings.limit_scale)
        self.shared: SharedWindows | None = None

    def use_default_place(self, operator_id: str, site_id: str) -> None:
        """Put chargers that nobody expected there; to be called before the first of them comes."""
        self._default_place = (operator_id, site_id)

    async def register(self, identity: DeviceIdentity, call: RegisterCall) -> Claimed:
        """Return the device that a charger is, with a fresh secret.

        Raises:
            InvalidParameter: the serial number has characters that no identifier may have.
            TooManyRequests: in an hour more than 5 calls for this serial number with this proof, or
                more than 5 that were refused.
            RegistrationRefused: unknown, taken, wrong proof, or outside the claim window.
        """
        if not is_identifier(identity.sn):
            message = "Parameter 'sn' must be 1 to 64 letters, digits, or . _ : -"
            raise InvalidParameter(message, "sn", identity.sn)
        now_s = self._clock.monotonic_s()
        calls = (identity.sn, self._tokens.fingerprint(call.enrolment))
        await self._take_or_refuse(self._calls, calls, now_s)
        call = call._replace(recorded=self._refusals.wait_s(identity.sn, now_s) == 0.0)
        outcome = await self._settling.settle(
            lambda claimed: self._remember(claimed, identity, call.now_ms),
            self._claim,
            identity,
            call,
        )
        if isinstance(outcome, Claim):
            self.refused[outcome] += 1
            await self._take_or_refuse(self._refusals, identity.sn, now_s)
            raise RegistrationRefused
        return outcome

    async def _take_or_refuse(
        self, windows: KeyedWindows[RollingWindow], key: Hashable, now_s: float
    ) -> None:
        name = f"register:{windows is self._refusals}:{key}"
        refuse_after(await take_together(self.shared, name, windows.use(key, now_s), now_s))

    def activate(self, tx: Tx, fact: SecretFirstUsed) -> None:
        """End the pending state of a device, in the transaction that first used its secret."""
        if not store.mark_active(tx, fact.device_no, fact.now_ms):
            return
        store_metadata.note_activated(tx, fact.device_no, fact.now_ms)
        known = self._directory.by_no(fact.device_no)
        device_id = known.device_id if known else str(fact.device_no)
        operator_id = known.operator_id if known else None
        record(
            tx, device_id, "device.activated", "device", device_id, operator_id, None, fact.now_ms
        )

    def note_active(self, fact: SecretFirstUsed) -> None:
        """Let memory follow ``activate``, after its commit."""
        device = self._directory.by_no(fact.device_no)
        if device is not None:
            device.active = True

    def _claim(self, tx: Tx, identity: DeviceIdentity, call: RegisterCall) -> Claimed | Claim:
        tx.lock(f"serial:{identity.sn}")
        provisioning = store.find_provisioning(tx, identity.sn)
        device = store.find_registration(tx, identity.sn)
        proof = self._tokens.fingerprint(call.enrolment)
        proved = provisioning is not None and self._tokens.is_token_of(provisioning, call.enrolment)
        claim = decide_claim(
            self._settings.mode,
            provisioning,
            device,
            proved=proved,
            proof=proof,
            now_ms=call.now_ms,
        )
        if claim is Claim.CREATE:
            claimed = self._create(tx, identity, provisioning, proof, call)
            return _note_link(tx, claimed, identity, call.now_ms)
        if claim is Claim.RENEW and device is not None:
            claimed = self._renew(tx, identity, device, proof, call)
            return _note_link(tx, claimed, identity, call.now_ms)
        self._record_refusal(tx, identity.sn, provisioning, device, claim, call)
        return claim

    def _create(
        self,
        tx: Tx,
        identity: DeviceIdentity,
        provisioning: Provisioning | None,
        proof: bytes,
        call: RegisterCall,
    ) -> Claimed:
        device_id = new_id("dvc")
        place, figures, connectors = self._plan(identity, provisioning)
        device_no = store.insert_device(tx, device_id, identity, place, figures, proof, call.now_ms)
        keys = [(device_no, connector_id) for connector_id in range(1, connectors + 1)]
        store_state.append_connectors(tx, keys, call.now_ms)
        self._identity.add_device(tx, device_no, device_id, place[0], call.now_ms)
        secret = self._identity.issue_device_secret(tx, device_no, call.now_ms)
        self._record(tx, "device.registered", device_id, place[0], identity.sn, call)
        return Claimed(device_no, device_id, place, figures, connectors, secret)

    def _plan(
        self, identity: DeviceIdentity, provisioning: Provisioning | None
    ) -> tuple[tuple[str, str], Figures, int]:
        """Return where a new device goes, its own figures, and how many connectors it has.

        What the provisioning says goes before what the charger says of itself; figures that follow
        from the model are not copied.
        """
        said = self._catalogue.find(identity.model)
        if provisioning is None:
            return self._default_place, (None, None), said.connectors if said else 0
        rated_power_kw, v2g = provisioning.rated_power_kw, provisioning.v2g
        expected = self._catalogue.find(provisioning.model or identity.model)
        if expected is not None and expected is not said:
            rated_power_kw = rated_power_kw or expected.rated_power_kw
            v2g = expected.v2g if v2g is None else v2g
        model = expected or said
        connectors = provisioning.connectors or (model.connectors if model else 0)
        place = (provisioning.operator_id, provisioning.site_id)
        return place, (rated_power_kw, v2g), connectors

    def _renew(
        self,
        tx: Tx,
        identity: DeviceIdentity,
        device: Registration,
        proof: bytes,
        call: RegisterCall,
    ) -> Claimed:
        # Credentials before the row, in the order in which the first use of a secret takes them.
        secret = self._identity.issue_device_secret(
            tx, device.device_no, call.now_ms, replace_unused=True
        )
        store.update_identity(tx, device.device_no, identity, proof, call.now_ms)
        action = "device.reclaimed" if device.active else "device.registered_again"
        self._record(tx, action, device.device_id, device.operator_id, identity.sn, call)
        place = (device.operator_id, device.site_id)
        return Claimed(device.device_no, device.device_id, place, (None, None), 0, secret)

    def _remember(self, claimed: Claimed | Claim, identity: DeviceIdentity, now_ms: int) -> None:
        if isinstance(claimed, Claim):
            return
        principal = self._identity.remember_device(claimed.secret.record)
        device = self._directory.by_no(claimed.device_no)
        if device is None:
            device = Device(claimed.device_no, claimed.device_id, identity.sn, *claimed.place)
            device.rated_power_kw, device.v2g = claimed.figures
            device.created_ms = now_ms
            for connector_id in range(1, claimed.connectors + 1):
                device.connectors[connector_id] = Connector(connector_id)
            self._directory.add(device)
        device.model = identity.model
        self._directory.attach(device, principal)
        device.manufacturer = identity.manufacturer
        device.firmware_version = identity.firmware_version
        device.mac = identity.mac or device.mac

    def _record(
        self, tx: Tx, action: str, device_id: str, operator_id: str, sn: str, call: RegisterCall
    ) -> None:
        record(
            tx,
            device_id,
            action,
            "device",
            device_id,
            operator_id,
            call.request_id or None,
            call.now_ms,
            sn=sn,
            address=call.address,
        )

    def _record_refusal(
        self,
        tx: Tx,
        sn: str,
        provisioning: Provisioning | None,
        device: Registration | None,
        claim: Claim,
        call: RegisterCall,
    ) -> None:
        """Record a conflict about a serial number that means something here.

        Others are counted only: anybody could fill the log with made-up ones. They are written to
        one row all the same: a commit that has nothing to sync answers sooner, and would tell an
        unknown serial number from one that is expected.
        """
        owner = device or provisioning
        if owner is None or not call.recorded:
            note_instance_value(tx, _REFUSED_KEY, str(call.now_ms))
            return
        record(
            tx,
            "unknown",
            "device.registration_refused",
            "device",
            device.device_id if device else sn,
            owner.operator_id,
            call.request_id or None,
            call.now_ms,
            sn=sn,
            address=call.address,
            reason=claim.value,
        )


def _note_link(tx: Tx, claimed: Claimed, identity: DeviceIdentity, now_ms: int) -> Claimed:
    """Write how a charger says it is connected, if it does."""
    if identity.link is not None:
        known = store_metadata.read_links(tx, [claimed.device_no]).get(claimed.device_no, NO_LINK)
        link = merge_link(known, identity.link)
        store_metadata.upsert_links(tx, [(claimed.device_no, link, now_ms)])
    return claimed


def _windows(scale: float) -> KeyedWindows[RollingWindow]:
    return KeyedWindows(lambda: REGISTER_PER_SERIAL.window(scale))

"""Use cases of consent: grant, revoke, list; and what follows when one is over."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.consent import rules, store
from tellus.consent.index import Builds, ConsentIndex
from tellus.consent.model import (
    BIT,
    Consent,
    ConsentFilter,
    FirmwareTooOld,
    Place,
    Scope,
    Service,
    State,
    services_in,
)
from tellus.identity.service import IdentityService
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.permits import Judged
from tellus.storage.database import Database, Tx

_LAPSED_AT_ONCE: Final = 100


class Covered(NamedTuple):
    """A device that a consent covers."""

    device_no: int
    place: Place


class Withdrawn(NamedTuple):
    """Consents are over: what each device that they covered may be used for now, by its number.

    ``device_ids`` are their identifiers, by number.
    """

    services: dict[int, int]
    device_ids: dict[int, str]
    now_ms: int


class Ended(NamedTuple):
    """Consents that are over, as stored, and the devices that are left without any service."""

    consents: tuple[Consent, ...]
    silenced: tuple[int, ...]
    withdrawn: Withdrawn


class Places(Protocol):
    """What consent has to be told of the fleet above it."""

    def find(self, tx: Tx, scope: Scope, scope_id: str) -> str | None:
        """Return whose a device, site or operator is; None where there is none such."""
        ...

    def covered(self, tx: Tx, scope: Scope, scope_id: str) -> list[Covered]:
        """Return all living devices that a consent covers, as stored."""
        ...

    def numbered(self, tx: Tx, device_nos: Sequence[int]) -> list[Covered]:
        """Return those of some devices that are living, as stored."""
        ...

    def void(self, scope: Scope, scope_id: str) -> None:
        """Have the permits of what a consent covers judged again."""
        ...

    def void_all(self) -> None:
        """Have all permits judged again."""
        ...


class ConsentRevoked(Conflict):
    """4001: the consent is over already."""

    def __init__(self, state: State) -> None:
        super().__init__("This consent is over already", state=state.value)


class ConsentService:
    """Consents of all devices; ``start`` reads them back.

    Where consent is not ``required`` they are kept and listed, and nothing rests on them: the
    installation's own fleet needs none, and its firmware is nobody's condition.
    """

    def __init__(
        self, database: Database, identity: IdentityService, clock: Clock, *, required: bool
    ) -> None:
        self._database = database
        self._identity = identity
        self._clock = clock
        self._index = ConsentIndex()
        self._barrier = _Barrier()
        self.required = required
        self.places: Places
        self.in_tx: list[Callable[[Tx, Withdrawn], None]] = []
        """Called in the transaction in which consents end."""
        self.after_commit: list[Callable[[Withdrawn], None]] = []
        """Called on the event loop once that is durable and memory has followed."""
        self.drain: Callable[[Collection[int]], Awaitable[None]] | None = None
        """Returns once nothing that these devices were admitted with is under way any more."""

    # ------------------------------------------------------------------- asking

    def judge(self, place: Place, now_ms: int) -> Judged:
        """Return what a device may be used for, as bits, and until when that holds (ms)."""
        return self._index.judge(place, now_ms)

    def covers_operator(self, operator_id: str, service: Service, now_ms: int) -> bool:
        """Tell whether a service is agreed to for all that an operator has, present and to come."""
        return not self.required or self._index.covers_operator(operator_id, service, now_ms)

    def list_withheld(
        self, service: Service, tx: Tx, device_nos: Collection[int]
    ) -> frozenset[int]:
        """Return those of some devices without consent for a service, as the transaction sees it.

        Permits are the event loop's alone; this is for whoever works in a transaction.
        """
        if not self.required or not device_nos:
            return frozenset()
        covered = self.places.numbered(tx, sorted(device_nos))
        services = self._judge_stored(tx, covered, self._clock.now_ms())
        return frozenset(number for number in services if not services[number] & BIT[service])

    def is_too_old(self, model: str, version: str) -> bool:
        """Tell whether a device has to be upgraded before consent for it can be granted."""
        return self._index.is_too_old(model, version)

    def use_builds(self, builds: Builds) -> None:
        """Take over which dated builds versions are, by model and version."""
        if builds != self._index.builds:
            self._index.builds = builds
            self.places.void_all()

    def state_of(self, consent: Consent) -> State:
        """Return where a consent stands now."""
        return rules.state_of(consent, self._clock.now_ms())

    async def list_consents(
        self, wanted: ConsentFilter, offset: int, size: int
    ) -> tuple[int, list[Consent]]:
        """Return how many consents match and one page of them, newest first."""
        return await self._database.read(store.list_consents, wanted, offset, size)

    async def find_place(self, device_id: str) -> Place:
        """Return by which consents a device can be covered.

        Raises:
            NotFound: there is no such device.
        """
        found = await self._database.read(self.places.covered, Scope.DEVICE, device_id)
        if not found:
            raise NotFound
        return found[0].place

    async def get_consent(self, consent_id: str) -> Consent:
        """Return a consent.

        Raises:
            NotFound: there is none such.
        """
        consent = await self._database.read(store.find_consent, consent_id)
        if consent is None:
            raise NotFound
        return consent

    # ----------------------------------------------------------------- deciding

    async def grant(self, wanted: Consent, by: Actor) -> Consent:
        """Store a consent; its ``operator_id`` is taken from what it covers.

        Raises:
            NotFound: there is no such device, site or operator.
            InvalidParameter: it would be over before it begins, or is over already.
            FirmwareTooOld: the device cannot speak to a second platform yet.
        """
        if wanted.to_ms is not None and wanted.to_ms <= max(wanted.from_ms, wanted.created_ms):
            message = "Parameter 'to' must lie after 'from', and in the future"
            raise InvalidParameter(message, "to")
        consent = await self._database.write(self._grant, wanted, by)
        self._follow(consent)
        return consent

    async def revoke(self, consent_id: str, reason: str | None, by: Actor) -> Consent:
        """End a consent at once. When this returns, nothing more is stored or delivered by it.

        Raises:
            NotFound: there is none such.
            ConsentRevoked: it is over already.
        """
        ended = await self._database.write(self._revoke, consent_id, reason, by)
        await self._settle(ended)
        return ended.consents[0]

    async def turn(self) -> None:
        """Do what has to follow consents whose time has passed; their services are off already."""
        end_ms = self._index.next_end_ms()
        now_ms = self._clock.now_ms()
        if end_ms is not None and end_ms <= now_ms:
            await self._settle(await self._database.write(self._lapse, now_ms))

    def _grant(self, tx: Tx, wanted: Consent, by: Actor) -> Consent:
        operator_id = self.places.find(tx, wanted.scope, wanted.scope_id)
        if operator_id is None:
            raise NotFound
        if self.required and not rules.is_for_upgrades_alone(wanted.services):
            self._check_firmware(tx, wanted)
        consent = msgspec.structs.replace(wanted, operator_id=operator_id, created_by=by.name)
        store.append_consent(tx, consent)
        self._audit(tx, consent, "consent.granted", by, consent.created_ms)
        return consent

    def _check_firmware(self, tx: Tx, wanted: Consent) -> None:
        """Refuse a device that has to be upgraded first; one in a site or operator waits."""
        if wanted.scope is Scope.DEVICE:
            for covered in self.places.covered(tx, wanted.scope, wanted.scope_id):
                place = covered.place
                if self._index.is_too_old(place.model, place.firmware_version):
                    raise FirmwareTooOld(wanted.scope_id, place.firmware_version)

    def _revoke(self, tx: Tx, consent_id: str, reason: str | None, by: Actor) -> Ended:
        tx.lock("consents")
        now_ms = self._clock.now_ms()
        consent = store.find_consent(tx, consent_id)
        if consent is None:
            raise NotFound
        state = rules.state_of(consent, now_ms)
        if state in {State.REVOKED, State.EXPIRED}:
            raise ConsentRevoked(state)
        revoked = msgspec.structs.replace(
            consent, revoked_ms=now_ms, revoked_by=by.name, revoke_reason=reason, ended_ms=now_ms
        )
        store.set_revoked(tx, revoked)
        self._audit(tx, revoked, "consent.revoked", by, now_ms)
        return self._withdraw(tx, (revoked,), now_ms)

    def _lapse(self, tx: Tx, now_ms: int) -> Ended:
        tx.lock("consents")
        lapsed = store.list_lapsed(tx, now_ms, _LAPSED_AT_ONCE)
        store.set_ended(tx, [consent.consent_id for consent in lapsed], now_ms)
        ended = [msgspec.structs.replace(consent, ended_ms=now_ms) for consent in lapsed]
        return self._withdraw(tx, ended, now_ms)

    def _withdraw(self, tx: Tx, ended: Iterable[Consent], now_ms: int) -> Ended:
        """Take back what rests on consents that are over, in the transaction in which they end."""
        consents = tuple(ended)
        if not self.required:
            return Ended(consents, (), Withdrawn({}, {}, now_ms))
        covered: dict[int, Covered] = {}
        for consent in consents:
            found = self.places.covered(tx, consent.scope, consent.scope_id)
            covered.update({one.device_no: one for one in found})
        services = self._judge_stored(tx, covered.values(), now_ms)
        silenced = tuple(device_no for device_no, bits in services.items() if not bits)
        self._identity.end_device_tokens(tx, silenced)
        device_ids = {number: one.place.device_id for number, one in covered.items()}
        withdrawn = Withdrawn(services, device_ids, now_ms)
        for tell in self.in_tx:
            tell(tx, withdrawn)
        return Ended(consents, silenced, withdrawn)

    def _judge_stored(self, tx: Tx, covered: Iterable[Covered], now_ms: int) -> dict[int, int]:
        """Return what devices may be used for, as the transaction sees it."""
        devices = list(covered)
        names = {name for one in devices for name in one.place[:3]}
        index = ConsentIndex(self._index.builds)
        for consent in store.list_covering(tx, sorted(names)):
            index.put(consent)
        return {one.device_no: index.judge(one.place, now_ms)[0] for one in devices}

    async def _settle(self, ended: Ended) -> None:
        """Let memory follow, then wait until what was let in before has left the queue."""
        for consent in ended.consents:
            self._follow(consent)
        if not self.required:
            return
        await self._identity.refresh_devices(ended.silenced)
        for tell in self.after_commit:
            tell(ended.withdrawn)
        if self.drain is not None:
            await self.drain(ended.withdrawn.services.keys())
        await self._database.submit(self._barrier, None)

    def _audit(self, tx: Tx, consent: Consent, action: str, by: Actor, now_ms: int) -> None:
        record(
            tx,
            by.name,
            action,
            "consent",
            consent.consent_id,
            consent.operator_id,
            by.request_id,
            now_ms,
            scope=consent.scope.value,
            scope_id=consent.scope_id,
            services=[service.value for service in services_in(consent.services)],
            granted_by=consent.granted_by,
        )

    # ------------------------------------------------------------------- memory

    async def start(self) -> None:
        """Read back all consents that are not over."""
        await self.refresh_all()

    async def refresh(self, consent_ids: Sequence[str]) -> None:
        """Take over consents as they are stored: another node has written them."""
        for consent in await self._database.read(store.list_by_ids, consent_ids):
            self._follow(consent)

    async def refresh_all(self) -> None:
        """Take over everything as it is stored."""
        consents = await self._database.read(store.list_unended)
        self._index.keep_only(consent.consent_id for consent in consents)
        for consent in consents:
            self._index.put(consent)
        self.places.void_all()

    def _follow(self, consent: Consent) -> None:
        self._index.put(consent)
        self.places.void(consent.scope, consent.scope_id)


class _Barrier:
    """A hot operation that does nothing: what was queued before it is durable before it is."""

    name = "consent_barrier"

    def apply_many(self, tx: Tx, operations: Sequence[None]) -> list[None]:
        """Do nothing."""
        del tx
        return list(operations)

    def after_commit(self, operations: Sequence[None], outcomes: Sequence[None]) -> None:
        """Do nothing."""

"""Use cases of transfers: where destinations are, grants, and what is held back without one."""

from typing import Generic, TypeVar

import msgspec

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.delivery.engine import Courier
from tellus.delivery.model import Outcome, Owed, Verdict
from tellus.kernel.call import Principal
from tellus.kernel.clock import Clock
from tellus.kernel.errors import InvalidParameter, NotFound
from tellus.storage.database import Database, Tx
from tellus.transfers import rules, store
from tellus.transfers.model import (
    Destination,
    GrantOver,
    GrantState,
    RegionRefused,
    TransferGrant,
    TransferKind,
)

D_contra = TypeVar("D_contra", contravariant=True)


P_contra = TypeVar("P_contra", bound=Owed, contravariant=True)


class TransferService:
    """What leaves ``region``; it keeps nothing in memory, so there may be several."""

    def __init__(self, database: Database, region: str, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.region = region

    # ----------------------------------------------------------------- checking

    async def withheld_from(self, destination_id: str, kind: TransferKind) -> str | None:
        """Return the region because of which a destination gets nothing of a kind, else None."""
        return await self._database.read(
            self._withheld_from, destination_id, kind, self._clock.now_ms()
        )

    async def admit_export(self, principal: Principal) -> None:
        """Check that a caller may take data away as a file.

        Raises:
            RegionRefused: it is in another region, and there is no grant.
        """
        to_region = await self.withheld_from(principal.principal_id, TransferKind.EXPORTS)
        if to_region is not None:
            raise RegionRefused(self.region, to_region)

    def _withheld_from(
        self, tx: Tx, destination_id: str, kind: TransferKind, now_ms: int
    ) -> str | None:
        found = store.find_destination(tx, destination_id)
        if found is None or found.region == self.region:
            return None
        grants = store.list_for(tx, found.operator_id, found.region)
        return None if rules.is_covered(grants, kind, now_ms) else found.region

    def state_of(self, grant: TransferGrant) -> GrantState:
        """Return where a grant stands now."""
        return rules.state_of(grant, self._clock.now_ms())

    # ------------------------------------------------------------- destinations

    async def place(self, destination_id: str, region: str, by: Actor) -> Destination:
        """State in which region a client, a webhook or a peer is.

        Raises:
            NotFound: there is no such one.
        """
        return await self._database.write(
            self._place, destination_id, region, by, self._clock.now_ms()
        )

    def _place(
        self, tx: Tx, destination_id: str, region: str, by: Actor, now_ms: int
    ) -> Destination:
        owner = store.find_owner(tx, destination_id)
        if owner is None:
            raise NotFound
        kind, operator_id = owner
        placed = Destination(destination_id, kind, operator_id, region, now_ms, by.name)
        store.save_destination(tx, placed)
        record(
            tx, by.name, "destination.placed", kind.value, destination_id, operator_id,
            by.request_id, now_ms, region=region,
        )  # fmt: skip
        return placed

    async def list_destinations(
        self, operator_id: str | None, offset: int, size: int
    ) -> tuple[int, list[Destination]]:
        """Return how many destinations have a region stated, and a page of them."""
        return await self._database.read(store.list_destinations, operator_id, offset, size)

    # ------------------------------------------------------------------- grants

    async def grant(self, wanted: TransferGrant, by: Actor) -> TransferGrant:
        """Store a grant.

        Raises:
            NotFound: there is no such operator.
            InvalidParameter: it would be over before it begins, or is for the region that data is
                in anyway.
        """
        if wanted.to_ms is not None and wanted.to_ms <= max(wanted.from_ms, wanted.created_ms):
            message = "Parameter 'to' must lie after 'from', and in the future"
            raise InvalidParameter(message, "to")
        if wanted.to_region == self.region:
            message = f"Data is in region {self.region} anyway"
            raise InvalidParameter(message, "to_region", wanted.to_region)
        made = msgspec.structs.replace(wanted, created_by=by.name)
        return await self._database.write(self._grant, made, by)

    def _grant(self, tx: Tx, made: TransferGrant, by: Actor) -> TransferGrant:
        if not store.has_operator(tx, made.operator_id):
            raise NotFound
        store.append_grant(tx, made)
        _audit(tx, made, "transfer_grant.created", by, made.created_ms)
        return made

    async def revoke(self, grant_id: str, reason: str | None, by: Actor) -> TransferGrant:
        """End a grant at once and for good.

        Raises:
            NotFound: there is none such.
            GrantOver: it is over already.
        """
        return await self._database.write(self._revoke, grant_id, reason, by, self._clock.now_ms())

    def _revoke(
        self, tx: Tx, grant_id: str, reason: str | None, by: Actor, now_ms: int
    ) -> TransferGrant:
        tx.lock(f"transfer_grant:{grant_id}")
        found = store.find_grant(tx, grant_id)
        if found is None:
            raise NotFound
        state = rules.state_of(found, now_ms)
        if state in {GrantState.REVOKED, GrantState.EXPIRED}:
            raise GrantOver(state)
        revoked = msgspec.structs.replace(
            found, revoked_ms=now_ms, revoked_by=by.name, revoke_reason=reason
        )
        store.save_revoked(tx, revoked)
        _audit(tx, revoked, "transfer_grant.revoked", by, now_ms)
        return revoked

    async def get_grant(self, grant_id: str) -> TransferGrant:
        """Return a grant.

        Raises:
            NotFound: there is none such.
        """
        found = await self._database.read(store.find_grant, grant_id)
        if found is None:
            raise NotFound
        return found

    async def list_grants(
        self, operator_id: str | None, offset: int, size: int
    ) -> tuple[int, list[TransferGrant]]:
        """Return how many grants there are and one page of them, newest first."""
        return await self._database.read(store.list_grants, operator_id, offset, size)


class RegionalCourier(Generic[D_contra, P_contra]):
    """A courier that sends nothing to another region without a grant: the attempt fails."""

    def __init__(
        self, courier: Courier[D_contra, P_contra], transfers: TransferService, kind: TransferKind
    ) -> None:
        self._courier = courier
        self._transfers = transfers
        self._kind = kind

    async def send(self, to: D_contra, push: P_contra) -> Verdict:
        """Return how it went."""
        if await self._transfers.withheld_from(push.receiver_id, self._kind) is not None:
            return Verdict(Outcome.REGION)
        return await self._courier.send(to, push)

    async def close(self) -> None:
        """Let go of what it holds."""
        await self._courier.close()


def _audit(tx: Tx, grant: TransferGrant, action: str, by: Actor, now_ms: int) -> None:
    record(
        tx, by.name, action, "transfer_grant", grant.grant_id, grant.operator_id, by.request_id,
        now_ms, to_region=grant.to_region, kinds=sorted(grant.kinds), granted_by=grant.granted_by,
    )  # fmt: skip

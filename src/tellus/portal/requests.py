"""What customers ask for, and how it is answered."""

from typing import Final, NamedTuple

import msgspec

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.consent.model import services_in
from tellus.fleet.erasure import ErasureService
from tellus.kernel.clock import Clock
from tellus.kernel.errors import NotFound, TooManyRequests
from tellus.kernel.ids import new_id
from tellus.portal import store
from tellus.portal.model import (
    Charger,
    Customer,
    CustomerRequest,
    NeedsAdministrator,
    RequestAnswered,
    RequestFilter,
    RequestKind,
    RequestStatus,
    Verdict,
)
from tellus.portal.service import PortalService
from tellus.storage.database import Database, Tx

MOST_OPEN: Final = 100
"""How many requests of one customer may wait for an answer."""

_RETRY_AFTER_S: Final = 3_600


class Wish(NamedTuple):
    """What a customer would like changed: of one charger or one consent; services as bits."""

    device_id: str | None
    consent_id: str | None
    services: int
    note: str | None


class RequestService:
    """Requests of customers: stored, listed to the operator, answered once."""

    def __init__(
        self, database: Database, portal: PortalService, erasures: ErasureService, clock: Clock
    ) -> None:
        self._database = database
        self._portal = portal
        self._erasures = erasures
        self._clock = clock

    # ------------------------------------------------------------------- asking

    async def ask_change(self, customer: Customer, wish: Wish, by: Actor) -> CustomerRequest:
        """Store that a customer wants other services.

        Raises:
            NotFound: charger or consent is none of the customer's.
            TooManyRequests: too many of the customer's requests wait for an answer.
        """
        charger = None
        if wish.device_id is not None:
            charger = await self._portal.get_charger(customer, wish.device_id)
        if wish.consent_id is not None:
            await self._portal.get_consent(customer, wish.consent_id)
        made = self._make(RequestKind.CHANGE, customer, charger, by)
        made = msgspec.structs.replace(
            made, consent_id=wish.consent_id, services=wish.services, note=wish.note
        )
        return await self._database.write(self._append, made, by)

    async def ask_erasure(
        self, customer: Customer, device_id: str, note: str | None, by: Actor
    ) -> CustomerRequest:
        """Store that a customer wants a charger erased; while one waits it is that one.

        Raises:
            NotFound: it is none of the customer's chargers.
            TooManyRequests: too many of the customer's requests wait for an answer.
        """
        charger = await self._portal.get_charger(customer, device_id)
        made = self._make(RequestKind.ERASURE, customer, charger, by)
        made = msgspec.structs.replace(made, note=note)
        return await self._database.write(self._append, made, by)

    def _make(
        self, kind: RequestKind, customer: Customer, charger: Charger | None, by: Actor
    ) -> CustomerRequest:
        return CustomerRequest(
            request_id=new_id("crq"),
            kind=kind,
            operator_id=customer.operator_id,
            customer=customer.name,
            device_no=None if charger is None else charger.device_no,
            device_id=None if charger is None else charger.device_id,
            consent_id=None,
            services=0,
            note=None,
            status=RequestStatus.OPEN,
            created_ms=self._clock.now_ms(),
            created_by=by.name,
        )

    def _append(self, tx: Tx, made: CustomerRequest, by: Actor) -> CustomerRequest:
        tx.lock(f"customer:{made.operator_id}:{made.customer}")
        if made.kind is RequestKind.ERASURE and made.device_no is not None:
            waiting = store.find_open(tx, made.kind, made.device_no, made.customer)
            if waiting is not None:
                return waiting
        if store.count_open(tx, made.operator_id, made.customer) >= MOST_OPEN:
            message = f"{MOST_OPEN} requests of this customer wait for an answer"
            raise TooManyRequests(_RETRY_AFTER_S, message)
        store.append_request(tx, made)
        _audit(tx, made, "customer_request.created", by, made.created_ms)
        return made

    # ---------------------------------------------------------------- answering

    async def list_requests(
        self, wanted: RequestFilter, offset: int, size: int
    ) -> tuple[int, list[CustomerRequest]]:
        """Return how many requests match and one page of them, newest first."""
        return await self._database.read(store.list_requests, wanted, offset, size)

    async def answer(
        self, request_id: str, operator_id: str | None, verdict: Verdict, by: Actor
    ) -> CustomerRequest:
        """Answer a request, once; ``operator_id`` None answers as an administrator.

        An erasure that is accepted begins at once. A change that is accepted changes nothing by
        itself: consent is granted by whoever may do so.

        Raises:
            NotFound: there is no such request, or it is another operator's.
            RequestAnswered: it has been answered already.
            NeedsAdministrator: it is an erasure, and an operator answers.
        """
        found = await self._database.read(store.find_request, request_id)
        if found is None or operator_id not in (None, found.operator_id):
            raise NotFound
        if found.kind is RequestKind.ERASURE and operator_id is not None:
            raise NeedsAdministrator
        if found.status is not RequestStatus.OPEN:
            raise RequestAnswered(found.status)
        erasure_id = None
        is_erasure = found.kind is RequestKind.ERASURE and found.device_id is not None
        if is_erasure and verdict.status is RequestStatus.ACCEPTED:
            # Asked for twice it is the same erasure, so it may go before what is said of it.
            erasure_id = (await self._erasures.erase_device(found.device_id or "", by)).erasure_id
        return await self._database.write(self._answer, request_id, verdict, erasure_id, by)

    def _answer(
        self, tx: Tx, request_id: str, verdict: Verdict, erasure_id: str | None, by: Actor
    ) -> CustomerRequest:
        tx.lock(f"customer_request:{request_id}")
        found = store.find_request(tx, request_id)
        if found is None:
            raise NotFound
        if found.status is not RequestStatus.OPEN:
            raise RequestAnswered(found.status)
        now_ms = self._clock.now_ms()
        answered = msgspec.structs.replace(
            found,
            status=verdict.status,
            answered_ms=now_ms,
            answered_by=by.name,
            answer=verdict.note,
            erasure_id=erasure_id,
        )
        store.save_answer(tx, answered)
        _audit(tx, answered, f"customer_request.{verdict.status.value}", by, now_ms)
        return answered


def _audit(tx: Tx, request: CustomerRequest, action: str, by: Actor, now_ms: int) -> None:
    record(
        tx,
        by.name,
        action,
        "customer_request",
        request.request_id,
        request.operator_id,
        by.request_id,
        now_ms,
        kind=request.kind.value,
        device_id=request.device_id,
        consent_id=request.consent_id,
        services=[service.value for service in services_in(request.services)],
    )

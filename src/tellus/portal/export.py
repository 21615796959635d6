"""All data of a charger in the time of its customer's consents, as lines of JSON."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.consent.model import Consent, services_in
from tellus.kernel.call import Principal
from tellus.kernel.clock import Clock
from tellus.kernel.files import FileAnswer
from tellus.kernel.units import to_text
from tellus.portal import rules
from tellus.portal.model import Charger, Customer, Span
from tellus.portal.service import PortalService
from tellus.storage.database import Database, Tx

MEDIA_TYPE: Final = "application/x-ndjson"
_READERS_AT_ONCE: Final = 500


class Asked(NamedTuple):
    """Of which charger data is asked for, by whom, of which time ``[from_ms, to_ms)``."""

    principal: Principal
    device_id: str
    connector_ids: tuple[int, ...]
    from_ms: int
    to_ms: int
    now_ms: int


class Sources(Protocol):
    """Where the data of a charger comes from, kind by kind."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds there are, in the order in which they are written."""
        ...

    def read(self, kind: str, asked: Asked) -> AsyncIterator[Sequence[Any]]:
        """Yield the items of a kind, some at a time, as the operator's surface shows them."""
        ...


class ExportService:
    """Writes exports; ``sources`` is set once there are any."""

    def __init__(self, database: Database, portal: PortalService, clock: Clock) -> None:
        self._database = database
        self._portal = portal
        self._clock = clock
        self.sources: Sources

    async def export(
        self, customer: Customer, device_id: str, principal: Principal, by: Actor
    ) -> FileAnswer:
        """Return all that is kept of a charger from the time of the customer's consents.

        A line for each thing, ``{"kind": …, "data": {…}}``; the last is of the kind ``end`` and
        counts the others, so that a file that broke off can be told.

        Raises:
            NotFound: it is none of the customer's chargers.
        """
        charger = await self._portal.get_charger(customer, device_id)
        now_ms = self._clock.now_ms()
        await self._database.write(_audit, charger, customer.operator_id, by, now_ms)
        pieces = self._lines(customer, charger, principal, now_ms)
        return FileAnswer(f"{charger.sn}-export.ndjson", MEDIA_TYPE, None, pieces)

    async def _lines(
        self, customer: Customer, charger: Charger, principal: Principal, now_ms: int
    ) -> AsyncIterator[bytes]:
        spans = rules.until(charger.covered.spans, now_ms)
        count = 1 + len(charger.covered.consents)
        yield _line("charger", _describe(charger, spans, now_ms)) + b"".join(
            _line("consent", _describe_consent(one)) for one in charger.covered.consents
        )
        for kind in self.sources.kinds:
            for from_ms, to_ms in spans:
                asked = Asked(
                    principal, charger.device_id, charger.connector_ids, from_ms, to_ms or now_ms,
                    now_ms,
                )  # fmt: skip
                async for items in self.sources.read(kind, asked):
                    count += len(items)
                    yield b"".join(_line(kind, item) for item in items)
        async for reads in self._reads(customer, charger.device_id):
            count += len(reads)
            yield b"".join(_line("read", item) for item in reads)
        yield _line("end", {"lines": count})

    async def _reads(
        self, customer: Customer, device_id: str
    ) -> AsyncIterator[list[dict[str, Any]]]:
        offset, total = 0, 1
        while offset < total:
            total, found = await self._portal.list_readers(
                customer, device_id, (None, None), (offset, _READERS_AT_ONCE)
            )
            offset += _READERS_AT_ONCE
            yield [
                {
                    "reader_id": one.group.reader_id,
                    "reader_kind": one.group.reader_kind,
                    "kind": one.group.kind,
                    "scope": one.group.scope,
                    "times": one.times,
                    "seconds": one.seconds,
                    "first_at": to_text(one.first_ms),
                    "last_at": to_text(one.last_ms),
                }
                for one in found
            ]


def _line(kind: str, data: Any) -> bytes:
    return msgspec.json.encode({"kind": kind, "data": data}) + b"\n"


def _describe(charger: Charger, spans: Sequence[Span], now_ms: int) -> dict[str, Any]:
    return {
        "device_id": charger.device_id,
        "sn": charger.sn,
        "model": charger.model,
        "manufacturer": charger.manufacturer,
        "exported_at": to_text(now_ms),
        "spans": [
            {"from": to_text(one.from_ms), "to": to_text(one.to_ms or now_ms)} for one in spans
        ],
    }


def _describe_consent(consent: Consent) -> dict[str, Any]:
    times = {
        "from": consent.from_ms,
        "to": consent.to_ms,
        "created_at": consent.created_ms,
        "revoked_at": consent.revoked_ms,
    }
    return {
        "consent_id": consent.consent_id,
        "scope": consent.scope.value,
        "services": [service.value for service in services_in(consent.services)],
        "granted_by": consent.granted_by,
        "evidence": consent.evidence,
        "reason": consent.revoke_reason,
        **{name: None if time_ms is None else to_text(time_ms) for name, time_ms in times.items()},
    }


def _audit(tx: Tx, charger: Charger, operator_id: str, by: Actor, now_ms: int) -> None:
    record(
        tx, by.name, "device.exported", "device", charger.device_id, operator_id, by.request_id,
        now_ms,
    )  # fmt: skip

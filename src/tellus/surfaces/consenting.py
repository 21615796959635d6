"""Consent at the edge: whether a call may touch what it names."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NoReturn, Protocol, TypeVar

from tellus.consent.model import NotConsented
from tellus.consent.service import ConsentService
from tellus.fleet.directory import Device, Directory
from tellus.kernel.call import Audience, Call
from tellus.kernel.clock import Clock
from tellus.surfaces.endpoint import Endpoint

_DEVICE = "device_id"
_DRAIN_TURN_S = 0.005
_DRAIN_TURNS = 1_000

T = TypeVar("T")


class Subjects(Protocol):
    """What the gate asks about things that paths name by identifiers of their own."""

    kinds: frozenset[str]
    """The names of those identifiers."""

    async def find_device_no(self, kind: str, identifier: str) -> int | None:
        """Return the number of the device that a thing is about, None for none."""
        ...


class ConsentGate:
    """Checks the calls of operators, where consent is required; chargers carry their own permit."""

    def __init__(
        self, directory: Directory, consents: ConsentService, subjects: Subjects, clock: Clock
    ) -> None:
        self._directory = directory
        self._consents = consents
        self._subjects = subjects
        self._now_ms = clock.now_ms
        self._under_way: Counter[int] = Counter()

    async def admit(self, endpoint: Endpoint, call: Call[Any, Any]) -> None:
        """Check a call whose route names a service, and tell it which devices it must leave out.

        Raises:
            NotConsented: there is no consent.
        """
        principal = call.principal
        if endpoint.audience is Audience.DEVICE:
            # It was checked before its body came, which may have taken a while.
            if not principal.permit.allows(endpoint.bit, self._now_ms()):
                refuse(endpoint)
            return
        self.check(endpoint, call)
        if endpoint.audience is not Audience.OPERATOR:
            return
        kind = self._subject_of(call)
        if kind is not None:
            device_no = await self._subjects.find_device_no(kind, call.path[kind])
            self._check_device(endpoint, self._directory.by_no(device_no or 0), call)
        service = endpoint.route.service
        if endpoint.route.sifts and service is not None:
            call.withheld = self._directory.withheld(principal.operator_id, service)

    async def track(self, call: Call[Any, Any], work: Callable[[], Awaitable[T]]) -> T:
        """Do the work of an admitted call; ``drain`` waits for it where a charger calls."""
        device_no = call.principal.device_no
        if not device_no:
            return await work()
        self._under_way[device_no] += 1
        try:
            return await work()
        finally:
            self._under_way[device_no] -= 1
            if not self._under_way[device_no]:
                del self._under_way[device_no]

    async def drain(self, device_nos: Collection[int]) -> None:
        """Return once nothing that these devices were admitted with is under way any more."""
        left = _DRAIN_TURNS
        while left and not self._under_way.keys().isdisjoint(device_nos):
            left -= 1
            await asyncio.sleep(_DRAIN_TURN_S)

    def check(self, endpoint: Endpoint, call: Call[Any, Any]) -> None:
        """Check a call as far as what it says goes.

        A device is named by the path, the query or the body; one that is not the caller's is the
        handler's matter. A route that names none, nor a thing that is about one, and does not leave
        devices out by itself, needs consent for all that the operator has.

        Raises:
            NotConsented: there is no consent.
        """
        if endpoint.audience is not Audience.OPERATOR:
            return
        device_id = call.path.get(_DEVICE) or getattr(call.query, _DEVICE, None)
        if not isinstance(device_id, str):
            device_id = getattr(call.body, _DEVICE, None)
        service = endpoint.route.service
        if isinstance(device_id, str):
            self._check_device(endpoint, self._directory.by_id(device_id), call)
        elif not endpoint.route.sifts and service is not None and self._subject_of(call) is None:
            operator_id = call.principal.operator_id
            if not self._consents.covers_operator(operator_id, service, self._now_ms()):
                refuse(endpoint)

    def _subject_of(self, call: Call[Any, Any]) -> str | None:
        return next((name for name in call.path if name in self._subjects.kinds), None)

    def _check_device(
        self, endpoint: Endpoint, device: Device | None, call: Call[Any, Any]
    ) -> None:
        if device is None or device.operator_id != call.principal.operator_id:
            return
        if not device.permit.allows(endpoint.bit, self._now_ms()):
            refuse(endpoint)


def build_gate(
    directory: Directory, consents: ConsentService, subjects: Subjects, clock: Clock
) -> ConsentGate | None:
    """Return the gate, None where consent is not required."""
    return ConsentGate(directory, consents, subjects, clock) if consents.required else None


def refuse(endpoint: Endpoint) -> NoReturn:
    """Refuse what there is no consent for.

    Raises:
        NotConsented: always.
    """
    service = endpoint.route.service
    if service is None:
        raise TypeError(f"{endpoint.route.operation_id} needs no consent")
    raise NotConsented(service)

"""Consent at the edge: whether a call may touch what it names."""

from typing import Any, NoReturn

from tellus.consent.model import NotConsented
from tellus.consent.service import ConsentService
from tellus.fleet.directory import Directory
from tellus.kernel.call import Audience, Call
from tellus.kernel.clock import Clock
from tellus.surfaces.endpoint import Endpoint

_DEVICE = "device_id"


class ConsentGate:
    """Checks the calls of operators, where consent is required; chargers carry their own permit."""

    def __init__(self, directory: Directory, consents: ConsentService, clock: Clock) -> None:
        self._now_ms = clock.now_ms
        self._directory = directory
        self._consents = consents

    def check(self, endpoint: Endpoint, call: Call[Any, Any]) -> None:
        """Check a call whose route names a service.

        A device is named by the path or the query; one that is not the caller's is the handler's
        matter. A route that names none, and does not leave devices out by itself, needs consent for
        all that the operator has.

        Raises:
            NotConsented: there is no consent.
        """
        if endpoint.audience is not Audience.OPERATOR:
            return
        now_ms = self._now_ms()
        device_id = call.path.get(_DEVICE) or getattr(call.query, _DEVICE, None)
        service = endpoint.route.service
        if isinstance(device_id, str):
            device = self._directory.owned(device_id, call.principal.operator_id)
            if device is not None and not device.permit.allows(endpoint.bit, now_ms):
                refuse(endpoint)
        elif not endpoint.route.sifts and service is not None:
            operator_id = call.principal.operator_id
            if not self._consents.covers_operator(operator_id, service, now_ms):
                refuse(endpoint)


def build_gate(directory: Directory, consents: ConsentService, clock: Clock) -> ConsentGate | None:
    """Return the gate, None where consent is not required."""
    return ConsentGate(directory, consents, clock) if consents.required else None


def refuse(endpoint: Endpoint) -> NoReturn:
    """Refuse what there is no consent for.

    Raises:
        NotConsented: always.
    """
    service = endpoint.route.service
    if service is None:
        raise TypeError(f"{endpoint.route.operation_id} needs no consent")
    raise NotConsented(service)

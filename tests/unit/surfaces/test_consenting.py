"""The gate: what a call may touch, told from its row, its path and its query alone."""

import asyncio
from typing import Any

import msgspec
import pytest

from tellus.consent.model import NotConsented, Service
from tellus.fleet.directory import Device, Directory
from tellus.kernel.call import NOTHING, Audience, Call, Nothing, Principal
from tellus.kernel.clock import ManualClock
from tellus.kernel.permits import Permit
from tellus.surfaces.consenting import ConsentGate
from tellus.surfaces.endpoint import Endpoint
from tellus.surfaces.routes import Route

OPERATOR = "op_1"
DIAGNOSTICS = 1


class Agreements:
    """What the gate asks of consent: who has agreed for everything."""

    def __init__(self, *operator_ids: str) -> None:
        self.operator_ids = operator_ids

    def covers_operator(self, operator_id: str, service: Service, now_ms: int) -> bool:
        assert service is Service.DIAGNOSTICS
        assert now_ms > 0
        return operator_id in self.operator_ids


class Runs:
    """Two runs, one on each device."""

    kinds = frozenset({"run_id"})

    async def find_device_no(self, kind: str, identifier: str) -> int | None:
        assert kind == "run_id"
        return {"run_1": 1, "run_2": 2}.get(identifier)


class Named(msgspec.Struct, frozen=True):
    """A query that may name a device."""

    device_id: str | msgspec.UnsetType = msgspec.UNSET


async def look(agreements: Agreements, call: Call[Nothing, Any]) -> None:
    """A handler that is never run."""


def gate(*operator_ids: str) -> ConsentGate:
    """A gate before two devices of an operator, of which one is agreed to."""
    directory = Directory()
    for number, services in ((1, DIAGNOSTICS), (2, 0)):
        device = Device(number, f"dvc_{number}", f"SN-{number}", OPERATOR, "site_1")
        device.permit = Permit(services)
        directory.add(device)
    agreements: Any = Agreements(*operator_ids)
    return ConsentGate(directory, agreements, Runs(), ManualClock())


def check(
    device_id: str = "",
    *,
    operator_ids: tuple[str, ...] = (),
    query: Any = NOTHING,
    run_id: str = "",
    **row: Any,
) -> tuple[int, ...]:
    """Let an operator's call through the gate, or raise what it is refused with.

    Return the devices that it has to leave out.
    """
    values: dict[str, Any] = {"audience": Audience.OPERATOR, "service": Service.DIAGNOSTICS}
    route = Route("GET", "/v1/look", "look", look, summary="", tag="", **(values | row))
    principal = Principal(Audience.OPERATOR, "cl_1", OPERATOR)
    named = {"device_id": device_id, "run_id": run_id}
    path = {name: identifier for name, identifier in named.items() if identifier}
    call = Call(principal, NOTHING, query, 1, path)
    endpoint = Endpoint(route, {Agreements: Agreements()})
    asyncio.run(gate(*operator_ids).admit(endpoint, call))
    return call.withheld


def test_gate__device_in_path_or_query__is_judged_by_its_permit() -> None:
    """One that is agreed to passes, another is refused, a foreign one is the handler's matter."""
    check("dvc_1")
    check(query=Named("dvc_1"))
    check("dvc_3")
    for words in ({"device_id": "dvc_2"}, {"query": Named("dvc_2")}):
        with pytest.raises(NotConsented) as caught:
            check(**words)  # type: ignore[arg-type]
        assert caught.value.details == {"service": "diagnostics"}


def test_gate__row_that_names_no_device_and_does_not_sift__needs_consent_for_all() -> None:
    """What somebody forgot to sift is closed, unless the whole operator is agreed to."""
    with pytest.raises(NotConsented):
        check()
    with pytest.raises(NotConsented):
        check(query=Named(), operator_ids=("op_2",))
    check(operator_ids=(OPERATOR,))
    check(sifts=True)


def test_gate__thing_that_is_about_a_device__is_judged_by_its_permit() -> None:
    """One that is not there, or about no device, is the handler's matter."""
    check(run_id="run_1")
    check(run_id="run_3")
    with pytest.raises(NotConsented):
        check(run_id="run_2")


def test_drain__upload_under_way__is_waited_for() -> None:
    """A revocation is not answered before what was let in has ended; others hold up nothing."""

    async def story() -> list[str]:
        told: list[str] = []
        door, entered = gate(), asyncio.Event()
        charger = Principal(Audience.DEVICE, "dvc_1", OPERATOR, device_no=1)

        async def work() -> None:
            entered.set()
            await asyncio.sleep(0.05)
            told.append("stored")

        upload = asyncio.create_task(door.track(Call(charger, NOTHING, NOTHING, 1), work))
        await entered.wait()
        await door.drain([2])
        told.append("other drained")
        await door.drain([1, 2])
        told.append("drained")
        await upload
        return told

    assert asyncio.run(story()) == ["other drained", "stored", "drained"]


def test_gate__administrators__are_not_asked() -> None:
    """The installation's own administration sees what there is."""
    check("dvc_2", audience=Audience.ADMIN)

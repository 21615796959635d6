"""Charging records as operators read them: filters, order, pages, cursors, and whose VIN."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, new_tenant, record
from tests.contract.client import ContractClient
from tests.server import RunningServer

PATH = "/v1/operator/charging-records"
VIN = "WTLZ5AB19RC700421"


@dataclass
class Book:
    """A tenant with records of two chargers at two sites, of which many start together."""

    tenant: Tenant
    chargers: list[Charger]
    sites: list[str]
    sent: list[dict[str, Any]]

    def ids(self, **query: Any) -> list[str]:
        """The ids that a query lists, on one page of a hundred."""
        data = self.tenant.api.get(PATH, params={"size": 100} | query, expect=200).data
        assert data["total"] == len(data["items"])
        return [item["record_id"] for item in data["items"]]

    def wanted(self, **values: Any) -> list[str]:
        """The ids of what was sent with these values, newest first, ties by id."""
        chosen = [one for one in self.sent if values.items() <= one.items()]
        chosen.sort(key=lambda one: one["record_id"])
        chosen.sort(key=lambda one: one["start_time"], reverse=True)
        return [one["record_id"] for one in chosen]


@pytest.fixture(scope="module")
def book(server: RunningServer, contract: ContractClient) -> Book:
    """Sixty records over ten hours."""
    tenant = new_tenant(server, contract)
    sites = [tenant.site_id, tenant.site("Second")]
    chargers = [tenant.charger(site_id=site_id) for site_id in sites]
    rng, sent = random.Random(7), []
    for number in range(60):
        place = number % 2
        one = record(
            connector_id=1 + number // 2 % 2,
            start_time=f"2025-06-02T{rng.randrange(10):02}:00:00Z",
            end_time="2025-06-02T20:00:00Z",
        )
        chargers[place].send("charging-records", one)
        extra = {"device_id": chargers[place].device_id, "site_id": sites[place]}
        sent.append(one | extra)
    return Book(tenant, chargers, sites, sent)


def test_records__all__newest_first_ties_by_id(book: Book) -> None:
    """Records come in order of their start, newest first; equal starts by id."""
    assert book.ids() == book.wanted()


def test_records__filters__narrow_together(book: Book) -> None:
    """Device, connector and site each narrow the list, alone and together."""
    device_id, site_id = book.chargers[0].device_id, book.sites[1]
    assert book.ids(device_id=device_id) == book.wanted(device_id=device_id)
    assert book.ids(connector_id=2) == book.wanted(connector_id=2)
    assert book.ids(site_id=site_id) == book.wanted(site_id=site_id)
    both = {"device_id": device_id, "connector_id": 1}
    assert book.ids(**both) == book.wanted(**both)
    assert book.ids(device_id=device_id, site_id=site_id) == []


def test_records__time_range__is_half_open_on_the_start(book: Book) -> None:
    """From is included, to is not, either may be left out, and zones are understood."""

    def between(first: str, last: str) -> list[str]:
        starts = {one["record_id"]: one["start_time"] for one in book.sent}
        return [name for name in book.wanted() if first <= starts[name] < last]

    three, six = "2025-06-02T03:00:00Z", "2025-06-02T06:00:00Z"
    assert book.ids(start_time=three, end_time=six) == between(three, six)
    assert book.ids(start_time=three) == between(three, "9")
    assert book.ids(end_time=six) == between("0", six)
    assert book.ids(start_time=three, end_time=three) == []
    assert book.ids(start_time="2025-06-02T05:00:00+02:00", end_time=six) == between(three, six)
    assert book.ids(start_time="2025-06-02T03:00:00", end_time=six) == between(three, six)
    query = {"start_time": six, "end_time": three}
    reply = book.tenant.api.get(PATH, params=query, expect=400, code=1001)
    assert reply.details["field"] == "end_time"


@pytest.mark.parametrize("size", [1, 7, 20, 60, 100])
@pytest.mark.parametrize("narrow", [False, True])
def test_records__walked_by_cursor__is_what_pages_give(
    book: Book, size: int, *, narrow: bool
) -> None:
    """Cursor and page walks hold the same records in the same order, each once."""
    query: dict[str, Any] = {"size": size}
    if narrow:
        query |= {"connector_id": 1, "start_time": "2025-06-02T02:00:00Z"}
    by_page: list[str] = []
    by_cursor: list[str] = []
    total = book.tenant.api.get(PATH, params=query).data["total"]
    for page in range(1, total // size + 2):
        data = book.tenant.api.get(PATH, params=query | {"page": page}, expect=200).data
        by_page += [one["record_id"] for one in data["items"]]
    cursor: dict[str, str] = {}
    while True:
        data = book.tenant.api.get(PATH, params=query | cursor, expect=200).data
        assert data["total"] == total
        by_cursor += [one["record_id"] for one in data["items"]]
        if "next_cursor" not in data:
            break
        cursor = {"cursor": data["next_cursor"]}
    assert by_cursor == by_page
    assert len(by_page) == len(set(by_page)) == total


def test_records__new_ones_during_a_cursor_walk__shift_nothing(tenant: Tenant) -> None:
    """A cursor goes on where it stopped, whatever is stored before it meanwhile."""
    charger = tenant.charger()
    sent = [record(start_time=f"2025-06-02T0{hour}:00:00Z") for hour in range(6)]
    charger.send("charging-records/batch", {"items": sent})
    query = {"device_id": charger.device_id, "size": 2}
    first = tenant.api.get(PATH, params=query, expect=200).data
    charger.send("charging-records", record(start_time="2025-06-02T09:00:00Z"))
    asked = query | {"cursor": first["next_cursor"]}
    second = tenant.api.get(PATH, params=asked, expect=200).data
    hours = [one["start_time"][11:13] for one in first["items"] + second["items"]]
    assert hours == ["05", "04", "03", "02"]
    assert second["total"] == 7


@pytest.mark.parametrize("cursor", ["x", "", "WzFd", "W10", "bnVsbA", "%", "é", "x" * 600, "W1td"])
def test_records__cursor_of_another_make__is_1001(book: Book, cursor: str) -> None:
    """What is no cursor of this list is refused."""
    reply = book.tenant.api.get(PATH, params={"cursor": cursor}, expect=400, code=1001)
    assert reply.details["field"] == "cursor"


@pytest.mark.parametrize(
    "query", ["device_id=dvc_absent", "site_id=site_absent", "device_id=-", "site_id=%20"]
)
def test_records__of_what_is_not_there__is_3001(book: Book, query: str) -> None:
    """A device or site that the operator does not have is not found, rather than empty."""
    book.tenant.api.get(f"{PATH}?{query}", expect=404, code=3001)


def test_record__every_field__comes_back_as_sent(tenant: Tenant, charger: Charger) -> None:
    """Figures are exact, what was not sent is left out, and where it came from is added."""
    info = {"soc_start": 20, "soc_end": 80}
    sent = record(cost=-3.25, energy=60441.935575, meter_end=60541.935575, vehicle_info=info)
    charger.send("charging-records", sent)
    (item,) = charger.records()
    assert {name: item[name] for name in sent} == sent
    assert item["device_id"] == charger.device_id
    assert item["site_id"] == tenant.site_id
    assert item["flags"] == []
    assert item["received_at"].endswith("Z")
    charger.send("charging-records", record(start_time="2025-06-03T00:00:00Z"))
    assert not {"cost", "vehicle_info"} & charger.records()[0].keys()


@pytest.mark.parametrize(
    ("mode", "shown"), [("full", VIN), ("masked", "WTL**********0421"), ("none", None)]
)
def test_vin__by_the_client_s_setting__is_whole_masked_or_absent(
    tenant: Tenant, charger: Charger, mode: str, shown: str | None
) -> None:
    """Each client sees of a VIN what its setting says, in the extras of a record too."""
    info = {"vin": VIN, "soc_start": 20}
    charger.send("charging-records", record(vehicle_info=info, note=f"car {VIN}"))
    api = tenant.api_with(vin_mode=mode)
    reply = api.get(f"{PATH}?device_id={charger.device_id}", expect=200)
    (item,) = reply.data["items"]
    assert item["vehicle_info"].get("vin") == shown
    assert item["vehicle_info"]["soc_start"] == 20
    assert (VIN.encode() in reply.body) is (mode == "full")
    assert item["note"] == {"full": f"car {VIN}", "masked": f"car {shown}"}.get(
        mode, "car " + "*" * 17
    )


def test_vin__sent_again__is_a_repeat_and_another_vin_is_not(charger: Charger) -> None:
    """The VIN is part of what a record says, though it is stored encrypted."""
    first = record(vehicle_info={"vin": VIN})
    charger.send("charging-records", first)
    charger.send("charging-records", first)
    other = first | {"vehicle_info": {"vin": VIN[:-1] + "2"}}
    charger.send("charging-records", other, expect=409, code=4001)
    without_vin = {name: value for name, value in first.items() if name != "vehicle_info"}
    charger.send("charging-records", without_vin, expect=409, code=4001)


def test_records__of_a_device_that_moved_on__stay_with_who_had_it(tenant: Tenant) -> None:
    """Records belong to whose charger it was when they came; the new owner sees the new ones."""
    other = new_tenant(tenant.server, tenant.contract)
    charger = tenant.charger()
    before, after = record(), record()
    charger.send("charging-records", before)
    path = f"/v1/admin/devices/{charger.device_id}"
    tenant.admin.patch(path, {"site_id": other.site_id}, expect=200)
    charger.send("charging-records", after)
    for owner, own in ((tenant, before), (other, after)):
        items = owner.api.get(f"{PATH}?device_id={charger.device_id}", expect=200).data["items"]
        assert [one["record_id"] for one in items] == [own["record_id"]]

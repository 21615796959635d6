from typing import Any

import msgspec
import pytest

from tellus.fleet.model import Reading
from tellus.fleet.queries import DeviceFilter
from tellus.kernel.errors import InvalidParameter, NotFound
from tests.unit.fleet.readings import encode, show


def test_get_device__before_anything_was_heard__leaves_out_what_is_not_known(
    run_bench: Any,
) -> None:
    """Unknown optional values are absent, never null; connectors start idle."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        answer = await bench.operator_reads("get_device", device_id=device.device_id)
        assert answer == {
            "device_id": device.device_id,
            "sn": "SN1",
            "model": "TP-DC180",
            "manufacturer": "M",
            "firmware_version": "3.1.0",
            "status": "offline",
            "connectors": [
                {"connector_id": 1, "status": "idle"},
                {"connector_id": 2, "status": "idle"},
            ],
            "site_id": bench.built_in.site_id,
            "health": "ok",
            "rated_power": 180.0,
            "v2g": False,
            "created_at": "2025-03-15T09:30:00Z",
        }

    run_bench(test)


def test_get_device__with_readings__shows_them_in_the_published_words(run_bench: Any) -> None:
    """The newest reading is shown, finer states as ``detail_state``."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        show(device, 1, soc_pct=0, temperature_c=38.0)
        show(device, 2, state="idle", detail_state="preparing", power_kw=0.0)
        answer = await bench.operator_reads("get_device", device_id=device.device_id)
        assert answer["connectors"] == [
            {
                "connector_id": 1,
                "status": "charging",
                "power": 6.8,
                "voltage": 223.0,
                "current": 30.5,
                "energy_delivered": 12.3,
                "soc": 0,
                "temperature": 38.0,
                "last_telemetry_time": "2025-03-15T09:00:00Z",
            },
            {
                "connector_id": 2,
                "status": "idle",
                "power": 0.0,
                "voltage": 223.0,
                "current": 30.5,
                "energy_delivered": 12.3,
                "last_telemetry_time": "2025-03-15T09:00:00Z",
                "detail_state": "preparing",
            },
        ]

    run_bench(test)


def test_get_device__include_events__shows_the_ten_newest(run_bench: Any) -> None:
    """``include=events`` adds ten events, newest first; another word is refused."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        for minute in range(12):
            await bench.report(device, timestamp=f"2025-03-15T09:{minute:02}:00Z")
        answer = await bench.operator_reads(
            "get_device", device_id=device.device_id, include="events"
        )
        assert [event["timestamp"][14:16] for event in answer["events"]] == [
            f"{minute:02}" for minute in range(11, 1, -1)
        ]
        with pytest.raises(InvalidParameter) as refusal:
            await bench.operator_reads("get_device", device_id=device.device_id, include="x")
        assert refusal.value.details == {"field": "include", "value": "x"}

    run_bench(test)


def test_advance_connectors__older_or_equal__never_rewinds(run_bench: Any) -> None:
    """Stored state only moves forward; of one instant the larger content stays, in any order."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        small, large = sorted((encode(power_kw=1.0), encode(power_kw=2.0)))
        for time_ms, content, kept in (
            (10, small, (10, small)),
            (10, large, (10, large)),
            (10, small, (10, large)),
            (9, small, (10, large)),
            (11, small, (11, small)),
        ):
            await bench.store_reading(device, time_ms, content)
            assert await bench.rows("SELECT time_ms, content FROM connector_state") == [kept]
        await bench.start()
        connector = bench.directory.by_id(device.device_id).connectors[1]
        assert (connector.time_ms, connector.content) == (11, small)
        assert connector.reading == msgspec.msgpack.decode(small, type=Reading)

    run_bench(test)


def test_list_sites__counts__published_ones_beside_offline(run_bench: Any) -> None:
    """Connectors of an offline device keep their last state and count as offline besides."""

    async def test(bench: Any) -> None:
        online = await bench.device("SN1")
        silent = await bench.device("SN2", model="TP-AC22")
        bench.clock.advance(200)
        bench.contact(online)
        show(online, 1, state="discharging", power_kw=-5.0)
        show(online, 2, state="fault")
        show(silent, 1)
        (site,) = (await bench.operator_reads("list_sites"))["items"]
        assert site == {
            "site_id": bench.built_in.site_id,
            "name": "Default",
            "total_connectors": 3,
            "status_summary": {
                "idle": 0,
                "charging": 1,
                "fault": 1,
                "discharging": 1,
                "unavailable": 0,
                "offline": 1,
            },
            "power_capacity": 202.0,
            "created_at": "2025-03-15T09:30:00Z",
            "status": "active",
            "timezone": "UTC",
            "region": "local",
        }
        assert await bench.operator_reads("get_site", site_id=site["site_id"]) == site

    run_bench(test)


def test_list_sites__pages_and_status__cover_the_operator_s_sites_only(run_bench: Any) -> None:
    """Pages are whole and in order, the total counts all matches, others' sites are not there."""

    async def test(bench: Any) -> None:
        operator_id, other_id = await bench.operator(), await bench.operator("Other")
        names = []
        for number in range(5):
            bench.clock.advance(1)
            status = "inactive" if number == 2 else "active"
            await bench.site(operator_id, name=f"Site {number}", status=status)
            await bench.site(other_id)
        for page in ("1", "2", "3", "4"):
            answer = await bench.operator_reads("list_sites", operator_id, page=page, size="2")
            assert (answer["total"], answer["page"], answer["size"]) == (5, int(page), 2)
            names += [site["name"] for site in answer["items"]]
        assert names == [f"Site {number}" for number in range(5)]
        inactive = await bench.operator_reads("list_sites", operator_id, status="inactive")
        assert [site["name"] for site in inactive["items"]] == ["Site 2"]
        active = await bench.operator_reads("list_sites", operator_id, status="active")
        assert active["total"] == 4

    run_bench(test)


@pytest.mark.parametrize(
    "query",
    [{"size": "0"}, {"size": "101"}, {"page": "0"}, {"page": "x"}, {"status": "closed"}],
)
def test_list_sites__value_out_of_bounds__is_refused(run_bench: Any, query: Any) -> None:
    """Pages start at 1, sizes reach to 100, and a status is one of two words."""

    async def test(bench: Any) -> None:
        with pytest.raises(InvalidParameter) as refusal:
            await bench.operator_reads("list_sites", **query)
        assert refusal.value.details["field"] == next(iter(query))

    run_bench(test)


@pytest.mark.parametrize("name", ["get_site", "get_device"])
def test_get__foreign_or_absent__look_alike(run_bench: Any, name: str) -> None:
    """Another operator's resource and none at all give the same refusal."""

    async def test(bench: Any) -> None:
        device = await bench.device()
        own = bench.built_in.site_id if name == "get_site" else device.device_id
        parameter = name.removeprefix("get_") + "_id"
        refusals = []
        for value, operator_id in ((own, "op_other"), ("nothing", "")):
            with pytest.raises(NotFound) as refusal:
                await bench.operator_reads(name, operator_id, **{parameter: value})
            refusals.append((refusal.value.code, refusal.value.message, refusal.value.details))
        assert refusals[0] == refusals[1]

    run_bench(test)


def test_list_devices__filters__narrow_and_page_in_order(run_bench: Any) -> None:
    """Site, status, model and firmware narrow the list; it is in order of registration."""

    async def test(bench: Any) -> None:
        site = (await bench.provision("SN3"))["site_id"]
        devices = [
            await bench.device("SN1"),
            await bench.device("SN2", model="TP-AC22", firmware_version="3.0.2"),
            await bench.device("SN3"),
            await bench.device("SN4"),
        ]
        bench.clock.advance(200)
        bench.contact(devices[0])
        await bench.admin("change_device", {"site_id": site}, device_id=devices[1].device_id)

        async def serials(operator_id: str = "", **query: str) -> list[str]:
            page = await bench.operator_reads("list_devices", operator_id, **query)
            return [item["sn"] for item in page["items"]]

        assert await serials() == ["SN1", "SN4"]
        assert await serials(status="online") == ["SN1"]
        assert await serials(status="offline") == ["SN4"]
        assert await serials(size="1", page="2") == ["SN4"]
        for foreign_or_absent in (site, "site_none"):
            with pytest.raises(NotFound):
                await serials(of_site=foreign_or_absent)
        owner = devices[1].operator_id
        assert await serials(owner) == ["SN2", "SN3"]
        assert await serials(owner, model="TP-AC22") == ["SN2"]
        assert await serials(owner, firmware_version="3.1.0") == ["SN3"]
        assert await serials(owner, of_site=site, sn="SN3") == ["SN3"]
        _, all_of_them = await bench.queries.list_devices(DeviceFilter(), 0, 100, 0)
        assert [view.device.sn for view in all_of_them] == ["SN1", "SN2", "SN3", "SN4"]

    run_bench(test)

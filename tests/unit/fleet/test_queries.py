from typing import Any

import msgspec
import pytest

from tellus.fleet.admin_api import AdminDevicesQuery, AdminSitesQuery, ProvisioningsQuery
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.model import Reading
from tellus.fleet.queries import DeviceFilter
from tellus.kernel.errors import InvalidParameter, NotFound

NINE_MS = 1_742_029_200_000


def encode(**changes: Any) -> bytes:
    """A reading as telemetry stores it."""
    values: dict[str, Any] = {
        "state": "charging",
        "voltage_v": 223.0,
        "current_a": 30.5,
        "power_kw": 6.8,
        "energy_kwh": 12.3,
    }
    return msgspec.msgpack.encode(Reading(**values | changes))


def show(device: Any, connector_id: int, **changes: Any) -> None:
    """Let a connector's newest reading be in memory, as telemetry does after its commit."""
    connector = device.connectors[connector_id]
    connector.content = encode(**changes)
    connector.reading = msgspec.msgpack.decode(connector.content, type=Reading)
    connector.time_ms = NINE_MS


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


def test_change_device__to_another_operator__is_seen_there_alone_and_stays_so(
    run_bench: Any,
) -> None:
    """A moved device leaves its operator's lists and keeps its credentials."""

    async def test(bench: Any) -> None:
        registered = await bench.register()
        await bench.token(registered)
        device = bench.directory.by_id(registered["device_id"])
        operator_id = await bench.operator()
        site_id = await bench.site(operator_id)
        changed = await bench.admin(
            "change_device",
            {"site_id": site_id, "v2g": True, "rated_power_kw": 90},
            device_id=device.device_id,
        )
        assert (changed["operator_id"], changed["site_id"]) == (operator_id, site_id)
        assert (changed["v2g"], changed["rated_power"]) == (True, 90.0)
        assert changed["registration"] == "active"
        assert device.principal.operator_id == operator_id
        await bench.token(registered)
        for _ in range(2):
            with pytest.raises(NotFound):
                await bench.operator_reads("get_device", device_id=device.device_id)
            await bench.operator_reads("get_device", operator_id, device_id=device.device_id)
            await bench.start()
        back = await bench.admin(
            "change_device", {"v2g": None, "rated_power_kw": None}, device_id=device.device_id
        )
        assert (back["v2g"], back["rated_power"]) == (False, 180.0)
        assert (await bench.audited())[-2:] == ["device.changed", "device.changed"]

    run_bench(test)


def test_change_site__fields__change_alone_and_null_takes_away(run_bench: Any) -> None:
    """What is left out stays; null takes an optional value away; zones are checked."""

    async def test(bench: Any) -> None:
        location = {"lat": 39.9, "lng": 116.4}
        site_id = await bench.site(
            await bench.operator(), location=location, address="1 Road", power_capacity=100
        )
        changed = await bench.admin(
            "change_site", {"timezone": "Europe/Berlin", "status": "inactive"}, site_id=site_id
        )
        assert (changed["timezone"], changed["status"]) == ("Europe/Berlin", "inactive")
        assert (changed["location"], changed["address"]) == (location, "1 Road")
        assert changed["power_capacity"] == 100.0
        bare = await bench.admin(
            "change_site",
            {"location": None, "address": None, "power_capacity": None},
            site_id=site_id,
        )
        assert {"location", "address", "power_capacity"}.isdisjoint(bare)
        for body in ({"timezone": "Mars/Olympus"}, {"timezone": "../etc"}, {"timezone": "Europe"}):
            with pytest.raises(InvalidParameter):
                await bench.admin("change_site", body, site_id=site_id)
        with pytest.raises(NotFound):
            await bench.admin("change_site", {"name": "x"}, site_id="site_none")

    run_bench(test)


def test_create_site__wrong_region_or_operator__is_refused(run_bench: Any) -> None:
    """A site is of the instance's region and of an operator that exists."""

    async def test(bench: Any) -> None:
        with pytest.raises(InvalidParameter) as refusal:
            await bench.site(await bench.operator(), region="us")
        assert refusal.value.details["field"] == "region"
        with pytest.raises(NotFound):
            await bench.site("op_none")

    run_bench(test)


def test_list_provisionings__shows_what_became_of_them(run_bench: Any) -> None:
    """Expected serial numbers are listed, never their tokens, with the device that came of each."""

    async def test(bench: Any) -> None:
        made = await bench.provision("SN1", model="TP-AC22", connectors=1, v2g=False)
        await bench.provision("SN2")
        device = await bench.device("SN1")
        page = await bench.admin_reads("list_provisionings", ProvisioningsQuery())
        assert [item["sn"] for item in page["items"]] == ["SN1", "SN2"]
        assert page["items"][0] == {
            "sn": "SN1",
            "site_id": made["site_id"],
            "operator_id": made["operator_id"],
            "model": "TP-AC22",
            "connectors": 1,
            "v2g": False,
            "claim_from": "2025-03-15T09:30:00Z",
            "claim_until": "2026-03-15T09:30:00Z",
            "created_at": "2025-03-15T09:30:00Z",
            "device_id": device.device_id,
        }
        assert made["enrolment_token"] not in str(page)
        one = ProvisioningsQuery(site_id=made["site_id"])
        assert (await bench.admin_reads("list_provisionings", one))["total"] == 1

    run_bench(test)


def test_admin_reads__see_every_operator_s_sites_and_devices(run_bench: Any) -> None:
    """An administrator sees all, with whose it is."""

    async def test(bench: Any) -> None:
        await bench.provision("SN2")
        first, second = await bench.device("SN1"), await bench.device("SN2")
        sites = await bench.admin_reads("list_sites", AdminSitesQuery())
        owners = {site["operator_id"] for site in sites["items"]}
        assert owners == {first.operator_id, second.operator_id}
        site = await bench.admin_reads("get_site", site_id=second.site_id)
        assert site["operator_id"] == second.operator_id
        devices = await bench.admin_reads("list_devices", AdminDevicesQuery())
        assert [device["sn"] for device in devices["items"]] == ["SN1", "SN2"]
        one = AdminDevicesQuery(operator_id=second.operator_id)
        assert (await bench.admin_reads("list_devices", one))["total"] == 1
        device = await bench.admin_reads("get_device", device_id=first.device_id)
        assert device["operator_id"] == bench.built_in.operator_id

    run_bench(test)


def test_ensure_built_in__second_start__keeps_its_identifiers(run_bench: Any) -> None:
    """The built-in operator and default site are the same ones after every start."""

    async def test(bench: Any) -> None:
        before = bench.built_in
        await bench.start()
        assert bench.built_in == before
        assert await bench.rows("SELECT COUNT(*) FROM sites") == [(1,)]

    run_bench(test)


def test_catalogue__unknown_model__rating_is_given_else_highest_seen(run_bench: Any) -> None:
    """What no catalogue knows has the rating it was provisioned with, else what it has shown."""

    async def test(bench: Any) -> None:
        device = await bench.device(model="Unheard-Of")
        assert bench.catalogue.rated_power_kw(device) is None
        answer = await bench.operator_reads("get_device", device_id=device.device_id)
        assert "rated_power" not in answer
        assert answer["v2g"] is False
        await bench.report(device, connector_id=1)
        for power_kw in (6.8, -9.5, 3.0):
            show(device, 1, power_kw=power_kw)
            await bench.advance(20)
        assert bench.catalogue.rated_power_kw(device) == 9.5
        assert bench.catalogue.connector_power_kw(device, 1) == 9.5
        assert bench.catalogue.connector_power_kw(device, 2) is None
        await bench.start()
        device = bench.directory.by_id(device.device_id)
        assert bench.catalogue.rated_power_kw(device) == 9.5
        device.rated_power_kw = 50.0
        assert bench.catalogue.connector_power_kw(device, 1) == 50.0

    run_bench(test)


def test_catalogue__models__have_the_figures_of_the_contract() -> None:
    """The six models are there; only the -V2G variants can discharge."""
    catalogue = Catalogue.load()
    figures = {}
    for name in ("TP-AC22", "TP-DC60", "TP-DC180", "TP-DC360", "TP-DC180-V2G", "TP-DC360-V2G"):
        model = catalogue.find(name)
        assert model is not None
        figures[name] = (model.rated_power_kw, model.current, model.connectors, model.v2g)
    assert figures == {
        "TP-AC22": (22.0, "ac", 1, False),
        "TP-DC60": (60.0, "dc", 2, False),
        "TP-DC180": (180.0, "dc", 2, False),
        "TP-DC360": (360.0, "dc", 2, False),
        "TP-DC180-V2G": (180.0, "dc", 2, True),
        "TP-DC360-V2G": (360.0, "dc", 2, True),
    }
    assert catalogue.find("TP-DC60-V2G") is None

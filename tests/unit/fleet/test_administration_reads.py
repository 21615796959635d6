from typing import Any

import pytest

from tellus.fleet.admin_api import AdminDevicesQuery, AdminSitesQuery, ProvisioningsQuery
from tellus.fleet.catalogue import Catalogue
from tellus.kernel.errors import InvalidParameter, NotFound
from tests.unit.fleet.readings import show


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

"""The fault dictionary as operators read it, and the way from an event into it."""

from tests.api.tenancy import Charger, Tenant, event

PATH = "/v1/operator/faults"


def test_faults__list__has_twelve_and_narrows(tenant: Tenant) -> None:
    """All codes are listed in their order, and by severity and category."""
    items = tenant.api.get(PATH, expect=200).data["items"]
    codes = [one["code"] for one in items]
    assert codes == sorted(codes)
    assert len(codes) == 12
    thermal = tenant.api.get(PATH, params={"category": "thermal"}, expect=200).data["items"]
    assert [one["code"] for one in thermal] == ["F-0203", "F-0204", "F-0601"]
    both = {"category": "thermal", "severity": "error"}
    assert tenant.api.get(PATH, params=both, expect=200).data["total"] == 1
    tenant.api.get(PATH, params={"severity": "awful"}, expect=400)


def test_fault__event_of_a_charger__leads_to_its_entry(charger: Charger) -> None:
    """From a fault event the dictionary is one link away, however the charger wrote the code."""
    for code in (421, "F0421", "F-0421"):
        charger.send("events", event(event_type="fault", data={"fault_code": code}))
    charger.send("events", event(event_type="fault", data={"fault_code": 1001}))
    found = charger.events(type="fault")
    hrefs = {one.get("fault_href") for one in found}
    assert hrefs == {"/v1/operator/faults/F-0421", None}
    entry = charger.operator.get("/v1/operator/faults/F-0421", expect=200).data
    assert entry["title"] == "Contactor failed to engage on session start"
    assert entry["firmware"]["issues"][0]["fixed_in"] == ["3.0.3", "3.1.0"]
    assert charger.operator.get(f"{PATH}/421", expect=200).data == entry
    charger.operator.get(f"{PATH}/F-9999", expect=404)

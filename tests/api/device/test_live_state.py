"""What operators see of a charger: connectors, states, health, and time that never goes back."""

import secrets
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, event, heartbeat, moment, sample


def numbers(charger: Charger) -> list[int]:
    """The connectors that exist."""
    return [one["connector_id"] for one in charger.seen()["connectors"]]


def test_connectors__known_model__are_there_from_the_start(tenant: Tenant) -> None:
    """A model of the catalogue brings its connectors with it, idle before anything is heard."""
    assert numbers(tenant.charger("TP-DC180")) == [1, 2]
    assert numbers(tenant.charger("TP-AC22")) == [1]
    assert tenant.charger("TP-AC22").connector() == {"connector_id": 1, "status": "idle"}


@pytest.mark.parametrize("way", ["telemetry", "events", "poll", "batch"])
def test_connectors__unknown_model__come_into_being_at_first_sight(
    tenant: Tenant, way: str
) -> None:
    """A sample, an event or a poll makes its connector exist."""
    charger = tenant.charger("Unheard-Of")
    assert numbers(charger) == []
    if way == "poll":
        charger.api.get("/v1/device/commands?connector_id=3&wait=1", expect=200)
    elif way == "batch":
        charger.send("telemetry/batch", {"items": [sample(connector_id=3)]})
    else:
        charger.send(way, {"telemetry": sample, "events": event}[way](connector_id=3))
    assert numbers(charger) == [3]


@pytest.mark.parametrize(
    ("state", "status", "detail"),
    [
        ("idle", "idle", None),
        ("charging", "charging", None),
        ("discharging", "discharging", None),
        ("fault", "fault", None),
        ("unavailable", "unavailable", None),
        ("preparing", "idle", "preparing"),
        ("finishing", "idle", "finishing"),
        ("paused", None, "paused"),
    ],
)
def test_state__any_that_chargers_send__is_shown_in_published_words(
    charger: Charger, state: str, status: str | None, detail: str | None
) -> None:
    """Published fields carry published states; the charger's own word stands beside."""
    charger.send("telemetry", sample(state=state, power=0.0))
    connector = charger.connector()
    assert connector.get("detail_state") == detail
    assert connector["status"] == status or status is None
    assert connector["status"] in {"idle", "charging", "discharging", "fault", "unavailable"}
    assert charger.samples()[0]["state"] == connector["status"]


def test_state__newest_sample__is_shown_whole(charger: Charger) -> None:
    """Power, voltage, current, energy, state of charge, temperature and time are the last known."""
    sent = sample(soc=61, temperature=34.5, power=-7.25, state="discharging")
    charger.send("telemetry", sent)
    shown = charger.connector()
    last = shown.pop("last_telemetry_time")
    assert last == (sent["timestamp"].replace(".000", ""))
    names = (
        "connector_id",
        "power",
        "voltage",
        "current",
        "energy_delivered",
        "soc",
        "temperature",
    )
    assert shown == {name: sent[name] for name in names} | {"status": "discharging"}


@pytest.mark.parametrize("way", ["telemetry", "telemetry/batch"])
def test_late_sample__of_any_age__never_rewinds_the_live_state(charger: Charger, way: str) -> None:
    """History takes late data by its own time; what is shown as current only moves forward."""
    charger.send("telemetry", sample(power=50.0, timestamp=moment(10)))
    for ago_s in (3000, 11, 10.5):
        late = sample(power=1.0, timestamp=moment(ago_s))
        charger.send(way, {"items": [late]} if way.endswith("batch") else late)
    assert charger.connector()["power"] == 50.0
    assert [one["power"] for one in charger.samples()] == [1.0, 1.0, 1.0, 50.0]
    charger.send("telemetry", sample(power=2.0, timestamp=moment(9)))
    assert charger.connector()["power"] == 2.0


def test_samples_of_one_instant__in_any_order__show_the_same(tenant: Tenant) -> None:
    """Of two frames with one time the same one is current, whichever came first."""
    at = moment(1)
    frames = [sample(timestamp=at, power=10.0), sample(timestamp=at, power=20.0)]
    shown = []
    for order in (frames, frames[::-1]):
        charger = tenant.charger()
        for frame in order:
            charger.send("telemetry", frame)
        shown.append(charger.connector()["power"])
    assert shown[0] == shown[1]


def test_future_sample__beyond_five_minutes__is_stored_flagged_and_never_current(
    charger: Charger,
) -> None:
    """A clock that runs ahead by more than five minutes is not believed."""
    charger.send("telemetry", sample(power=50.0))
    charger.send("telemetry", sample(power=99.0, timestamp=moment(-400)))
    charger.send("telemetry", sample(power=60.0, timestamp=moment(-200)))
    assert charger.connector()["power"] == 60.0
    stored = charger.samples(start_time=moment(60), end_time=moment(-1000))
    flags = {one["power"]: one.get("clock_suspect", False) for one in stored}
    assert flags == {50.0: False, 60.0: False, 99.0: True}
    charger.send("events", event(timestamp=moment(-400)))
    charger.send("events", event(timestamp=moment(-200)))
    assert sorted(one.get("clock_suspect", False) for one in charger.events()) == [False, True]


def test_heartbeat__each_status__is_online_but_for_the_announced_shutdown(
    charger: Charger,
) -> None:
    """A charger with a fault is online with bad health; one that says it goes is offline."""
    assert charger.send("heartbeat", heartbeat()).data == {"commands": []}
    seen = charger.seen()
    assert (seen["status"], seen["health"]) == ("online", "ok")
    assert seen["last_heartbeat"].endswith("Z")
    assert "fault_code" not in seen
    assert charger.send("heartbeat", heartbeat(status="fault", fault_code=421)).data == {
        "commands": []
    }
    seen = charger.seen()
    assert (seen["status"], seen["health"]) == ("online", "fault")
    assert (seen["fault_code"], seen["fault_key"]) == (421, "F-0421")
    charger.send("heartbeat", heartbeat(status="offline"))
    assert charger.seen()["status"] == "offline"
    charger.send("telemetry", sample())
    assert charger.seen()["status"] == "online"


def test_presence__any_authenticated_request__is_a_sign_of_life(tenant: Tenant) -> None:
    """Also a request that is refused shows that the charger is there; a token alone does not."""
    charger = tenant.charger()
    assert charger.seen()["status"] == "offline"
    assert "last_heartbeat" not in charger.seen()
    charger.send("telemetry", {}, expect=400)
    assert charger.seen()["status"] == "online"
    assert "last_heartbeat" not in charger.seen()


def test_clock_offset__of_a_heartbeat__is_shown_in_seconds(charger: Charger) -> None:
    """How far a charger's clock runs ahead is told, so that somebody can set it."""
    charger.send("heartbeat", heartbeat(timestamp=moment(-100)))
    assert 95 < charger.seen()["clock_offset"] < 105


def test_reconnects__sixth_token_within_ten_minutes__raises_f_0302(
    tenant: Tenant, charger: Charger
) -> None:
    """A charger that keeps asking for tokens it does not need is told of, once."""
    body = {"device_id": charger.device_id, "device_secret": charger.device_secret}
    for _ in range(8):
        asked = body | {"grant_type": "client_credentials"}
        tenant.contract.post("/v1/device/token", asked, expect=200)
    storms = _wait_for(charger, "F-0302")
    assert [one["origin"] for one in storms] == ["platform"]
    assert "connector_id" not in storms[0]


def _wait_for(charger: Charger, fault_code: str) -> list[dict[str, Any]]:
    """Poll until the platform has raised a fault, which it does every two seconds."""
    for _ in range(40):
        found = charger.events(fault_code=fault_code)
        if found:
            return found
        charger.api.get("/v1/device/commands?connector_id=1&wait=1", expect=200)
    return []


def test_site_summary__counts_every_state__and_offline_besides(tenant: Tenant) -> None:
    """Published counts keep their meaning; connectors of offline devices are counted twice."""
    site_id = tenant.site(f"Depot {secrets.token_hex(4)}")
    chargers = [tenant.charger(site_id=site_id) for _ in range(3)]
    for charger, states in zip(
        chargers,
        (("charging", "discharging"), ("fault", "unavailable"), ("preparing", "idle")),
        strict=True,
    ):
        for number, state in enumerate(states, 1):
            charger.send("telemetry", sample(connector_id=number, state=state))
    chargers[1].send("heartbeat", heartbeat(status="offline"))
    site = tenant.api.get(f"/v1/operator/sites/{site_id}", expect=200).data
    assert site["total_connectors"] == 6
    assert site["status_summary"] == {
        "idle": 2,
        "charging": 1,
        "discharging": 1,
        "fault": 1,
        "unavailable": 1,
        "offline": 2,
    }
    assert site["power_capacity"] == 540.0

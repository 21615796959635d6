"""Operators see what of a charger belongs on which channel, and what is enabled here."""

from tests.api.tenancy import Tenant


def test_channels__own_fleet__all_that_runs_here_is_enabled(tenant: Tenant) -> None:
    """Without consent records all is enabled that the charger is able to, and this side drives."""
    charger = tenant.charger("TP-DC180")
    path = f"/v1/operator/devices/{charger.device_id}/channels"
    found = tenant.api.get(path, expect=200).data
    assert (found["consent_required"], found["pattern"]) == (False, "microgrid")
    obstacles = {one["name"]: one.get("obstacle") for one in found["capabilities"]}
    assert obstacles["hardware_health"] is None
    assert obstacles["v2g_dispatch"] == "charger_cannot_discharge"
    assert obstacles["customer_billing"] == "belongs_on_ocpp"


def test_channels__foreign_device__is_absent(tenant: Tenant) -> None:
    """A device that is not one's own has no channels."""
    tenant.api.get("/v1/operator/devices/dvc_unknown/channels", expect=404, code=3001)

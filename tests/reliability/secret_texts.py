"""Vehicle numbers in whatever people write, on every route that takes a text; then every list.

Secrets have no place in texts; they are sent where they are wrong, by ``SecretTraffic``.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.contract.canaries import Canary
from tests.reliability.secret_traffic import SecretTraffic
from tests.reliability.tenant_agents import AGENT, add_proposal
from tests.reliability.tenant_alerts import add_alert
from tests.reliability.tenant_portal import PORTAL, portal_token
from tests.reliability.tenant_runbooks import PHOTO, SLUG

_RUNS = f"/v1/operator/runbooks/{SLUG}/runs"
_LISTS = (
    "/v1/operator/alerts",
    "/v1/operator/alerts/{alert_id}",
    "/v1/operator/webhooks",
    f"{_RUNS}?size=100",
    f"{_RUNS}/{{run_id}}",
    f"{_RUNS}/{{run_id}}/bundle",
    "/v1/operator/devices/{device_id}/diagnostics",
    "/v1/operator/devices/{device_id}/readers",
    "/v1/operator/devices/{device_id}/channels",
    "/v1/operator/config-profiles",
    "/v1/operator/config-profiles/{profile_id}/versions",
    "/v1/operator/v2g-vehicles",
    "/v1/operator/agents",
    f"/v1/operator/agents/{AGENT}/proposals",
    "/v1/operator/work-list",
    "/v1/operator/firmware-health",
    "/v1/operator/audit-logs?size=100",
    "/v1/operator/commands?size=100",
    "/v1/operator/change-requests",
)
_ADMIN_LISTS = (
    "/v1/admin/consents?size=100",
    "/v1/admin/erasures?size=100",
    "/v1/admin/audit-log?size=100",
    "/v1/admin/processing-record",
    "/v1/admin/devices/{device_id}/readers",
)


class SecretTexts:
    """Writes vehicle numbers into texts; ``answers`` collects what was answered, all of it."""

    def __init__(self, traffic: SecretTraffic) -> None:
        self._traffic = traffic
        self._server = traffic.server
        self._device_id = traffic.device.device_id
        self._ids = {"device_id": self._device_id}
        self._portal_token = ""
        self.answers: list[bytes] = []
        self._server.admin("GET", "/v1/admin/operators")  # makes sure of the token

    def write(self, vins: list[Canary]) -> None:
        """Write each number wherever an operator or an administrator can write something."""
        self._plug_in()
        for number, canary in enumerate(vins):
            for text in (canary.value, f"seen {canary.value.lower()} here"):
                self._care(text)
                self._configure(text, f"{number} {text}")
                self._agree(text)

    def read(self) -> None:
        """Read every list and file that any of it may be in."""
        for path in _LISTS:
            answer = self._ask("GET", path.format(**self._ids))
            if answer[:2] == b"PK":
                self.answers += _members(answer)
        for path in _ADMIN_LISTS:
            self._ask("GET", path.format(**self._ids), admin=True)

    def export_and_erase(self, vins: list[Canary]) -> None:
        """Export each vehicle, which shows its number to nobody else, and erase the last one."""
        operator_id = self._traffic.client.operator_id
        for canary in vins:
            body = {"vin": canary.value, "operator_id": operator_id}
            held = self._call("POST", "/v1/admin/subjects/export", body, admin=True)
            assert canary.value.encode() in held
            others = [other for other in vins if other is not canary]
            assert not any(other.value.encode() in held for other in others)
        body = {"vin": vins[-1].value, "operator_id": operator_id}
        self._ask("POST", "/v1/admin/erasures/vehicle", body, admin=True)

    # ---------------------------------------------------------------- what is written

    def _plug_in(self) -> None:
        now = datetime.now(UTC).isoformat()
        told = {"timestamp": now, "event_type": "plug_in", "data": {}, "connector_id": 1}
        self._traffic.accept("/v1/device/events", told)

    def _care(self, text: str) -> None:
        device = f"/v1/operator/devices/{self._device_id}"
        alert_id = add_alert(self._server.data_dir, self._device_id)
        change = {"status": "acknowledged", "note": text}
        self._ask("PATCH", f"/v1/operator/alerts/{alert_id}", change)
        proposal_id = add_proposal(self._server.data_dir, self._device_id)
        verdict = {"status": "dismissed", "note": text}
        self._ask("PATCH", f"/v1/operator/agents/{AGENT}/proposals/{proposal_id}", verdict)
        self._ask("POST", f"{device}/diagnostics", {"note": text})
        vehicle = {"make": text, "model": text, "firmware": text}
        run = {"device_id": self._device_id, "connector_id": 1, "vehicle": vehicle}
        run_id = self._data("POST", _RUNS, run)["run_id"]
        self._ids |= {"alert_id": alert_id, "run_id": run_id}
        path = f"{_RUNS}/{run_id}"
        self._photograph(f"{path}/photos", text)
        answered = {"outcome": "failed", "answered_by": text, "note": text}
        self._ask("POST", f"{path}/steps/1", answered, expected=(200, 409))
        self._ask("POST", f"{path}/cancel", expected=(200, 409))

    def _photograph(self, path: str, text: str) -> None:
        headers = self._headers() | {
            "content-type": "image/png",
            "content-disposition": f'attachment; filename="{text}.png"',
        }
        answer = self._traffic.send("POST", path, content=PHOTO, headers=headers)
        assert answer.status_code == 200, answer.text

    def _configure(self, text: str, name: str) -> None:
        profile = {"name": f"P {name}", "note": text, "values": {"text": text, "deep": [{text: 1}]}}
        made = self._data("POST", "/v1/operator/config-profiles", profile)
        self._ids["profile_id"] = made["config_profile_id"]
        path = f"/v1/operator/config-profiles/{made['config_profile_id']}"
        self._ask("PATCH", path, {"note": text, "values": {"other": text}})
        vehicle = {"make": f"M {name}", "model": text, "min_firmware": "1.0.0", "note": text}
        self._ask("POST", "/v1/operator/v2g-vehicles", vehicle)
        hook = {"url": "https://alerts.invalid/v1", "name": text, "active": False}
        webhook_id = self._data("POST", "/v1/operator/webhooks", hook)["webhook_id"]
        self._ask("PATCH", f"/v1/operator/webhooks/{webhook_id}", {"name": f"again {text}"})
        self._ask("DELETE", f"/v1/operator/webhooks/{webhook_id}")

    def _agree(self, text: str) -> None:
        consent = {
            "device_id": self._device_id, "services": ["diagnostics"], "granted_by": text,
            "customer": text, "evidence": text,
        }  # fmt: skip
        made = self._data("POST", "/v1/admin/consents", consent, admin=True)
        self._portal(text)
        path = f"/v1/admin/consents/{made['consent_id']}/revoke"
        self._ask("POST", path, {"reason": text}, admin=True)
        site = {"operator_id": self._traffic.client.operator_id, "name": text, "address": text}
        self._ask("POST", "/v1/admin/sites", site, admin=True)

    def _portal(self, text: str) -> None:
        """Have the customer of that name ask for something, and be answered."""
        operator_id = self._traffic.client.operator_id
        self._portal_token = portal_token(self._server, operator_id, text)
        wish = {"device_id": self._device_id, "services": [], "note": text}
        asked = self._data("POST", f"{PORTAL}/change-requests", wish, portal=True)
        answer = {"status": "declined", "note": text}
        self._ask("PATCH", f"/v1/operator/change-requests/{asked['request_id']}", answer)
        self._ask("GET", f"{PORTAL}/change-requests", portal=True)
        self._ask("GET", f"{PORTAL}/chargers/{self._device_id}/readers", portal=True)
        self._ask("GET", f"{PORTAL}/chargers/{self._device_id}/export", portal=True)

    # ---------------------------------------------------------------- how

    def _headers(self, *, admin: bool = False, portal: bool = False) -> dict[str, str]:
        token = self._portal_token if portal else self._traffic.client.token
        token = self._server._admin_token if admin else token
        return {"Authorization": f"Bearer {token}"}

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        expected: tuple[int, ...] = (200,),
        **caller: bool,
    ) -> bytes:
        more = {} if body is None else {"json": body}
        answer = self._traffic.send(method, path, headers=self._headers(**caller), **more)
        assert answer.status_code in expected, (method, path, answer.text)
        return answer.content

    def _ask(self, method: str, path: str, body: Any = None, **options: Any) -> bytes:
        """Call, and keep the answer: nothing may be in it."""
        answer = self._call(method, path, body, **options)
        self.answers.append(answer)
        return answer

    def _data(self, method: str, path: str, body: Any, **options: Any) -> Any:
        return json.loads(self._ask(method, path, body, **options))["data"]


def _members(content: bytes) -> Iterator[bytes]:
    """The names and contents of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        yield "\n".join(archive.namelist()).encode()
        yield from (archive.read(name) for name in archive.namelist())

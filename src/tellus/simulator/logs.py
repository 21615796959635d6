"""The bundle of logs that a charger sends where it is told to: one zip of four files."""

from __future__ import annotations

import http.client
import io
import zipfile
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import msgspec

from tellus.simulator.image import is_on_this_machine, workers
from tellus.simulator.messages import utc_text

if TYPE_CHECKING:
    from tellus.simulator.device import ChargerTwin

MEDIA_TYPE = "application/zip"
_SILENCE_S = 20.0
_GOOD = range(200, 300)


def build_bundle(charger: ChargerTwin, now_ms: int) -> bytes:
    """Return the zip: boot log, fault history, configuration dump, firmware metadata."""
    power, profile = charger.power_state, charger.profile
    boot_log = [f"{utc_text(time_ms)} boot {cause}" for time_ms, cause in power.boot_log]
    boot_log.append(f"{utc_text(now_ms)} bundle requested, {power.boots} boots so far")
    files = {
        "boot.log": "\n".join(boot_log).encode() + b"\n",
        "faults.json": _json(list(charger.fault_log)),
        "configuration.json": _json(
            {
                "config_profile_id": profile.profile_id,
                "running_config_hash": profile.config_hash,
                "values": profile.values,
            }
        ),
        "firmware.json": _json(
            {
                "sn": charger.spec.sn,
                "model": charger.model.name,
                "firmware_version": charger.firmware_version,
                "power_modules": charger.cabinet.modules,
            }
        ),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return packed.getvalue()


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


class LogUpload:
    """A bundle on its way; sent only to this machine or to the platform that the charger knows."""

    def __init__(self, base_url: str, upload_url: str, bundle: bytes) -> None:
        self._problem: Future[str | None] | None = None
        target = urljoin(base_url.rstrip("/") + "/", upload_url) if base_url else upload_url
        if upload_url.startswith("/"):
            target = base_url.rstrip("/") + upload_url
        is_platform = bool(base_url) and urlsplit(target).netloc == urlsplit(base_url).netloc
        if is_platform or is_on_this_machine(target):
            self._problem = workers().submit(_put, target, bundle)

    @property
    def is_settled(self) -> bool:
        """Return whether ``problem`` can be asked for without waiting."""
        return self._problem is None or self._problem.done()

    @property
    def problem(self) -> str | None:
        """Return why the bundle did not arrive, None where it did; waits for the end."""
        return None if self._problem is None else self._problem.result()


def _put(url: str, bundle: bytes) -> str | None:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_SILENCE_S)
    try:
        path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        connection.request("PUT", path, body=bundle, headers={"Content-Type": MEDIA_TYPE})
        answer = connection.getresponse()
        answer.read()
        status = answer.status
    except (http.client.HTTPException, OSError, ValueError) as error:
        return f"the bundle cannot be sent: {type(error).__name__} {error}".rstrip()
    finally:
        connection.close()
    return None if status in _GOOD else f"the bundle was refused: HTTP status {status}"

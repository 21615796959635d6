"""A firmware upgrade at the charger: download, installation, reboot into the new version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tellus.simulator.chance import seeded
from tellus.simulator.figures import default_figures
from tellus.simulator.image import Image
from tellus.simulator.messages import FirmwareStatusReport, firmware_message
from tellus.simulator.orders import CommandRefused, Job

if TYPE_CHECKING:
    from tellus.simulator.device import ChargerTwin
    from tellus.simulator.figures import CommandFaults

_FIGURES = default_figures().downtime
_SHA256 = re.compile(r"[0-9a-f]{64}")
_STEPS = (25, 50, 75, 100)
_LOOK_AGAIN_S = 10.0
_BYTES_PER_MB = 1_000_000


class _Build(NamedTuple):
    version: str
    url: str
    sha256: str
    size_bytes: float


def upgrade_firmware(job: Job) -> None:
    """Download, wait until nobody charges, install, and reboot into the new version."""
    build = _read_build(job)
    charger = job.charger
    if charger.is_upgrading:
        raise CommandRefused("an upgrade is already under way")
    job.accept("Upgrade accepted")
    if build.version == charger.firmware_version:
        tell_progress(charger, job.now_ms, build.version, "success", "already installed")
        job.complete(job.now_ms, "Already installed", {"firmware_version": build.version})
        return
    charger.is_upgrading = True
    image = Image(build.url, build.sha256, round(build.size_bytes))
    download_s = build.size_bytes / (_FIGURES.download_mb_per_s * _BYTES_PER_MB)
    for step in _STEPS:
        job.later(download_s * step / 100.0, _downloading(charger, build, step))
    job.later(download_s + 1.0, lambda now_ms: _check_image(job, build, image, now_ms))


def draw_failing_firmware(faults: CommandFaults, key: tuple[int, str]) -> set[str]:
    """Return the versions that a charger cannot install; ``key`` is seed and serial number."""
    drawn = seeded(*key, "firmware").random()
    return set(faults.failing_firmware) if drawn < faults.failing_firmware_ratio else set()


def _read_build(job: Job) -> _Build:
    params: dict[str, Any] = job.command.params
    version, url, sha256 = (params.get(name) for name in ("firmware_version", "url", "sha256"))
    if not isinstance(version, str) or not version:
        raise CommandRefused("firmware_version is missing")
    if not isinstance(url, str) or not url.startswith(("http://", "https://", "/")):
        raise CommandRefused("url is not an address")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        raise CommandRefused("sha256 is not a digest of 64 hexadecimal digits")
    size_bytes = job.number("size")
    if size_bytes is None or size_bytes <= 0.0:
        raise CommandRefused("size is missing or not positive")
    return _Build(version, url, sha256, size_bytes)


def _downloading(charger: ChargerTwin, build: _Build, progress: int) -> Any:
    return lambda now_ms: tell_progress(
        charger, now_ms, build.version, "downloading", progress=progress
    )


def _check_image(job: Job, build: _Build, image: Image, now_ms: int) -> None:
    charger = job.charger
    if not image.is_settled:
        due_ms = now_ms + round(1000 * _LOOK_AGAIN_S)
        charger.agenda.at(
            due_ms, lambda at_ms: _check_image(job, build, image, at_ms), job.command.command_id
        )
    elif image.problem is None:
        _install(job, build, now_ms)
    else:
        charger.is_upgrading = False
        tell_progress(charger, now_ms, build.version, "failed", image.problem)
        details = {"firmware_version": build.version, "reason": "bad_image"}
        job.fail(now_ms, image.problem, details)


def _install(job: Job, build: _Build, now_ms: int) -> None:
    charger = job.charger
    if any(one.is_busy for one in charger.connectors):
        due_ms = now_ms + round(1000 * _LOOK_AGAIN_S)
        charger.agenda.at(due_ms, lambda at_ms: _install(job, build, at_ms), job.command.command_id)
        return
    tell_progress(charger, now_ms, build.version, "upgrading", progress=0)
    due_ms = now_ms + round(1000 * _FIGURES.install_s)
    charger.agenda.at(due_ms, lambda at_ms: _restart(job, build, at_ms), job.command.command_id)
    for connector in charger.connectors:
        connector.is_out_of_service = True
        connector.show(now_ms)


def _restart(job: Job, build: _Build, now_ms: int) -> None:
    charger = job.charger
    is_bad = build.version in charger.failing_firmware

    def boot(boot_ms: int) -> None:
        charger.is_upgrading = False
        before = charger.firmware_version
        details = {"firmware_version": build.version, "previous_version": before}
        if is_bad:
            text = "the new version did not start; the old one runs again"
            tell_progress(charger, boot_ms, build.version, "failed", text)
            job.fail(boot_ms, text, {**details, "reason": "install_failed"})
            return
        charger.firmware_version = build.version
        tell_progress(charger, boot_ms, build.version, "success", progress=100)
        job.complete(boot_ms, "Upgraded", details)

    charger.power_state.go_down(now_ms, _FIGURES.reboot_s, boot)


def tell_progress(
    charger: ChargerTwin,
    now_ms: int,
    version: str,
    status: str,
    text: str | None = None,
    progress: int | None = None,
) -> None:
    """Report how an upgrade stands."""
    report = FirmwareStatusReport(version, status)
    if progress is not None:
        report.progress = progress
    if text is not None:
        report.message = text
    charger.home.emit(firmware_message(report, now_ms))

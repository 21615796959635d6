"""Decisions about releases and upgrades of one device: what fits, what is newer, what is over."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from tellus.commands.model import Phase
from tellus.firmware.model import (
    Channel,
    ModelStanding,
    Patience,
    Progress,
    Release,
    Verdict,
)
from tellus.kernel.versions import (
    Order,
    compare_versions,
    is_more_than_two_minors_behind,
    sort_key,
)

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_INSTALLING: Final = "upgrading"


def builds_of(releases: Iterable[Release]) -> dict[tuple[str, str], str]:
    """Return the dated builds of versions, by model and version, as far as they are known."""
    return {
        (model, release.firmware_version): release.platform_build
        for release in releases
        if release.platform_build is not None
        for model in release.models
    }


def is_safe_url(url: str) -> bool:
    """Tell whether chargers may be sent to ``url``: HTTPS, or plain HTTP to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None or any(letter.isspace() for letter in url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def sort_releases(releases: Iterable[Release]) -> list[Release]:
    """Return releases by version, newest first within a scheme; of one version the newer entry."""
    return sorted(
        releases,
        key=lambda release: (sort_key(release.firmware_version), release.created_ms),
        reverse=True,
    )


def latest_stable(releases: Iterable[Release], model: str) -> Release | None:
    """Return the newest stable release of a model that was not withdrawn, or None.

    Semantic versions go before dated ones: both schemes have no order between them.
    """
    fitting = [
        release
        for release in sort_releases(releases)
        if model in release.models
        and release.channel is Channel.STABLE
        and not release.is_withdrawn
    ]
    return fitting[0] if fitting else None


def order_to(running: str, release: Release, known: Iterable[Release] = ()) -> Order:
    """Tell how what a device runs stands to a release.

    Compared is whatever the two have in one scheme: the version as reported with the release's
    version or platform build, or the version under which ``known`` releases of the device's model
    list the build that it reports.
    """
    if running in release.names:
        return Order.SAME
    equals = {running} | {name for one in known if running in one.names for name in one.names}
    for one in sorted(equals):
        for other in sorted(release.names):
            order = compare_versions(one, other)
            if order is not Order.INCOMPARABLE:
                return order
    return Order.INCOMPARABLE


def standing_of(model: str, running: Sequence[str], releases: Sequence[Release]) -> ModelStanding:
    """Count how the versions that devices of a model run stand to its latest stable release."""
    latest = latest_stable(releases, model)
    if latest is None:
        return ModelStanding(model, None, len(running), 0, 0, 0, 0)
    known = [release for release in releases if model in release.models]
    orders = [order_to(version, latest, known) for version in running]
    behind = orders.count(Order.OLDER)
    unknown = orders.count(Order.INCOMPARABLE)
    far_behind = sum(
        _is_far(version, latest, known)
        for version, order in zip(running, orders, strict=True)
        if order is Order.OLDER
    )
    current = len(running) - behind - unknown
    return ModelStanding(model, latest, len(running), current, behind, far_behind, unknown)


def _is_far(version: str, latest: Release, known: Sequence[Release]) -> bool:
    names = {version} | {release.firmware_version for release in known if version in release.names}
    return any(is_more_than_two_minors_behind(name, latest.firmware_version) for name in names)


def judge_upgrade(
    progress: Progress, running: str | None, now_ms: int, patience: Patience
) -> Verdict:
    """Say what is to be done about an open upgrade; ``running`` is what its device reports.

    A charger that has accepted may be silent while it downloads or waits for the end of a session,
    and for less long once it installs. Each word of it begins the time anew.
    """
    command = progress.command
    if command.phase not in {Phase.QUEUED, Phase.ACCEPTED}:
        return Verdict.CLOSE
    if running is not None and running in progress.upgrade.targets:
        return Verdict.CONCLUDE
    if command.phase is Phase.QUEUED or (command.result or {}).get("late") is True:
        return Verdict.WAIT
    report = progress.report
    last_word_ms = command.updated_ms
    patience_ms = patience.preparing_ms
    if report is not None:
        last_word_ms = max(last_word_ms, report.received_ms)
        if report.status == _INSTALLING:
            patience_ms = patience.installing_ms
    return Verdict.ABANDON if now_ms >= last_word_ms + patience_ms else Verdict.WAIT

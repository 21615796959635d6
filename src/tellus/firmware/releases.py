"""Use cases of the release catalogue: add, change, withdraw, list, and who is behind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.consent.model import Service
from tellus.firmware import rules, store
from tellus.firmware.model import Channel, ModelStanding, Release, ReleaseFilter
from tellus.fleet.directory import Directory
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.versions import Scheme, parse_version
from tellus.storage.database import Database, Tx


class ReleaseExists(Conflict):
    """4001: there is a release of this version for one of the models."""

    def __init__(self, model: str, firmware_version: str, release_id: str) -> None:
        super().__init__(
            "This version is in the catalogue for this model already",
            model=model,
            firmware_version=firmware_version,
            release_id=release_id,
        )


class ReleaseCatalogue:
    """The releases there are; administrators keep them, operators read them."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self.on_builds: Callable[[Mapping[tuple[str, str], str]], None] | None = None
        """Told which dated builds versions are, by model and version, when that has changed."""

    async def start(self) -> None:
        """Tell which dated builds there are."""
        await self.refresh()

    async def refresh(self, release_ids: Sequence[str] = ()) -> None:
        """Tell again which dated builds there are; which releases changed does not matter."""
        del release_ids
        if self.on_builds is not None:
            self.on_builds(rules.builds_of(await self._database.read(store.list_releases)))

    async def add_release(self, release: Release, by: Actor) -> Release:
        """Store a new release.

        Raises:
            InvalidParameter: a version is of no scheme, or the address is not safe.
            ReleaseExists: one of its models has the version already.
        """
        _check(release)
        added = await self._database.write(_add, release, by)
        await self.refresh()
        return added

    async def change_release(
        self,
        release_id: str,
        by: Actor,
        now_ms: int,
        *,
        channel: Channel | None = None,
        notes: str | None = None,
        withdrawn: bool | None = None,
        withdrawn_reason: str | None = None,
    ) -> Release:
        """Change what may change of a release; None leaves a thing as it is.

        Raises:
            NotFound: there is no such release.
        """
        return await self._database.write(
            _change, release_id, (channel, notes, withdrawn, withdrawn_reason), by, now_ms
        )

    async def get_release(self, release_id: str) -> Release:
        """Return a release.

        Raises:
            NotFound: there is none.
        """
        release = await self._database.read(store.find_release, release_id)
        if release is None:
            raise NotFound
        return release

    async def list_releases(
        self, wanted: ReleaseFilter, offset: int, size: int
    ) -> tuple[int, list[Release]]:
        """Return how many releases match and a page of them, newest version first."""
        found = [
            release
            for release in rules.sort_releases(await self._database.read(store.list_releases))
            if wanted.model in {None, *release.models}
            and wanted.channel in {None, release.channel}
            and wanted.firmware_version in {None, *release.names}
            and wanted.withdrawn in {None, release.is_withdrawn}
        ]
        return len(found), found[offset : offset + size]

    async def list_standings(self, operator_id: str, now_ms: int) -> list[ModelStanding]:
        """Return how an operator's devices stand to the latest stable release, by model."""
        releases = await self._database.read(store.list_releases)
        running: dict[str, list[str]] = {}
        for device in self._directory.of_operator(operator_id):
            if not device.allows(Service.FIRMWARE, now_ms):
                continue
            running.setdefault(device.model, []).append(device.firmware_version)
        return [
            rules.standing_of(model, versions, releases)
            for model, versions in sorted(running.items())
        ]


def _check(release: Release) -> None:
    if parse_version(release.firmware_version) is None:
        message = "Parameter 'firmware_version' is no version such as 3.1.0 or 260420.0107"
        raise InvalidParameter(message, "firmware_version", release.firmware_version)
    build = parse_version(release.platform_build) if release.platform_build is not None else None
    if release.platform_build is not None and (build is None or build.scheme is not Scheme.DATED):
        message = "Parameter 'platform_build' is no dated version such as 260420.0107"
        raise InvalidParameter(message, "platform_build", release.platform_build)
    if not rules.is_safe_url(release.url):
        message = "Parameter 'url' must be HTTPS; plain HTTP only to this machine"
        raise InvalidParameter(message, "url")


def _add(tx: Tx, release: Release, by: Actor) -> Release:
    tx.lock("firmware_releases")
    for model in release.models:
        holder = store.find_holder(tx, model, release.firmware_version)
        if holder is not None:
            raise ReleaseExists(model, release.firmware_version, holder)
    store.append_release(tx, release)
    _record(
        tx,
        by,
        "firmware_release.created",
        release,
        models=list(release.models),
        firmware_version=release.firmware_version,
        sha256=release.sha256,
        channel=release.channel,
    )
    return release


def _change(
    tx: Tx,
    release_id: str,
    change: tuple[Channel | None, str | None, bool | None, str | None],
    by: Actor,
    now_ms: int,
) -> Release:
    tx.lock("firmware_releases")
    before = store.find_release(tx, release_id)
    if before is None:
        raise NotFound
    channel, notes, withdrawn, why = change
    release = replace(
        before,
        channel=before.channel if channel is None else channel,
        notes=before.notes if notes is None else notes,
        updated_ms=now_ms,
    )
    if withdrawn is False:
        release = replace(release, withdrawn_ms=None, withdrawn_reason=None)
    elif withdrawn:
        since_ms = now_ms if before.withdrawn_ms is None else before.withdrawn_ms
        reason = before.withdrawn_reason if why is None else why
        release = replace(release, withdrawn_ms=since_ms, withdrawn_reason=reason)
    store.update_release(tx, release)
    action = "firmware_release.changed"
    if release.is_withdrawn != before.is_withdrawn:
        action = f"firmware_release.{'withdrawn' if release.is_withdrawn else 'restored'}"
    _record(tx, by, action, release, channel=release.channel, reason=release.withdrawn_reason)
    return release


def _record(tx: Tx, by: Actor, action: str, release: Release, **details: Any) -> None:
    record(
        tx,
        by.name,
        action,
        "firmware_release",
        release.release_id,
        None,
        by.request_id,
        release.updated_ms,
        **details,
    )

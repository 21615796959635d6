"""The release catalogue on the administration surface."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.firmware.model import Channel, Release
from tellus.firmware.operator_api import ReleaseItem, ReleasesQuery, Word, release_item, to_filter
from tellus.firmware.releases import ReleaseCatalogue
from tellus.kernel.call import Call, Nothing
from tellus.kernel.ids import new_id
from tellus.kernel.paging import Page

VersionText = Annotated[str, Meta(min_length=1, max_length=64)]
Models = Annotated[list[Word], Meta(min_length=1, max_length=100)]
Digest = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{64}\Z", max_length=64)]
Notes = Annotated[str, Meta(max_length=4_000)]
ReasonText = Annotated[str, Meta(max_length=500)]


class AddReleaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new release: ``sha256`` and ``size`` (bytes) of the file at ``url``.

    The version is semantic (``3.1.0``) or dated (``260420.0107``); ``platform_build`` is the dated
    one of the same software. ``url`` is HTTPS, or HTTP on the platform's own machine.
    """

    models: Models
    firmware_version: VersionText
    platform_build: VersionText | UnsetType = UNSET
    url: Annotated[str, Meta(min_length=1, max_length=2_048)]
    sha256: Digest
    size: Annotated[int, Meta(ge=1, le=1_000_000_000_000)]
    channel: Channel = Channel.STABLE
    notes: Notes | UnsetType = UNSET


class ChangeReleaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a release; what is withdrawn is sent to nobody any more."""

    channel: Channel | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    withdrawn: bool | UnsetType = UNSET
    withdrawn_reason: ReasonText | UnsetType = UNSET


async def list_releases(
    catalogue: ReleaseCatalogue, call: Call[Nothing, ReleasesQuery]
) -> Page[ReleaseItem]:
    """Return a page of releases, newest version first."""
    query = call.query
    total, found = await catalogue.list_releases(to_filter(query), query.offset, query.size)
    return Page(total, query.page, query.size, [release_item(release) for release in found])


async def add_release(
    catalogue: ReleaseCatalogue, call: Call[AddReleaseRequest, Nothing]
) -> ReleaseItem:
    """Add a release to the catalogue."""
    body = call.body
    release = Release(
        release_id=new_id("rel"),
        models=tuple(sorted(set(body.models))),
        firmware_version=body.firmware_version,
        platform_build=body.platform_build or None,
        url=body.url,
        sha256=body.sha256.lower(),
        size_bytes=body.size,
        channel=body.channel,
        notes=body.notes or None,
        created_ms=call.now_ms,
        updated_ms=call.now_ms,
    )
    return release_item(await catalogue.add_release(release, _actor(call)))


async def get_release(catalogue: ReleaseCatalogue, call: Call[Nothing, Nothing]) -> ReleaseItem:
    """Return a release."""
    return release_item(await catalogue.get_release(call.path["release_id"]))


async def change_release(
    catalogue: ReleaseCatalogue, call: Call[ChangeReleaseRequest, Nothing]
) -> ReleaseItem:
    """Change a release, withdraw it, or take that back."""
    body = call.body
    release = await catalogue.change_release(
        call.path["release_id"],
        _actor(call),
        call.now_ms,
        channel=None if body.channel is UNSET else body.channel,
        notes=None if body.notes is UNSET else body.notes,
        withdrawn=None if body.withdrawn is UNSET else body.withdrawn,
        withdrawn_reason=body.withdrawn_reason or None,
    )
    return release_item(release)


def _actor(call: Call[AddReleaseRequest, Nothing] | Call[ChangeReleaseRequest, Nothing]) -> Actor:
    return Actor(call.principal.principal_id, call.request_id or None, call.principal.scopes)

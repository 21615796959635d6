"""The release catalogue on the administration surface."""

from functools import partial
from typing import Final

from tellus.firmware import admin_api as firmware
from tellus.firmware.operator_api import ReleaseItem, ReleasesQuery
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import Route

_query = partial(
    Route, "GET", audience=Audience.ADMIN, scope="firmware:read", tag="Admin: firmware"
)
_change = partial(Route, audience=Audience.ADMIN, scope="firmware:write", tag="Admin: firmware")

FIRMWARE_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/admin/firmware/releases", "adminListReleases", firmware.list_releases,
        query=ReleasesQuery, response=Page[ReleaseItem],
        summary="List releases", description="Newest version first.",
    ),
    _change(
        "POST", "/v1/admin/firmware/releases", "addRelease", firmware.add_release,
        request=firmware.AddReleaseRequest, response=ReleaseItem,
        summary="Add a release",
        description="A version that one of the models has already is 409.",
    ),
    _query(
        "/v1/admin/firmware/releases/{release_id}", "adminGetRelease", firmware.get_release,
        response=ReleaseItem,
        summary="Read a release",
    ),
    _change(
        "PATCH", "/v1/admin/firmware/releases/{release_id}", "changeRelease",
        firmware.change_release,
        request=firmware.ChangeReleaseRequest, response=ReleaseItem,
        summary="Change or withdraw a release",
        description="What is left out stays as it is. A release that is withdrawn is sent to nobody"
        " any more, and halts the rollouts that are about it.",
    ),
)  # fmt: skip

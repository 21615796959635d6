"""Coexistence on the operator's and the administration's surface: readers and channels."""

from typing import Final

from tellus.coexistence import operator_api as readers
from tellus.coexistence import operator_api_channels as channels
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

_ABOUT: Final = (
    "By reader, kind of data and day (UTC), since the device is its operator's: clients, partner"
    " platforms and administrators. Sums over a site or all of an operator are told apart from"
    " reads of this device."
)

COEXISTENCE_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/operator/devices/{device_id}/readers", "listDeviceReaders",
        readers.list_device_readers, Audience.OPERATOR, "See who read what of a device",
        "Operator: coexistence", description=_ABOUT, scope="read", limit=LimitClass.QUERIES,
        query=readers.ReadersQuery, response=Page[readers.ReaderItem],
    ),
    Route(
        "GET", "/v1/admin/devices/{device_id}/readers", "adminListDeviceReaders",
        readers.list_device_readers, Audience.ADMIN, "See who read what of a device",
        "Admin: devices", description=_ABOUT, scope="device:read",
        query=readers.ReadersQuery, response=Page[readers.ReaderItem],
    ),
    Route(
        "GET", "/v1/operator/devices/{device_id}/channels", "getDeviceChannels",
        channels.get_device_channels, Audience.OPERATOR, "See what runs on which channel",
        "Operator: coexistence",
        description="What belongs on the charger's OCPP link, what on this platform, what on both;"
        " whether it is enabled here for this charger, or why not; and which of the three patterns"
        " of use that comes to.",
        scope="read", limit=LimitClass.QUERIES, response=channels.ChannelsResponse,
    ),
)  # fmt: skip

"""Who read what of a device, on the operator's and the administration's surface."""

from typing import Final

from tellus.coexistence import operator_api as readers
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

_ABOUT: Final = (
    "By reader, kind of data and day (UTC), since the device is its operator's: clients, partner"
    " platforms and administrators. Sums over a site or all of an operator are told apart from"
    " reads of this device."
)

READER_ROUTES: Final[tuple[Route, ...]] = (
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
)  # fmt: skip

"""What of charging records goes when their device is erased: all of it."""

from tellus.fleet.erasure import ErasureService, Part
from tellus.sessions import store_retention


def record_part(erasures: ErasureService) -> Part:
    """Return the part of an erasure that charging records are."""
    return erasures.part("records", store_retention.remove_records_of)

"""The words of configuration: profiles, and what a device was assigned and says it runs."""

from typing import NamedTuple


class RunningConfig(NamedTuple):
    """What a device ought to run and what it said; None where it said nothing of it.

    ``settled_ms`` is until when a difference is no drift, because the profile is still on its way.
    """

    device_no: int
    assigned_profile_id: str
    assigned_hash: str
    settled_ms: int
    reported_profile_id: str | None
    reported_hash: str | None
    reported_ms: int | None

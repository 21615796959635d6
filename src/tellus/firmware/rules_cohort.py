"""Who takes part in a rollout, in which order and in which wave."""

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from tellus.firmware.model import Release
from tellus.firmware.model_rollouts import Member, MemberState, Reason, Wave
from tellus.firmware.rules import order_to
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.versions import Order

_WHOLE_PCT: Final = 100.0


class Candidate(NamedTuple):
    """A device that fits a cohort, what it reports to run, and whether its owner agrees."""

    device_no: int
    device_id: str
    model: str
    version: str
    agreed: bool = True


def place_of(rollout_id: str, device_id: str) -> bytes:
    """Return where a device stands in the order of a rollout: mixed, and the same every time."""
    return hashlib.sha256(f"{rollout_id}/{device_id}".encode()).digest()


def check_waves(waves: Sequence[Wave]) -> None:
    """Refuse waves that contradict themselves.

    Raises:
        InvalidParameter: a wave has both share and number, the shares are over 100 percent, or a
            wave follows the one that takes the rest.
    """
    for number, wave in enumerate(waves):
        if wave.percent is not None and wave.count is not None:
            message = "A wave has either 'percent' or 'count'"
            raise InvalidParameter(message, f"waves.{number}.count", wave.count)
        if number and waves[number - 1].percent is None and waves[number - 1].count is None:
            message = "The wave before this one takes all that is left"
            raise InvalidParameter(message, f"waves.{number}")
    share_pct = sum(wave.percent or 0.0 for wave in waves)
    if share_pct > _WHOLE_PCT:
        message = "The waves together have more than 100 percent"
        raise InvalidParameter(message, "waves", share_pct)


def wave_ends(waves: Sequence[Wave], devices: int) -> list[int]:
    """Return up to which position (exclusive) each wave goes in a cohort of so many devices.

    Shares are rounded up, so that a wave with a share has at least one device as long as there are.
    """
    ends, end, share_pct = [], 0, 0.0
    for wave in waves:
        if wave.count is not None:
            end += wave.count
        elif wave.percent is not None:
            # Cumulated, so that many small shares do not round up to more than they are.
            before = math.ceil(share_pct * devices / _WHOLE_PCT)
            share_pct += wave.percent
            end += math.ceil(share_pct * devices / _WHOLE_PCT) - before
        else:
            end = devices
        end = min(end, devices)
        ends.append(end)
    return ends


def choose_members(
    rollout_id: str,
    candidates: Iterable[Candidate],
    releases: Sequence[Release],
    waves: Sequence[Wave],
    *,
    firmware_version: str,
    taken: Collection[int],
    allow_downgrade: bool,
    now_ms: int,
) -> list[Member]:
    """Return a cohort in its order, each device in its wave or skipped and why.

    ``taken`` are the devices that another rollout has not settled yet.
    """
    ordered = sorted(candidates, key=lambda one: place_of(rollout_id, one.device_id))
    reasons = [
        Reason.IN_ANOTHER_ROLLOUT
        if one.device_no in taken
        else find_objection(one, releases, firmware_version, allow_downgrade=allow_downgrade)
        for one in ordered
    ]
    ends = wave_ends(waves, sum(reason is None for reason in reasons))
    members, taking_part = [], 0
    for position, (one, reason) in enumerate(zip(ordered, reasons, strict=True)):
        member = Member(
            device_no=one.device_no,
            device_id=one.device_id,
            model=one.model,
            position=position,
            wave=None,
            updated_ms=now_ms,
            previous_version=one.version,
        )
        if reason is None:
            number = sum(end <= taking_part for end in ends)
            taking_part += 1
            if number < len(waves):
                members.append(replace(member, wave=number))
                continue
        why = reason or Reason.BEYOND_WAVES
        members.append(replace(member, state=MemberState.SKIPPED, reason=why))
    return members


def find_objection(
    device: Candidate,
    releases: Sequence[Release],
    firmware_version: str,
    *,
    allow_downgrade: bool,
) -> Reason | None:
    """Say why a device is not to be sent a version; None where nothing speaks against it."""
    if not device.agreed:
        return Reason.NO_CONSENT
    known = [release for release in releases if device.model in release.models]
    release = find_release(known, device.model, firmware_version)
    if release is None:
        return Reason.NO_RELEASE
    if release.is_withdrawn:
        return Reason.RELEASE_WITHDRAWN
    order = order_to(device.version, release, known)
    if order is Order.SAME:
        return Reason.ALREADY_CURRENT
    if allow_downgrade or order is Order.OLDER:
        return None
    return Reason.NEWER if order is Order.NEWER else Reason.NOT_COMPARABLE


def find_release(releases: Iterable[Release], model: str, firmware_version: str) -> Release | None:
    """Return the release of a version for a model; it may be named by its platform build too."""
    fitting = [release for release in releases if model in release.models]
    for release in fitting:
        if release.firmware_version == firmware_version:
            return release
    return next((one for one in fitting if firmware_version in one.names), None)

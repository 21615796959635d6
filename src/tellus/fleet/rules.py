"""Decisions of the fleet: pure, with time as a parameter."""

import enum
import hashlib
import re
from typing import Final

from tellus.fleet.model import FAULT_KEYS, Provisioning, Registration
from tellus.kernel.units import MINUTE_MS

_FAULT_FORM = re.compile(r"(?:[Ff]-?)?0{0,8}(\d{1,4})")
_FAULT_KEY_CHARACTERS = 64


def fault_key_of(fault_code: float | str) -> str:
    """Return the dictionary's form of a fault code, or the code as it came where it has none.

    ``411``, ``"411"``, ``"F0411"`` and ``"F-0411"`` are all ``F-0411``.
    """
    text = str(int(fault_code)) if isinstance(fault_code, float) else str(fault_code).strip()
    match = _FAULT_FORM.fullmatch(text)
    if match:
        key = f"F-{int(match[1]):04d}"
        if key in FAULT_KEYS:
            return key
    return text[:_FAULT_KEY_CHARACTERS]


def digest_of(*parts: str) -> int:
    """Return a signed 64-bit digest of ``parts``: the same parts, the same number."""
    hashed = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big", signed=True)


class Mode(enum.StrEnum):
    """Who may register: anybody, or serial numbers that were provisioned."""

    OPEN = "open"
    ALLOWLIST = "allowlist"


class Claim(enum.StrEnum):
    """What becomes of a register call: a new device, a fresh secret, or a refusal and why."""

    CREATE = "create"
    RENEW = "renew"
    UNKNOWN = "unknown"
    TAKEN = "taken"
    WRONG_PROOF = "wrong_proof"
    OUTSIDE_WINDOW = "outside_window"


def decide_claim(
    mode: Mode,
    provisioning: Provisioning | None,
    device: Registration | None,
    *,
    proved: bool,
    proof: bytes,
    now_ms: int,
) -> Claim:
    """Decide about a register call (rules R1 to R3).

    ``proved`` means the call carried the serial number's enrolment token; ``proof`` fingerprints
    what it carried, empty for nothing.
    """
    if device is not None and device.active and not _is_reclaim_open(device, now_ms):
        return Claim.TAKEN
    if provisioning is None:
        if mode is Mode.ALLOWLIST:
            return Claim.UNKNOWN
    elif not proved and (mode is Mode.ALLOWLIST or proof):
        return Claim.WRONG_PROOF
    elif not _is_window_open(provisioning, now_ms):
        return Claim.OUTSIDE_WINDOW
    if device is None:
        return Claim.CREATE
    return Claim.RENEW if proved or proof == device.proof else Claim.WRONG_PROOF


def _is_reclaim_open(device: Registration, now_ms: int) -> bool:
    return device.reclaim_until_ms is not None and now_ms < device.reclaim_until_ms


def _is_window_open(provisioning: Provisioning, now_ms: int) -> bool:
    until_ms = provisioning.claim_until_ms
    return provisioning.claim_from_ms <= now_ms and (until_ms is None or now_ms < until_ms)


def is_faulty(heartbeat_status: str | None, fault_code: float | str | None) -> bool:
    """Tell whether the last heartbeat reported a fault; code 0 stands for none."""
    return heartbeat_status == "fault" or fault_code not in {None, 0, "0", ""}


class Reconnects:
    """The rule of F-0302: which reconnect is the one that makes a storm."""

    WINDOW_MS: Final = 10 * MINUTE_MS
    STORM: Final = 6

    @classmethod
    def is_storm(cls, times_ms: list[int], storm_ms: int | None, now_ms: int) -> bool:
        """Add a reconnect at ``now_ms`` to ``times_ms`` and tell whether a storm begins with it.

        A storm is told once in a window, however long it goes on.
        """
        times_ms[:] = [time_ms for time_ms in times_ms if time_ms > now_ms - cls.WINDOW_MS]
        times_ms.append(now_ms)
        del times_ms[: -cls.STORM]
        quiet = storm_ms is None or storm_ms <= now_ms - cls.WINDOW_MS
        return len(times_ms) >= cls.STORM and quiet

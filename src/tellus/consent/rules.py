"""Decisions about consent: where one stands, what a device may be used for, what old firmware may.

Old firmware has one platform at a time. A consent that covers such a device together with others,
its site's or operator's, counts for nothing but its upgrade until it runs a newer one.
"""

import math
from collections.abc import Iterable

from tellus.consent.model import BIT, SECOND_BACKEND_FIRMWARE, Consent, Service, State
from tellus.kernel.permits import Judged
from tellus.kernel.versions import is_at_least

FIRMWARE_ALONE = BIT[Service.FIRMWARE]


def state_of(consent: Consent, now_ms: int) -> State:
    """Return where a consent stands."""
    if consent.revoked_ms is not None:
        return State.REVOKED
    if now_ms < consent.from_ms:
        return State.NOT_YET
    if consent.to_ms is not None and consent.to_ms <= now_ms:
        return State.EXPIRED
    return State.ACTIVE


def can_have_second_platform(build: str) -> bool:
    """Tell whether a charger that runs ``build`` can speak to a second platform.

    The gate is a dated build, and nothing orders semantic versions against dated ones: a charger
    with a semantic version of which no build is known counts as older.
    """
    return is_at_least(build, SECOND_BACKEND_FIRMWARE)


def is_for_upgrades_alone(services: int) -> bool:
    """Tell whether a consent may be granted to old firmware: it leads the device past the gate."""
    return services & ~FIRMWARE_ALONE == 0


def effective(covering: Iterable[Consent], operator_id: str, now_ms: int) -> Judged:
    """Return the services that are on, as bits, and until when nothing changes by itself (ms).

    ``covering`` are the consents that name the device, its site or its operator; those granted when
    it was another operator's do not count.
    """
    services, until_ms = 0, math.inf
    for consent in covering:
        if consent.operator_id != operator_id:
            continue
        state = state_of(consent, now_ms)
        if state is State.NOT_YET:
            until_ms = min(until_ms, consent.from_ms)
        elif state is State.ACTIVE:
            services |= consent.services
            until_ms = min(until_ms, math.inf if consent.to_ms is None else consent.to_ms)
    return services, until_ms

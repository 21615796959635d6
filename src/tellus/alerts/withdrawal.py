"""What becomes of alerts where the owner of a charger does not agree: nobody is told of it."""

from collections.abc import Callable, Collection

from tellus.alerts import store_deliveries
from tellus.consent.model import BIT, Service
from tellus.consent.service import Withdrawn
from tellus.storage.database import Tx

Withheld = Callable[[Tx, Collection[int]], Collection[int]]
"""Tells which of these devices nothing may be found out about now."""


def nobody(tx: Tx, device_nos: Collection[int]) -> Collection[int]:
    """Withhold no device: none needs consent."""
    del tx, device_nos
    return ()


def cancel_deliveries(tx: Tx, withdrawn: Withdrawn) -> None:
    """End what webhooks are owed about devices, in the transaction of the withdrawal."""
    bit = BIT[Service.DIAGNOSTICS]
    gone = [device_no for device_no, services in withdrawn.services.items() if not services & bit]
    store_deliveries.cancel_about(tx, sorted(gone), withdrawn.now_ms)

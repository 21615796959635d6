"""What becomes of pushes when the owner of a charger withdraws consent: no status goes out."""

from tellus.consent.service import Withdrawn
from tellus.legacy import store_outbox
from tellus.legacy.sharing import STEERED
from tellus.storage.database import Tx


def cancel_pushes(tx: Tx, withdrawn: Withdrawn) -> None:
    """End the statuses that wait for peers who do not see their charger any more.

    How an order of theirs ends they are still told: they began it while they might.
    """
    device_ids = [
        withdrawn.device_ids[device_no]
        for device_no, services in withdrawn.services.items()
        if not services & STEERED
    ]
    if device_ids:
        store_outbox.cancel_statuses(tx, device_ids, withdrawn.now_ms)

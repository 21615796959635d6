"""The outbox: what peers are owed, sent by the engine of delivery."""

from tellus.delivery.engine import Courier, Destinations, Outbox
from tellus.kernel.clock import Clock
from tellus.legacy.model_outbox import Destination, OwedPush
from tellus.legacy.outbox_steps import STEPS
from tellus.storage.database import Database


class PeerOutbox(Outbox[OwedPush, Destination]):
    """Sends the pushes that peers are owed; see ``Outbox``."""

    def __init__(
        self,
        database: Database,
        destinations: Destinations[Destination],
        courier: Courier[Destination, OwedPush],
        clock: Clock,
        *,
        turn_s: float = 1.0,
        kept_days: int = 30,
    ) -> None:
        super().__init__(
            database,
            STEPS,
            destinations,
            courier,
            clock,
            turn_s=turn_s,
            kept_days=kept_days,
        )

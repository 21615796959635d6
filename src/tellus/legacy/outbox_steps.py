"""The steps of the outbox: those of delivery, over the pushes that peers are owed."""

from typing import Final

from tellus.delivery.steps import Names, Shelf, Steps
from tellus.legacy import store_outbox
from tellus.legacy.model_outbox import INTERVALS_MS, OwedPush

_SHELF: Final[Shelf[OwedPush]] = store_outbox

STEPS: Final = Steps(_SHELF, INTERVALS_MS, Names("legacy", "peer"))

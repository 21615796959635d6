"""The configuration that a charger runs: a profile it was given, perhaps changed on the spot."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

_PERCENT = "max_power_pct"
_KILOWATT = "max_power_kw"


def values_hash(values: dict[str, Any]) -> str:
    """Return a digest of configuration values, the same for equal ones in any order."""
    text = msgspec.json.encode(values, order="deterministic")
    return hashlib.sha256(text).hexdigest()


class RunningProfile:
    """What runs now. ``config_hash`` is the one that came with the profile, while nothing differs.

    A charger begins with the profile of its factory.
    """

    __slots__ = ("_factory", "config_hash", "profile_id", "values")

    def __init__(self, model: str) -> None:
        self._factory = f"factory-{model.lower()}"
        self.reset()

    def reset(self) -> None:
        """Go back to the profile of the factory."""
        self.profile_id = self._factory
        self.values: dict[str, Any] = {_PERCENT: 100}
        self.config_hash = values_hash(self.values)

    def apply(self, profile_id: str, config_hash: str, values: dict[str, Any]) -> None:
        """Take over a profile; without a hash of its own, the values' own digest stands for it."""
        self.profile_id = profile_id
        self.values = dict(values)
        self.config_hash = config_hash or values_hash(self.values)

    def override(self, **changed: Any) -> None:
        """Change values on the spot, as on a service visit: the hash tells."""
        self.values = {**self.values, **changed}
        self.config_hash = values_hash(self.values)

    def interrupt(self) -> None:
        """Lose a push half-way: an unknown profile with half its values."""
        kept = dict(list(self.values.items())[: len(self.values) // 2])
        self.profile_id = f"{self.profile_id}-partial"
        self.values = kept
        self.config_hash = values_hash(kept)

    def rating_ratio(self, rated_kw: float) -> float:
        """Return the share (0 to 1) of the rated power that the values allow."""
        ratio = 1.0
        limits = self.values.get("limits")
        values = {**(limits if isinstance(limits, dict) else {}), **self.values}
        for name, whole in ((_PERCENT, 100.0), (_KILOWATT, rated_kw)):
            value = values.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                ratio = min(ratio, max(0.0, value / whole))
        return ratio

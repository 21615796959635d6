"""The thresholds of each model: the dictionary's, and what differs by model, as data."""

from importlib import resources

import msgspec

from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.model import Limits
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device


class Thresholds:
    """Limits by model.

    Raises:
        ValueError: an override names a threshold that there is not.
    """

    def __init__(self, faults: FaultDictionary, catalogue: Catalogue) -> None:
        text = (resources.files("tellus.diagnostics.catalogue") / "limits.toml").read_bytes()
        self._overrides = msgspec.toml.decode(text, type=dict[str, dict[str, float]])
        self._catalogue = catalogue
        self._figures: dict[str, float] = {}
        for fault in faults:
            self._figures.update(fault.thresholds)
        self._known: dict[str, Limits] = {}
        for model in self._overrides:
            self.of_model(model)
        self.lowest_heat_c = min(self._figures["connector_ac_c"], self._figures["connector_dc_c"])
        """The lowest of all models' thresholds of connectors (°C)."""
        for limits in self._known.values():
            self.lowest_heat_c = min(self.lowest_heat_c, limits.connector_c)

    def of(self, device: Device) -> Limits:
        """Return the limits of a device."""
        return self.of_model(device.model)

    def of_model(self, model: str) -> Limits:
        """Return the limits of a model; one that is not in the catalogue counts as DC."""
        limits = self._known.get(model)
        if limits is None:
            limits = self._known[model] = self._make(model)
        return limits

    def _make(self, model: str) -> Limits:
        known = self._catalogue.find(model)
        is_ac = known is not None and known.current == "ac"
        figures = self._figures | {
            "connector_c": self._figures["connector_ac_c" if is_ac else "connector_dc_c"],
            "contactor_cycles": self._figures[
                "service_life_ac_cycles" if is_ac else "service_life_dc_cycles"
            ],
        }
        strange = set(self._overrides.get(model, {})) - set(Limits.__struct_fields__)
        if strange:
            message = f"limits.toml: {model} has no {sorted(strange)}"
            raise ValueError(message)
        figures |= self._overrides.get(model, {})
        return msgspec.convert({name: figures[name] for name in Limits.__struct_fields__}, Limits)

"""The catalogue of charger models: facts as data, checked when it is read."""

from importlib import resources
from typing import Annotated, Literal

import msgspec

from tellus.fleet.directory import Device
from tellus.fleet.model import ConnectorId, PowerKw


class ChargerModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model: the unit's rating, which each connector may reach while the other rests.

    ``brand``, ``product_name`` and ``connector_types`` are what it is sold as; what is not known
    of its housing and its screen (pixels, such as ``1024x600``) is left out.
    """

    current: Literal["ac", "dc"]
    rated_power_kw: PowerKw
    connectors: ConnectorId
    phases: Annotated[int, msgspec.Meta(ge=1, le=3)]
    v2g: bool
    brand: str
    product_name: str
    connector_types: tuple[str, ...]
    ip_rating: str | None = None
    screen_resolution: str | None = None
    screen_size_inches: Annotated[float, msgspec.Meta(gt=0)] | None = None


class Catalogue:
    """What is known of models; a model that is not in it is no error."""

    def __init__(self, models: dict[str, ChargerModel]) -> None:
        self._models = models

    @classmethod
    def load(cls) -> "Catalogue":
        """Read the catalogue of the package.

        Raises:
            msgspec.ValidationError: a figure is missing, misspelt or out of bounds.
        """
        text = (resources.files("tellus.fleet") / "models.toml").read_bytes()
        return cls(msgspec.toml.decode(text, type=dict[str, ChargerModel]))

    def find(self, model: str) -> ChargerModel | None:
        """Return what is known of ``model``, or None."""
        return self._models.get(model)

    def is_v2g(self, device: Device) -> bool:
        """Tell whether the device can discharge: as set for it, else as its model, else not."""
        if device.v2g is not None:
            return device.v2g
        known = self._models.get(device.model)
        return known is not None and known.v2g

    def rated_power_kw(self, device: Device) -> float | None:
        """Return the unit's rating (kW): as set, else its model's, else the highest power seen.

        None where none of these is known.
        """
        if device.rated_power_kw is not None:
            return device.rated_power_kw
        known = self._models.get(device.model)
        if known is not None:
            return known.rated_power_kw
        peaks = [connector.peak_power_kw for connector in device.connectors.values()]
        return max(peaks, default=0.0) or None

    def connector_power_kw(self, device: Device, connector_id: int) -> float | None:
        """Return a connector's rating (kW): its own, else the unit's, else the highest power seen.

        None where none of these is known.
        """
        connector = device.connectors.get(connector_id)
        if connector is not None and connector.rated_power_kw is not None:
            return connector.rated_power_kw
        if device.rated_power_kw is not None or device.model in self._models:
            return self.rated_power_kw(device)
        return (connector.peak_power_kw if connector is not None else 0.0) or None

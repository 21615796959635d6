"""The fleet in memory: every device and connector with its newest reading.

Changed on the event loop alone, and only after the commit that made the change durable. Reading it
costs a dictionary look-up; queries and the stream never touch the store for current state.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from tellus.consent.model import BIT, Service
from tellus.fleet.model import ConnectorState, Reading
from tellus.fleet.model_health import ComponentHealth
from tellus.kernel.call import Principal
from tellus.kernel.permits import EVERYTHING, OPEN, Permit


class Connector:
    """A connector with its newest reading; ``time_ms`` is 0 before the first one.

    ``content`` is the reading as stored: of two readings of one instant the larger content is
    current, so that the outcome does not depend on the order of arrival. ``peak_power_kw`` is the
    highest power seen, kept only where no rating is known. ``health`` is what the newest reading
    that told of the charger's parts said of them, as far as this process knows.
    """

    __slots__ = (
        "connector_id",
        "content",
        "health",
        "peak_power_kw",
        "rated_power_kw",
        "reading",
        "time_ms",
    )

    def __init__(self, connector_id: int, rated_power_kw: float | None = None) -> None:
        self.connector_id = connector_id
        self.rated_power_kw = rated_power_kw
        self.peak_power_kw = 0.0
        self.time_ms = 0
        self.content = b""
        self.reading: Reading | None = None
        self.health: ComponentHealth | None = None

    def take_reading(self, reading: Reading) -> None:
        """Make a reading the newest one."""
        self.reading = reading
        if type(reading) is not Reading:
            self.health = reading.component_health

    def forget_reading(self) -> None:
        """Know as little as before the first reading."""
        self.time_ms = 0
        self.content = b""
        self.reading = None
        self.health = None

    @property
    def state(self) -> str:
        """Return the published state; a connector that was never heard of is idle."""
        reading = self.reading
        return reading.state if reading is not None else ConnectorState.IDLE.value


class Device:
    """A device with what is known of it now.

    ``active`` means that the secret it registered for was used. ``seen_ms`` is the platform's time
    of its last authenticated request, kept in ``principal`` by the pipeline. ``online`` and the two
    ``since`` are the last transition that was stored; whether it is online now is for
    ``fleet.presence`` to say. ``clock_offset_ms`` is how far its clock ran ahead at the heartbeat.
    ``permit`` says what it may be used for; it rests on the device's place and firmware.
    """

    __slots__ = (
        "_firmware_version",
        "active",
        "clock_offset_ms",
        "connectors",
        "created_ms",
        "device_id",
        "device_no",
        "fault_code",
        "flushed",
        "heartbeat_ms",
        "heartbeat_status",
        "mac",
        "manufacturer",
        "model",
        "offline_since_ms",
        "online",
        "online_since_ms",
        "operator_id",
        "owned_since_ms",
        "permit",
        "principal",
        "rated_power_kw",
        "reconnects",
        "shutdown_seen_ms",
        "site_id",
        "sn",
        "storm_ms",
        "v2g",
    )

    def __init__(
        self, device_no: int, device_id: str, sn: str, operator_id: str, site_id: str
    ) -> None:
        self.device_no = device_no
        self.device_id = device_id
        self.sn = sn
        self.operator_id = operator_id
        self.site_id = site_id
        self.owned_since_ms = 0
        self.permit = OPEN
        self.model = ""
        self.manufacturer = ""
        self._firmware_version = ""
        self.mac: str | None = None
        self.rated_power_kw: float | None = None
        self.v2g: bool | None = None
        self.created_ms = 0
        self.active = False
        self.principal: Principal | None = None
        self.online = False
        self.online_since_ms: int | None = None
        self.offline_since_ms: int | None = None
        self.heartbeat_ms: int | None = None
        self.heartbeat_status: str | None = None
        self.fault_code: int | str | None = None
        self.clock_offset_ms: int | None = None
        self.shutdown_seen_ms: int | None = None
        self.flushed: tuple[int, int | None] = (0, None)
        self.reconnects: list[int] = []
        self.storm_ms: int | None = None
        self.connectors: dict[int, Connector] = {}

    @property
    def firmware_version(self) -> str:
        """Return what it runs."""
        return self._firmware_version

    @firmware_version.setter
    def firmware_version(self, version: str) -> None:
        if version != self._firmware_version:
            self._firmware_version = version
            self.permit.void()

    def allows(self, service: Service, now_ms: int) -> bool:
        """Tell whether its owner has agreed to a service at ``now_ms``."""
        return self.permit.allows(BIT[service], now_ms)

    @property
    def seen_ms(self) -> int:
        """Return when the device last made an authenticated request, 0 if never."""
        return self.principal.last_seen_ms if self.principal else 0


class Consents(Protocol):
    """What the fleet asks of consent, where it is required."""

    def permit_of(self, device: Device) -> Permit:
        """Return the permit of a device."""
        ...

    def needed_firmware(self, device: Device) -> str | None:
        """Return the version that a device needs before it can be agreed to; None for none."""
        ...

    def withheld(self, operator_id: str, service: Service) -> tuple[int, ...]:
        """Return the numbers of an operator's devices without consent for a service now."""
        ...


class Directory:
    """All devices by number, by identifier, and by operator and site.

    ``is_lenient`` tells of a model whether its deviations from the contract are admitted (rule P7),
    ``consents`` gives devices their permits, where consent is required.
    """

    def __init__(self, is_lenient: Callable[[str], bool] = lambda _model: False) -> None:
        self._is_lenient = is_lenient
        self._by_no: dict[int, Device] = {}
        self._by_id: dict[str, Device] = {}
        self._by_operator: dict[str, dict[int, Device]] = {}
        self._by_site: dict[str, dict[int, Device]] = {}
        self.consents: Consents | None = None

    def __len__(self) -> int:
        return len(self._by_no)

    def __iter__(self) -> Iterator[Device]:
        return iter(tuple(self._by_no.values()))

    def by_no(self, device_no: int) -> Device | None:
        """Return the device with this number, or None."""
        return self._by_no.get(device_no)

    def by_id(self, device_id: str) -> Device | None:
        """Return the device with this identifier, or None."""
        return self._by_id.get(device_id)

    def owned(self, device_id: str, operator_id: str) -> Device | None:
        """Return the device if it is the operator's, else None: foreign and absent look alike."""
        device = self._by_id.get(device_id)
        return device if device is not None and device.operator_id == operator_id else None

    def services_of(self, device_no: int, now_ms: int) -> int:
        """Return what a device may be used for, as bits; of one that is not known, everything."""
        device = self._by_no.get(device_no)
        return EVERYTHING if device is None else device.permit.at(now_ms)

    def withheld(self, operator_id: str, service: Service) -> tuple[int, ...]:
        """Return the numbers of an operator's devices without consent for a service now."""
        return () if self.consents is None else self.consents.withheld(operator_id, service)

    def needed_firmware(self, device: Device) -> str | None:
        """Return the version that a device needs before it can be agreed to; None for none."""
        return None if self.consents is None else self.consents.needed_firmware(device)

    def of_operator(self, operator_id: str) -> list[Device]:
        """Return the operator's devices in order of registration."""
        return list(self._by_operator.get(operator_id, {}).values())

    def of_site(self, site_id: str) -> list[Device]:
        """Return the site's devices in order of arrival."""
        return list(self._by_site.get(site_id, {}).values())

    def add(self, device: Device) -> None:
        """Take a device in, or put it under its new site and operator."""
        self._admit(device)
        previous = self._by_no.get(device.device_no)
        if previous is not None:
            self._forget_place(previous)
        self._by_no[device.device_no] = device
        self._by_id[device.device_id] = device
        self._by_operator.setdefault(device.operator_id, {})[device.device_no] = device
        self._by_site.setdefault(device.site_id, {})[device.device_no] = device

    def attach(self, device: Device, principal: Principal) -> None:
        """Give a device its principal, as lenient as its model asks for."""
        self._admit(device)
        device.principal = principal
        principal.permit = device.permit
        principal.lenient = self._is_lenient(device.model)

    def move(self, device: Device, operator_id: str, site_id: str) -> None:
        """Put a known device under another site, perhaps of another operator."""
        self._forget_place(device)
        device.operator_id = operator_id
        device.site_id = site_id
        device.permit.void()
        self.add(device)

    def remove(self, device: Device) -> None:
        """Forget a device."""
        self._forget_place(device)
        self._by_no.pop(device.device_no, None)
        self._by_id.pop(device.device_id, None)

    def _admit(self, device: Device) -> None:
        """Give a new device its permit, where it needs one."""
        if self.consents is not None and device.permit is OPEN:
            device.permit = self.consents.permit_of(device)
            device.permit.void()

    def _forget_place(self, device: Device) -> None:
        self._by_operator.get(device.operator_id, {}).pop(device.device_no, None)
        self._by_site.get(device.site_id, {}).pop(device.device_no, None)

"""The words of the fleet: sites, devices, connector states, readings, events."""

import enum
from typing import Annotated, Final

import msgspec

from tellus.fleet.model_health import ComponentHealth
from tellus.fleet.model_metadata import Link

CONNECTORS_LARGEST: Final = 255

ConnectorId = Annotated[int, msgspec.Meta(ge=1, le=CONNECTORS_LARGEST)]
"""A connector of a device, counted from 1."""

EventConnectorId = Annotated[int, msgspec.Meta(ge=0, le=CONNECTORS_LARGEST)]
"""As ``ConnectorId``; 0 stands for the device as a whole."""

PowerKw = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class ConnectorState(enum.StrEnum):
    """The published states of a connector."""

    IDLE = "idle"
    CHARGING = "charging"
    DISCHARGING = "discharging"
    FAULT = "fault"
    UNAVAILABLE = "unavailable"


PUBLISHED_STATE: Final[dict[str, str]] = {
    "idle": "idle",
    "charging": "charging",
    "discharging": "discharging",
    "fault": "fault",
    "unavailable": "unavailable",
    "preparing": "idle",
    "finishing": "idle",
    "paused": "idle",
}
"""What a charger may send as ``state``, and the published state it stands for (rule D2)."""


class Reading(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one sample says of a connector.

    ``state`` is a published state, ``detail_state`` the charger's own finer word. ``energy_kwh`` is
    the counter of the session. Power is positive into the vehicle. ``phases`` are voltage (V) and
    current (A) of the supply phases a, b, c in turn, None where a phase was not sent.
    """

    state: str
    voltage_v: float
    current_a: float
    power_kw: float
    energy_kwh: float
    soc_pct: int | None = None
    temperature_c: float | None = None
    detail_state: str | None = None
    phases: tuple[tuple[float, float] | None, ...] | None = None

    @property
    def component_health(self) -> ComponentHealth | None:
        """Return what it says of the charger's parts: nothing."""
        return None


class HealthReading(Reading, array_like=True, frozen=True, gc=False, kw_only=True):
    """A reading that also tells of the charger's parts.

    It is a type of its own so that a reading that does not is stored in the bytes in which it
    always was: those are its identity (rule U1).
    """

    component_health: ComponentHealth


_decode_plain: Final = msgspec.msgpack.Decoder(Reading).decode
_decode_with_health: Final = msgspec.msgpack.Decoder(HealthReading).decode
_TEN_FIELDS: Final = 0x9A  # how MessagePack begins an array of ten


def tells_health(content: bytes) -> bool:
    """Tell whether a reading, as stored, tells of the charger's parts."""
    return content[0] == _TEN_FIELDS


def decode_reading(content: bytes) -> Reading:
    """Return a stored reading."""
    if content[0] == _TEN_FIELDS:
        return _decode_with_health(content)
    return _decode_plain(content)


class Presence(enum.StrEnum):
    """Whether a device speaks to the platform."""

    ONLINE = "online"
    OFFLINE = "offline"


class Origin(enum.StrEnum):
    """Who raised an event: the charger itself or the platform."""

    DEVICE = "device"
    PLATFORM = "platform"


class EventType(enum.StrEnum):
    """What a device event tells; the last two are accepted beyond the published six."""

    PLUG_IN = "plug_in"
    PLUG_OUT = "plug_out"
    START = "start"
    STOP = "stop"
    FAULT = "fault"
    ALARM = "alarm"
    AUTH_OK = "auth_ok"
    AUTH_FAILED = "auth_failed"


HEARTBEAT_LOST: Final = "F-0301"
RECONNECT_STORM: Final = "F-0302"

FAULT_KEYS: Final = frozenset(
    {
        "F-0101",
        "F-0203",
        "F-0204",
        HEARTBEAT_LOST,
        RECONNECT_STORM,
        "F-0411",
        "F-0421",
        "F-0512",
        "F-0601",
        "F-0701",
        "F-0702",
        "F-0805",
    }
)
"""The codes of the fault dictionary."""


class Site(msgspec.Struct, frozen=True):
    """A place with devices. ``timezone`` is an IANA name; ``power_capacity_kw`` None = the sum."""

    site_id: str
    operator_id: str
    name: str
    timezone: str
    region: str
    active: bool
    created_ms: int
    address: str | None = None
    lat: float | None = None
    lng: float | None = None
    power_capacity_kw: float | None = None


class Provisioning(msgspec.Struct, frozen=True):
    """A serial number that an operator's site expects, claimable in ``[from, until)``.

    ``token_round`` counts the enrolment tokens made for it; only the newest one is a proof.
    """

    sn: str
    operator_id: str
    site_id: str
    claim_from_ms: int
    created_ms: int
    model: str | None = None
    connectors: int | None = None
    rated_power_kw: float | None = None
    v2g: bool | None = None
    token_round: int = 0
    claim_until_ms: int | None = None


class Registration(msgspec.Struct, frozen=True):
    """What the register decision needs of a known device.

    ``proof`` fingerprints what it registered with; ``active`` means its secret was used.
    """

    device_no: int
    device_id: str
    operator_id: str
    site_id: str
    proof: bytes
    active: bool
    reclaim_until_ms: int | None


class DeviceIdentity(msgspec.Struct, frozen=True):
    """What a charger says of itself when it registers."""

    sn: str
    model: str
    manufacturer: str
    firmware_version: str
    mac: str | None = None
    link: Link | None = None


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it is kept; ``connector_id`` 0 is the device, ``data`` is JSON text as sent.

    Where the data names a vehicle, ``data`` has its VIN masked. The whole text is then in
    ``private_data`` on its way in, and sealed under the key of ``subject_id`` in the store.
    """

    device_no: int
    connector_id: int
    time_ms: int
    digest: int
    event_type: str
    fault_key: str | None
    received_ms: int
    origin: str
    clock_suspect: bool
    data: str
    subject_id: str | None = None
    sealed_data: bytes | None = None
    private_data: str | None = None


class EventFilter(msgspec.Struct, frozen=True):
    """Which events are asked for; None admits all, times are ``[from, to)``.

    ``fault_code`` may be in any form. ``received_from_ms`` leaves out what came before.
    """

    event_type: str | None = None
    fault_code: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    received_from_ms: int | None = None


class PresenceChanged(msgspec.Struct, frozen=True):
    """The device came online, or went offline (``announced`` where it said so itself)."""

    device_no: int
    online: bool
    at_ms: int
    announced: bool = False


class EventsStored(msgspec.Struct, frozen=True):
    """These events are new; duplicates are not among them."""

    events: tuple[StoredEvent, ...]

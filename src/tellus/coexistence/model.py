"""The words of reading: who read, what kind of data, of what, how often."""

import enum
from typing import NamedTuple

import msgspec


class ReaderKind(enum.StrEnum):
    """Who reads: an operator's client, an administrator's account, another operator's platform.

    ``customer`` is the portal of a customer.
    """

    CLIENT = "client"
    ADMINISTRATOR = "administrator"
    PEER = "peer"
    CUSTOMER = "customer"


class DataKind(enum.StrEnum):
    """What kind of data was read; ``live`` is the stream of telemetry, ``export`` everything."""

    STATE = "state"
    LIVE = "live"
    TELEMETRY = "telemetry"
    EVENTS = "events"
    RECORDS = "records"
    ENERGY = "energy"
    COMMANDS = "commands"
    FIRMWARE = "firmware"
    HEALTH = "health"
    DIAGNOSTICS = "diagnostics"
    CONFIGURATION = "configuration"
    ALERTS = "alerts"
    EXPORT = "export"


class ReadScope(enum.StrEnum):
    """What a read was of: one device, or sums over a site or all of an operator."""

    DEVICE = "device"
    SITE = "site"
    OPERATOR = "operator"


class ReadGroup(NamedTuple):
    """What is counted together, apart from what it was of: who read what kind of data, and whose.

    Made for every read, so its fields are the plain values of the enumerations.
    """

    reader_id: str
    kind: str
    scope: str
    operator_id: str
    reader_kind: str


class ReadCount(NamedTuple):
    """How often, how long (s, of streams), and when first and last (ms), on a day since 1970."""

    scope_id: str
    day: int
    group: ReadGroup
    times: int
    seconds: int
    first_ms: int
    last_ms: int


class ReadsWanted(msgspec.Struct, frozen=True):
    """Which reads are asked for: those that reach one device, between days (both included).

    ``within`` admits those days only that lie in one of these spans of days, None all.
    """

    device_id: str
    site_id: str
    operator_id: str
    from_day: int
    to_day: int
    within: tuple[tuple[int, int], ...] | None = None

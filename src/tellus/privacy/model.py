"""The record of processing: tables, groups of columns, and what is true of them."""

import enum

import msgspec


class About(enum.StrEnum):
    """Whom something is about, or may be: the closest to a person first."""

    VEHICLE = "vehicle"
    DRIVER = "driver"
    CUSTOMER = "customer"
    STAFF = "staff"
    CHARGER = "charger"
    NOBODY = "nobody"


class Receiver(enum.StrEnum):
    """Who may get what is in a table, besides the installation itself."""

    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    PEER = "peer"
    WEBHOOK = "webhook"
    CHARGER = "charger"


class Erased(enum.StrEnum):
    """With what rows go before their time: with the vehicle, the device, by age alone, never."""

    VEHICLE = "vehicle"
    DEVICE = "device"
    AGE = "age"
    NEVER = "never"


class Exported(enum.StrEnum):
    """How rows of a vehicle are found for its export.

    ``key``: they are sealed under its key. ``record``: they belong to one of its charging records.
    ``charge``: they came up at the connector while it charged. ``no``: they are left out.
    """

    KEY = "key"
    RECORD = "record"
    CHARGE = "charge"
    NO = "no"


class ColumnGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Columns of a table that hold the same kind of thing.

    ``columns`` and ``texts`` are names with blanks between; ``texts`` are those of the columns that
    hold what somebody wrote, in which masked numbers of vehicles may stand.
    """

    about: About
    columns: str
    holds: str
    texts: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self.columns.split())


class ProcessedTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table: whose, what for, kept how long (words, and settings in days), who gets it."""

    name: str
    feature: str
    purpose: str
    kept: str
    settings: tuple[str, ...] = ()
    receivers: tuple[Receiver, ...]
    erased: Erased
    exported: Exported = Exported.NO
    why_not: str = ""
    groups: tuple[ColumnGroup, ...]

    @property
    def columns(self) -> frozenset[str]:
        """Return the names of all columns."""
        return frozenset(name for group in self.groups for name in group.names)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the names of the columns in which mentions may stand."""
        return tuple(name for group in self.groups for name in group.texts.split())

    @property
    def is_of_vehicles(self) -> bool:
        """Tell whether something in it is about a vehicle or who drives it."""
        return any(group.about in (About.VEHICLE, About.DRIVER) for group in self.groups)

"""The fault dictionary: one TOML file per code."""

import re
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Annotated, Final, Literal

import msgspec

from tellus.kernel.versions import is_at_least, parse_version

Severity = Literal["warning", "error"]
Category = Literal[
    "hardware",
    "thermal",
    "connectivity",
    "communication",
    "configuration",
    "v2g",
    "charging process",
]
Finder = Literal["charger", "platform"]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Code = Annotated[str, msgspec.Meta(pattern=r"^F-[0-9]{4}$")]

_SPELLING: Final = re.compile(r"[Ff]?-?([0-9]{1,4})")


class FaultStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing to do about a fault; ``command`` is the command that does it from afar."""

    text: Text
    command: Text | msgspec.UnsetType = msgspec.UNSET


class FirmwareIssue(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_version": "from"}
):
    """A range of versions in which the fault is known, both ends included, and where it is gone."""

    from_version: Text
    to: Text
    fixed_in: Annotated[list[Text], msgspec.Meta(min_length=1)]
    text: Text


class FaultFirmware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the fault and firmware."""

    note: Text
    issues: list[FirmwareIssue]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A code of the dictionary; ``causes`` and ``steps`` are in order.

    ``thresholds`` carry their unit in the name. ``platform_check`` says how the platform itself
    finds the fault, where it does.
    """

    code: Code
    title: Text
    severity: Severity
    category: Category
    found_by: Annotated[list[Finder], msgspec.Meta(min_length=1)]
    summary: Text
    symptoms: Annotated[list[Text], msgspec.Meta(min_length=1)]
    causes: Annotated[list[Text], msgspec.Meta(min_length=1)]
    steps: Annotated[list[FaultStep], msgspec.Meta(min_length=1)]
    telemetry: Annotated[list[Text], msgspec.Meta(min_length=1)]
    firmware: FaultFirmware
    related: list[Code]
    runbooks: list[Text]
    thresholds: dict[str, float]
    platform_check: Text | msgspec.UnsetType = msgspec.UNSET


class FaultDictionary:
    """All codes, in their order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = {fault.code: fault for fault in sorted(faults, key=lambda one: one.code)}
        for fault in self._faults.values():
            _check(fault, self._faults)

    @classmethod
    def load(cls) -> "FaultDictionary":
        """Read the dictionary of the package.

        Raises:
            msgspec.ValidationError: an entry lacks something or has something unknown.
            ValueError: an entry contradicts itself or another.
        """
        folder = resources.files("tellus.diagnostics.catalogue") / "faults"
        files = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
        faults = []
        for file in files:
            fault = msgspec.toml.decode(file.read_bytes(), type=Fault)
            if f"{fault.code}.toml" != file.name:
                message = f"{file.name} holds {fault.code}"
                raise ValueError(message)
            faults.append(fault)
        return cls(faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults.values())

    def find(self, code: str) -> Fault | None:
        """Return the fault of a code in any spelling (``F-0421``, ``F0421``, ``421``), or None."""
        spelled = _SPELLING.fullmatch(code.strip())
        return None if spelled is None else self._faults.get(f"F-{int(spelled[1]):04}")


def _check(fault: Fault, faults: dict[str, Fault]) -> None:
    """Raise ValueError where an entry contradicts itself or names what is not there."""
    strangers = [code for code in fault.related if code not in faults or code == fault.code]
    if strangers:
        message = f"{fault.code} is related to {strangers}"
        raise ValueError(message)
    if ("platform" in fault.found_by) != (fault.platform_check is not msgspec.UNSET):
        message = f"{fault.code}: what the platform finds has a platform_check, nothing else has"
        raise ValueError(message)
    for issue in fault.firmware.issues:
        if not _is_sound(issue):
            message = f"{fault.code}: {issue.from_version} to {issue.to} is no range, or not fixed"
            raise ValueError(message)


def _is_sound(issue: FirmwareIssue) -> bool:
    """Tell whether versions can be read and compared, and the fixes lie outside the range."""
    versions = (issue.from_version, issue.to, *issue.fixed_in)
    return (
        all(parse_version(version) is not None for version in versions)
        and is_at_least(issue.to, issue.from_version)
        and not any(is_at_least(issue.to, version) for version in issue.fixed_in)
    )

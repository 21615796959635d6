"""The fault dictionary: whole, sound, and of the same facts as its source."""

import re
from pathlib import Path

import msgspec
import pytest

from tellus.commands.model import KINDS
from tellus.diagnostics.catalogue.faults import Fault, FaultDictionary
from tellus.fleet.model import FAULT_KEYS

FACTS = Path(__file__).parents[4] / "shared" / "spec" / "faults.md"
DICTIONARY = FaultDictionary.load()
# What the facts say in signs and the dictionary in words, or the other way round.
SAME = {"aux": "auxiliary", "bms": "battery management", "hash": "hash"}


def text_of(fault: Fault) -> str:
    """All that an entry says, in small letters, numbers without their separators."""
    said = msgspec.json.encode(fault).decode().lower()
    return re.sub(r"(?<=\d),(?=\d{3})", "", said)


def test_dictionary__codes__are_the_twelve() -> None:
    """The dictionary has the codes that events are normalised to, and no other."""
    assert {fault.code for fault in DICTIONARY} == FAULT_KEYS


@pytest.mark.parametrize("code", sorted(FAULT_KEYS))
def test_fault__commands__are_ones_that_the_platform_knows(code: str) -> None:
    """A step that names a command names one that can be issued."""
    fault = DICTIONARY.find(code)
    assert fault is not None
    named = {step.command for step in fault.steps if step.command is not msgspec.UNSET}
    assert named <= set(KINDS)


@pytest.mark.parametrize("spelling", ["F-0421", "f-0421", "F0421", "421", "0421", " 421 "])
def test_find__any_spelling__is_the_entry(spelling: str) -> None:
    """A code is found however a charger or a person writes it."""
    fault = DICTIONARY.find(spelling)
    assert fault is not None
    assert fault.code == "F-0421"


@pytest.mark.parametrize("spelling", ["", "F-", "F-9999", "1001", "F-0421x", "F-00421", "0x1"])
def test_find__no_code_of_ours__is_nothing(spelling: str) -> None:
    """What is no code of the dictionary finds nothing."""
    assert DICTIONARY.find(spelling) is None


def test_dictionary__entry_that_contradicts_itself__is_refused() -> None:
    """An entry without a check for what the platform finds, or with a wrong range, is no entry."""
    fault = next(iter(DICTIONARY))
    for change in (
        {"found_by": ["charger"]},
        {"related": ["F-9998"]},
        {"related": [fault.code]},
    ):
        others = [one for one in DICTIONARY if one.code != fault.code]
        with pytest.raises(ValueError, match=fault.code):
            FaultDictionary([msgspec.structs.replace(fault, **change), *others])
    known = DICTIONARY.find("F-0421")
    assert known is not None
    issue = msgspec.structs.replace(known.firmware.issues[0], fixed_in=["3.0.1"])
    firmware = msgspec.structs.replace(known.firmware, issues=[issue])
    others = [one for one in DICTIONARY if one.code != known.code]
    with pytest.raises(ValueError, match="not fixed"):
        FaultDictionary([msgspec.structs.replace(known, firmware=firmware), *others])


@pytest.mark.parametrize("code", sorted(FAULT_KEYS))
def test_fault__facts_of_the_source__are_all_in_the_entry(code: str) -> None:
    """Every figure, field and code that the facts name for a fault is in its entry."""
    if not FACTS.is_file():
        pytest.skip("the facts are not at hand")
    facts = FACTS.read_text()
    fault = DICTIONARY.find(code)
    assert fault is not None
    row = next(line for line in facts.splitlines() if line.startswith(f"| {code} |"))
    _, _, title, severity, category, found_by, _ = (cell.strip() for cell in row.split("|"))
    assert (fault.title, fault.severity, fault.category) == (title, severity, category)
    assert ("platform" in fault.found_by) == ("platform" in found_by)
    assert ("charger" in fault.found_by) == found_by.startswith("charger")
    paragraph = next(line for line in facts.splitlines() if line.startswith(f"**{code}**"))
    said = text_of(fault)
    wanted = set(re.findall(r"`([^`]+)`", paragraph))
    wanted |= set(re.findall(r"F-\d{4}", paragraph)) - {code}
    wanted |= set(re.findall(r"(?<![\w.-])\d+(?:\.\d+)*(?![\w-])", paragraph.replace(",", "")))
    missing = {one for one in wanted if one.lower().replace('"', "") not in said.replace('\\"', "")}
    assert {one for one in missing if not _in_other_words(one, said)} == set()


def _in_other_words(wanted: str, said: str) -> bool:
    """Tell whether a term such as ``stop_reason: "ev_disconnected"`` is there in its parts."""
    return all(part.lower() in said for part in re.findall(r"[\w./-]+", wanted))

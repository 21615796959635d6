"""The runbooks: whole, sound, and of the same facts as their source."""

import re
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from tellus.commands.model import KINDS, Risk
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.fleet.catalogue import Catalogue
from tellus.runbooks.library import CHECKS, RunbookCatalogue
from tellus.runbooks.model_catalogue import Branch, Runbook, Verdict

FACTS = Path(__file__).parents[4] / "shared" / "spec" / "runbooks.md"
FAULTS = FaultDictionary.load()
LIBRARY = RunbookCatalogue.load(FAULTS)
POWER_UP = "charger-faulting-on-power-up"
AC_POWER_UP = "ac-charger-faulting-on-power-up"
PREPARING = "connector-stuck-in-preparing"
NO_FLOW = "v2g-discharge-no-flow"

# What a step has to say, by runbook and step: each fact of the source that is no figure or code.
SAID = {
    (POWER_UP, "supply-power"): (
        "phased", "three phases", "balanced", "±5%", "phase_details", "multimeter",
        "cabinet's input terminals",
    ),
    (POWER_UP, "fault-log"): ("newest 10", "F-0411", "F-0421", "F-0204", "F-0701", "F-0702"),
    (POWER_UP, "firmware-version"): ("3.1.0", "4.0.0", "4.1.0", "lower major", "plan an upgrade"),
    (POWER_UP, "controlled-reboot"): (
        "reboot", "power-cycle", "90 s", "last_heartbeat", "60 s", "online",
    ),
    (POWER_UP, "firmware-cluster"): (
        "F-0421", "fleet", "7 days", "three devices", "two sites", "3.0.0", "3.0.2", "contactors",
        "newest stable",
    ),
    (POWER_UP, "escalate"): (
        "fault events", "firmware version", "thermal anomalies", "Escalated to L2",
        "on-site engineer",
    ),
    (POWER_UP, "cooling"): ("F-0204", "cooling", "dictionary"),
    (AC_POWER_UP, "supply-power"): ("single-phase", "three-phase", "±5%"),
    (PREPARING, "vehicle-handshake"): (
        "ISO 15118", "authentication", "several cars", "several chargers", "fault",
    ),
    (PREPARING, "authentication"): ("RFID", "app", "auth_ok", "CPMS"),
    (PREPARING, "state-cycling"): ("F-0421", "stop", "start", "intermittent", "7 days", "three"),
    (PREPARING, "physical-connector"): (
        "pins", "debris", "oxidation", "damage", "latch", "IPA", "sheds nothing",
    ),
    (PREPARING, "reset-connector"): ("reset_connector", "power-cycle", "L2"),
    (PREPARING, "escalate"): ("fault log", "make and model", "firmware version", "photos"),
    (NO_FLOW, "command-delivery"): (
        "queued", "accepted", "failed", "connectivity", "F-0301", "F-0302", "result",
    ),
    (NO_FLOW, "vehicle-eligibility"): ("V2G list", "model", "firmware", "SoC", "20%", "F-0702"),
    (NO_FLOW, "inverter-sync"): ("F-0701", "grid", "firmware", "synced"),
    (NO_FLOW, "iso-15118-20"): (
        "15118-2", "15118-20", "260420.0107", "Stellantis", "Free2move", "DrossOne", "4.1.0",
        "fails silently",
    ),
    (NO_FLOW, "vehicle-report"): ("car", "firmware"),
    (NO_FLOW, "known-good-vehicle"): ("first car", "whole sequence"),
    (NO_FLOW, "escalate"): (
        "command to the fault", "60 s", "make, model", "firmware", "reference to this runbook",
    ),
}  # fmt: skip

# Where each outcome that the source names leads.
LEADS = [
    (POWER_UP, "fault-log", "F-0411", "firmware-version"),
    (POWER_UP, "fault-log", "F-0421", "firmware-cluster"),
    (POWER_UP, "fault-log", "F-0204", "cooling"),
    (POWER_UP, "fault-log", "v2g", NO_FLOW),
    (POWER_UP, "firmware-cluster", "", "resolved"),
    (AC_POWER_UP, "fault-log", "F-0204", "cooling"),
    (PREPARING, "vehicle-handshake", "", "resolved"),
    (PREPARING, "authentication", "", "escalated"),
    (PREPARING, "state-cycling", "", "physical-connector"),
    (PREPARING, "reset-connector", "", "escalate"),
    (NO_FLOW, "command-delivery", "not_delivered", "connectivity"),
    (NO_FLOW, "vehicle-eligibility", "F-0702", "resolved"),
    (NO_FLOW, "inverter-sync", "", "grid-or-firmware"),
    (NO_FLOW, "iso-15118-20", "picky_vehicle", "resolved"),
    (NO_FLOW, "known-good-vehicle", "", "escalate"),
]


def find(slug: str) -> Runbook:
    """A runbook of the library."""
    found = LIBRARY.find(slug)
    assert found is not None
    return found


def text_of(runbook: Runbook) -> str:
    """All that a runbook says."""
    return msgspec.json.encode(runbook).decode().replace('\\"', '"')


def test_library__slugs__are_those_of_the_source() -> None:
    """The library has the three runbooks and the AC variant of the first."""
    assert [one.slug for one in LIBRARY] == sorted([POWER_UP, AC_POWER_UP, PREPARING, NO_FLOW])
    if FACTS.is_file():
        named = FACTS.read_text().split("Slugs:")[1].split(". An")[0]
        assert {one.slug for one in LIBRARY} == set(re.findall(r"`([a-z0-9-]+)`", named))


@pytest.mark.parametrize(("slug", "step_id"), SAID)
def test_step__facts_of_its_part_of_the_source__are_said(slug: str, step_id: str) -> None:
    """Each step says what the source says of it, in its text, questions or branches."""
    runbook = find(slug)
    step = runbook.steps[runbook.place_of(step_id) - 1]
    said = msgspec.json.encode(step).decode().lower()
    assert [fact for fact in SAID[slug, step_id] if fact.lower() not in said] == []


@pytest.mark.parametrize(
    ("slug", "heading"), [(POWER_UP, "R1"), (PREPARING, "R2"), (NO_FLOW, "R3")]
)
def test_runbook__figures_and_codes_of_the_source__are_all_in_it(slug: str, heading: str) -> None:
    """Every code, version, field and figure that the source names is in the runbook."""
    if not FACTS.is_file():
        pytest.skip("the facts are not at hand")
    facts = FACTS.read_text().split(f"## {heading} ")[1].split("\n## ")[0].split("Slugs:")[0]
    assert facts.splitlines()[0].strip() == find(slug).title
    said = text_of(find(slug))
    wanted = set(re.findall(r"F-\d{4}|TP-[A-Z]+\d+|`([^`]+)`", facts)) - {""}
    wanted |= set(re.findall(r"F-\d{4}|TP-[A-Z]+\d+", facts))
    wanted |= set(re.findall(r"(?<![\w.-])\d+(?:\.\d+)+(?![\w-])", facts))
    wanted |= {f"{figure}{unit}" for figure, unit in re.findall(r"(\d+)( s|%)(?!\w)", facts)}
    assert {one for one in wanted if one not in said} == set()


@pytest.mark.parametrize(("slug", "step_id", "finding", "target"), LEADS)
def test_branch__that_the_source_names__leads_where_it_says(
    slug: str, step_id: str, finding: str, target: str
) -> None:
    """Jumps, pauses and ends are those of the source."""
    runbook = find(slug)
    step = runbook.steps[runbook.place_of(step_id) - 1]
    [branch] = [
        one
        for one in step.branches
        if one.on is Verdict.FAILED and one.finding == (finding or UNSET)
    ]
    assert target in {branch.goto, branch.runbook, branch.end}


def test_thresholds__of_the_steps__are_the_figures_of_the_source() -> None:
    """What is judged by is what is said."""
    power_up, no_flow, preparing = find(POWER_UP).steps, find(NO_FLOW).steps, find(PREPARING).steps
    assert power_up[0].thresholds["balance_pct"] == 5
    assert (power_up[1].thresholds["events"], power_up[1].thresholds["cluster"]) == (10, 3)
    assert power_up[2].thresholds["minors_behind"] == 3
    assert (power_up[3].wait_s, power_up[3].thresholds["heartbeat_s"]) == (90, 60)
    assert power_up[4].thresholds == {"days": 7, "devices": 3, "sites": 2}
    assert preparing[2].thresholds == {"recurrences": 3, "days": 7}
    assert no_flow[1].thresholds["soc_floor_pct"] == 20
    assert no_flow[5].thresholds["inverter_before_s"] == 60
    assert find(NO_FLOW).gates == {"iso15118_20": "260420.0107", "picky_vehicles": "4.1.0"}
    stable = find(POWER_UP).latest_stable
    assert (stable["TP-DC180"], stable["TP-DC360"], stable["TP-DC360-V2G"]) == (
        "3.1.0", "4.0.0", "4.1.0",
    )  # fmt: skip


def test_steps__of_the_first_runbook__have_the_numbers_of_the_source() -> None:
    """A step's number is that of the source; what was added stands behind."""
    assert [step.id for step in find(POWER_UP).steps][:6] == [
        "supply-power", "fault-log", "firmware-version", "controlled-reboot", "firmware-cluster",
        "escalate",
    ]  # fmt: skip


@pytest.mark.parametrize("slug", [POWER_UP, AC_POWER_UP, PREPARING, NO_FLOW])
def test_runbook__models_and_commands__exist(slug: str) -> None:
    """Models are in the catalogue of models; what is sent was confirmed by a person."""
    runbook, models = find(slug), Catalogue.load()
    for model in (*runbook.models, *runbook.typical_models, *runbook.latest_stable):
        assert models.find(model) is not None, model
    for step in runbook.steps:
        assert not step.commands or step.confirm is not UNSET
        assert step.check is UNSET or step.check in CHECKS
    medium = [one.command for step in runbook.steps for one in step.commands]
    assert all(KINDS[name].risk in {None, Risk.LOW, Risk.MEDIUM} for name in medium)


@pytest.mark.parametrize(
    ("slug", "model", "v2g", "covered"),
    [
        (POWER_UP, "TP-DC180", False, True),
        (POWER_UP, "TP-DC60", False, False),
        (AC_POWER_UP, "TP-AC22", False, True),
        (PREPARING, "TP-DC60", False, True),
        (NO_FLOW, "TP-DC180-V2G", True, True),
        (NO_FLOW, "TP-DC180", False, False),
        ("no-such-runbook", "TP-DC180", True, False),
    ],
)
def test_covers__model__is_what_the_runbook_says(
    slug: str, model: str, *, v2g: bool, covered: bool
) -> None:
    """A runbook is for its models, for all where it names none, and may want V2G hardware."""
    assert LIBRARY.covers(slug, model, v2g) is covered


def changed(runbook: Runbook, step_id: str, **changes: object) -> Runbook:
    """A runbook with one step changed."""
    steps = [replace(one, **changes) if one.id == step_id else one for one in runbook.steps]
    return replace(runbook, steps=steps)


@pytest.mark.parametrize(
    ("step_id", "changes", "words"),
    [
        ("fault-log", {"check": "no_such_check"}, "no check"),
        ("fault-log", {"faults": ["F-9998"]}, "F-9998"),
        ("controlled-reboot", {"commands": []}, "commands"),
        ("cooling", {"question": UNSET}, "asks"),
        ("cooling", {"branches": [Branch(on=Verdict.PASSED, goto="nowhere")]}, "no step nowhere"),
        ("cooling", {"branches": [Branch(on=Verdict.PASSED, goto="escalate")]}, "nothing follows"),
        ("escalate", {"branches": [Branch(on=Verdict.PASSED, goto="fault-log")]}, "back to itself"),
        ("escalate", {"branches": [Branch(on=Verdict.PASSED)]}, "one place"),
        ("escalate", {"branches": [Branch(on=Verdict.PASSED, runbook="other")]}, "no runbook"),
        ("escalate", {"collects": ["gold"]}, "gold"),
        ("escalate", {"id": "cooling"}, "one name"),
    ],
)
def test_library__runbook_that_contradicts_itself__is_refused(
    step_id: str, changes: dict[str, object], words: str
) -> None:
    """Jumps, checks, commands and codes have to exist, and no step leads back to itself."""
    others = [one for one in LIBRARY if one.slug != POWER_UP]
    with pytest.raises(ValueError, match=words):
        RunbookCatalogue([*others, changed(find(POWER_UP), step_id, **changes)], FAULTS)


def test_library__step_that_nothing_leads_to__is_refused() -> None:
    """Each step can be come to."""
    others = [one for one in LIBRARY if one.slug != PREPARING]
    runbook = find(PREPARING)
    alone = replace(runbook.steps[3], id="alone")
    with pytest.raises(ValueError, match="nothing leads to"):
        RunbookCatalogue([*others, replace(runbook, steps=[*runbook.steps, alone])], FAULTS)


def test_library__fault_that_names_no_runbook_of_ours__is_refused() -> None:
    """The dictionary's runbooks are in the library."""
    with pytest.raises(ValueError, match="names the runbooks"):
        RunbookCatalogue([one for one in LIBRARY if one.slug != PREPARING], FAULTS)

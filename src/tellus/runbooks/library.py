"""The library: all runbooks of the package, read and checked when the platform starts."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from tellus.commands.model import KINDS
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.kernel.versions import parse_version
from tellus.runbooks.model_catalogue import (
    ANSWERS,
    Branch,
    Runbook,
    Step,
    StepKind,
    Verdict,
)

_AS_WRITTEN: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({})

CHECKS: Final = frozenset(
    {
        "supply_phases",
        "newest_faults",
        "firmware_latest",
        "back_online",
        "firmware_cluster",
        "collect",
        "auth_before_stuck",
        "charging_again",
        "reset_worked",
        "discharge_delivery",
        "vehicle_eligible",
        "inverter_synced",
        "iso15118_20",
    }
)
"""The checks that the platform can do; ``runbooks.evidence`` has one reader for each."""

COLLECTED: Final = frozenset(
    {
        "fault_log",
        "firmware",
        "thermal_anomalies",
        "vehicle",
        "photos",
        "attempt_sequence",
        "inverter_telemetry",
        "runbook",
    }
)
"""What an escalation can take along."""


class RunbookCatalogue:
    """All runbooks, in the order of their names.

    Raises:
        ValueError: one contradicts itself, another, or the fault dictionary.
    """

    def __init__(self, runbooks: Iterable[Runbook], faults: FaultDictionary) -> None:
        self._runbooks = {one.slug: one for one in sorted(runbooks, key=lambda one: one.slug)}
        self._faults = faults
        for runbook in self._runbooks.values():
            _check_runbook(runbook, self._runbooks, faults)
        for fault in faults:
            strangers = [slug for slug in fault.runbooks if slug not in self._runbooks]
            if strangers:
                message = f"{fault.code} names the runbooks {strangers}"
                raise ValueError(message)

    @classmethod
    def load(
        cls, faults: FaultDictionary, times_s: Mapping[str, tuple[int, int]] = _AS_WRITTEN
    ) -> "RunbookCatalogue":
        """Read the runbooks of the package; ``times_s`` are a check's wait and patience here.

        Raises:
            msgspec.ValidationError: one lacks something or has something unknown.
            ValueError: one contradicts itself, another, or the fault dictionary.
        """
        folder = resources.files("tellus.runbooks") / "catalogue"
        runbooks = []
        for file in folder.iterdir():
            if not file.name.endswith(".toml"):
                continue
            runbook = msgspec.toml.decode(file.read_bytes(), type=Runbook)
            if f"{runbook.slug}.toml" != file.name:
                message = f"{file.name} holds {runbook.slug}"
                raise ValueError(message)
            runbooks.append(_with_times(runbook, times_s))
        return cls(runbooks, faults)

    def __iter__(self) -> Iterator[Runbook]:
        return iter(self._runbooks.values())

    def find(self, slug: str) -> Runbook | None:
        """Return the runbook of that name, or None."""
        return self._runbooks.get(slug)

    def covers(self, slug: str, model: str, v2g: bool) -> bool:  # noqa: FBT001 - a row's shape
        """Tell whether there is a runbook of that name and it is for such devices."""
        runbook = self._runbooks.get(slug)
        return runbook is not None and runbook.fits(model, v2g=v2g)


def _with_times(runbook: Runbook, times_s: Mapping[str, tuple[int, int]]) -> Runbook:
    """Return a runbook with the waits and the patience of this installation."""
    steps = []
    for step in runbook.steps:
        check = "" if step.check is UNSET else step.check
        wait_s, patience_s = times_s.get(check, (step.wait_s, step.patience_s))
        steps.append(replace(step, wait_s=wait_s, patience_s=patience_s))
    return replace(runbook, steps=steps)


def _check_runbook(runbook: Runbook, runbooks: dict[str, Runbook], faults: FaultDictionary) -> None:
    names = [step.id for step in runbook.steps]
    if len(set(names)) != len(names):
        raise ValueError(f"{runbook.slug}: two steps of one name")
    for version in (*runbook.latest_stable.values(), *runbook.gates.values()):
        if parse_version(version) is None:
            raise ValueError(f"{runbook.slug}: {version} is no version")
    for step in runbook.steps:
        try:
            _check_step(step, set(names), runbooks, faults)
        except ValueError as error:
            raise ValueError(f"{runbook.slug}, {step.id}: {error}") from None
    _check_ways(runbook)


def _check_step(
    step: Step, names: set[str], runbooks: dict[str, Runbook], faults: FaultDictionary
) -> None:
    if (step.kind is StepKind.COMMAND) != bool(step.commands):
        raise ValueError("a step has commands if it is of that kind")
    if (step.check is UNSET) != (step.kind is StepKind.MANUAL):
        raise ValueError("every step but a manual one has a check")
    if step.kind is StepKind.MANUAL and step.question is UNSET:
        raise ValueError("a manual step asks something")
    if step.check is not UNSET and step.check not in CHECKS:
        raise ValueError(f"there is no check {step.check}")
    strangers = {one.command for one in step.commands} - set(KINDS)
    strangers |= set(step.collects) - COLLECTED
    strangers |= {code for code in step.faults if faults.find(code) is None}
    if strangers:
        raise ValueError(f"{sorted(strangers)} are unknown")
    for branch in step.branches:
        _check_branch(branch, names, runbooks)
    open_ways = {branch.on for branch in step.branches if branch.finding is UNSET}
    if outcomes_of(step) - open_ways:
        raise ValueError(f"nothing follows from {sorted(outcomes_of(step) - open_ways)}")


def _check_branch(branch: Branch, names: set[str], runbooks: dict[str, Runbook]) -> None:
    ways = [way for way in (branch.goto, branch.runbook, branch.end) if way is not UNSET]
    if len(ways) != 1:
        raise ValueError("a branch leads to one place")
    if branch.goto is not UNSET and branch.goto not in names:
        raise ValueError(f"there is no step {branch.goto}")
    if branch.runbook is not UNSET and branch.runbook not in runbooks:
        raise ValueError(f"there is no runbook {branch.runbook}")
    if branch.end is not UNSET and (branch.conclusion is UNSET or branch.cause is UNSET):
        raise ValueError("an end says what is known then")


def outcomes_of(step: Step) -> set[Verdict]:
    """Return the verdicts that a step can get."""
    if step.kind is StepKind.MANUAL:
        return set(ANSWERS)
    if step.kind is StepKind.COMMAND:
        may_be_declined = step.confirm is not UNSET or step.question is not UNSET
        answers = {Verdict.PASSED, Verdict.FAILED}
        return answers | {Verdict.NOT_POSSIBLE} if may_be_declined else answers
    if step.check == "collect":
        return {Verdict.PASSED}
    if step.question is not UNSET:
        return set(ANSWERS)
    return {Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE}


def _check_ways(runbook: Runbook) -> None:
    """Raise ValueError where a step cannot be reached, or can be reached from itself."""
    ways = {
        step.id: [branch.goto for branch in step.branches if branch.goto is not UNSET]
        for step in runbook.steps
    }
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"{runbook.slug}: {name} leads back to itself")
        if name not in done:
            for further in ways[name]:
                walk(further, (*above, name))
            done.add(name)

    walk(runbook.steps[0].id, ())
    if set(ways) - done:
        raise ValueError(f"{runbook.slug}: nothing leads to {sorted(set(ways) - done)}")

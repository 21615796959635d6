"""The reference page of the runbooks."""

from collections.abc import Iterator

from msgspec import UNSET

from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.runbooks.library import RunbookCatalogue
from tellus.runbooks.model_catalogue import Branch, Runbook, Step, StepKind

_WHO = {
    StepKind.AUTOMATIC: "read by the platform",
    StepKind.MANUAL: "answered by a person",
    StepKind.COMMAND: "sent to the charger once confirmed",
}


def runbooks_page() -> str:
    """Return the page of all runbooks."""
    entries = "\n\n".join(_entry(one) for one in RunbookCatalogue.load(FaultDictionary.load()))
    return f"""# Runbooks

What to do about a charger, step by step, as the platform runs it:
[Work through a runbook](../how-to/work-through-a-runbook.md). The same is at
`GET /v1/operator/runbooks`.

{entries}
"""


def _entry(runbook: Runbook) -> str:
    return "\n\n".join(_parts(runbook))


def _parts(runbook: Runbook) -> Iterator[str]:
    yield f"## {runbook.title}"
    yield f"`{runbook.slug}`. {runbook.symptom}"
    yield f"For {_models(runbook)}."
    for n, step in enumerate(runbook.steps, 1):
        yield f"### {n} {step.title} ({runbook.slug})"
        yield f"*{_WHO[step.kind].capitalize()}.* {step.text}"
        yield from _asked(step)
        yield "\n".join(
            f"- {_outcome(branch)}: {_way(runbook, branch)}" for branch in step.branches
        )


def _models(runbook: Runbook) -> str:
    if runbook.models:
        return ", ".join(runbook.models)
    kinds = "all models that can discharge" if runbook.needs_v2g else "all models"
    return f"{kinds}, mostly {', '.join(runbook.typical_models)}"


def _asked(step: Step) -> Iterator[str]:
    if step.commands:
        names = ", then ".join(f"`{one.command}`" for one in step.commands)
        yield f"Sends {names}, after: {step.confirm}"
    if step.question is not UNSET:
        when = {
            StepKind.AUTOMATIC: "Where the data say nothing",
            StepKind.MANUAL: "Asked",
            StepKind.COMMAND: "Where it cannot be sent",
        }
        yield f"{when[step.kind]}: {step.question}"
    if step.collects:
        names = ", ".join(name.replace("_", " ") for name in step.collects)
        yield f"Takes along: {names}."


def _outcome(branch: Branch) -> str:
    words = branch.on.value.replace("_", " ")
    return words if branch.finding is UNSET else f"{words} (`{branch.finding}`)"


def _way(runbook: Runbook, branch: Branch) -> str:
    if branch.goto is not UNSET:
        way = f"step {runbook.place_of(branch.goto)}."
    elif branch.runbook is not UNSET:
        way = f"goes on in `{branch.runbook}`."
    else:
        whom = "" if branch.to is UNSET else f" to the {branch.to}"
        way = f"**{branch.end}**{whom}: {branch.conclusion}"
    return way if branch.advice is UNSET else f"{way} {branch.advice}"

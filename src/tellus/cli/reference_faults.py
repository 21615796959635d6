"""The reference page of the fault dictionary."""

from collections.abc import Iterable, Iterator

from msgspec import UNSET

from tellus.diagnostics.catalogue.faults import Fault, FaultDictionary


def faults_page() -> str:
    """Return the page of all fault codes."""
    entries = "\n\n".join(_entry(fault) for fault in FaultDictionary.load())
    return f"""# Faults

What can be wrong with a charger, by code. A charger reports a fault as an event with `fault_code`;
some are found by the platform. The same is at `GET /v1/operator/faults`.

{entries}
"""


def _entry(fault: Fault) -> str:
    return "\n\n".join(_parts(fault))


def _parts(fault: Fault) -> Iterator[str]:
    yield f"## {fault.code} {fault.title}"
    found_by = " and ".join(fault.found_by)
    yield f"**{fault.severity}**, {fault.category}; found by the {found_by}. {fault.summary}"
    if fault.platform_check is not UNSET:
        yield f"The platform's own check: {fault.platform_check}"
    yield f"**How it shows**\n\n{_list(fault.symptoms)}"
    yield f"**Why**\n\n{_list(fault.causes)}"
    steps = [
        step.text if step.command is UNSET else f"{step.text} (`{step.command}`)"
        for step in fault.steps
    ]
    yield "**What to do**\n\n" + "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1))
    yield f"**What to look at**\n\n{_list(fault.telemetry)}"
    yield f"**Firmware:** {fault.firmware.note}"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)

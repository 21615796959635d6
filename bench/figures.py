"""Figures of a run: collected, printed as one table, written as JSON."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

_WIDTHS = (20, 58, 14, 10, 16)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; ``goal`` is what the design asks for, ``met`` whether it is reached."""

    runner: str
    name: str
    value: float
    unit: str = ""
    goal: str = ""
    met: bool | None = None


def at_least(runner: str, name: str, value: float, unit: str, goal: float) -> Figure:
    """Return a figure that should be at least ``goal``."""
    return Figure(runner, name, value, unit, f">= {goal:g}", value >= goal)


def at_most(runner: str, name: str, value: float, unit: str, goal: float) -> Figure:
    """Return a figure that should be at most ``goal``."""
    return Figure(runner, name, value, unit, f"<= {goal:g}", value <= goal)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of ``values`` lie."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a percentile needs at least one value")
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def middle(values: Iterable[float]) -> float:
    """Return the median."""
    return median(values)


def format_figures(figures: Iterable[Figure]) -> str:
    """Return the table that is printed."""
    lines = [_row("runner", "figure", "value", "unit", "goal")]
    lines.append("-" * len(lines[0]))
    for figure in figures:
        mark = "" if figure.met is None else (" met" if figure.met else " NOT MET")
        goal = figure.goal + mark
        lines.append(_row(figure.runner, figure.name, _number(figure.value), figure.unit, goal))
    return "\n".join(lines)


def write_json(path: Path, figures: Iterable[Figure], notes: Iterable[str]) -> None:
    """Write the figures with what is needed to judge them: machine, load, notes."""
    document = {
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
            "load_1m": os.getloadavg()[0],
        },
        "notes": list(notes),
        "figures": [asdict(figure) for figure in figures],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def _number(value: float) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _row(*cells: str) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:2], _WIDTHS[:2], strict=True)]
    value = cells[2].rjust(_WIDTHS[2])
    rest = [cell.ljust(width) for cell, width in zip(cells[3:], _WIDTHS[3:], strict=True)]
    return " ".join([*left, value, *rest]).rstrip()

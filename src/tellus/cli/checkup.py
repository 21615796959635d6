"""What a check-up looks at, and what it finds."""

from dataclasses import dataclass
from enum import StrEnum

from tellus.config import Settings


class Verdict(StrEnum):
    """What became of a check."""

    OK = "ok"
    FINDING = "finding"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw, and what to do about it where something is wrong."""

    name: str
    verdict: Verdict
    detail: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """The installation to look at; ``deep`` allows checks that take long."""

    settings: Settings
    deep: bool = False


def well(name: str, detail: str) -> Finding:
    """Return that a check found nothing."""
    return Finding(name, Verdict.OK, detail)


def wrong(name: str, detail: str, advice: str) -> Finding:
    """Return what a check found."""
    return Finding(name, Verdict.FINDING, detail, advice)


def skipped(name: str, detail: str) -> Finding:
    """Return that there was nothing to look at."""
    return Finding(name, Verdict.SKIPPED, detail)

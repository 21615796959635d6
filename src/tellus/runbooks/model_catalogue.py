"""The words of a runbook as it is written: steps, what each asks or does, and where it leads."""

import enum
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text = Annotated[str, Meta(min_length=1)]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=64)]
STEPS_MOST: Final = 99
Code = Annotated[str, Meta(pattern=r"^F-[0-9]{4}$")]


class StepKind(enum.StrEnum):
    """Who does a step: the platform reads data, a person looks, or the charger is told to act."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    COMMAND = "command"


class Verdict(enum.StrEnum):
    """What came of a step; people answer with the first three, checks with all but the third."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_POSSIBLE = "not_possible"
    INCONCLUSIVE = "inconclusive"


class Ending(enum.StrEnum):
    """How a branch ends the run."""

    RESOLVED = "resolved"
    ESCALATED = "escalated"


class DoneOn(enum.StrEnum):
    """Which word of the charger lets a step go on after a command."""

    ACCEPTED = "accepted"
    COMPLETED = "completed"


class StepCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A command of a step; ``may_fail`` goes on to the next one even if the charger refuses."""

    command: Text
    done_on: DoneOn = DoneOn.COMPLETED
    may_fail: bool = False


class Branch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where an outcome leads: one of the step ``goto``, the runbook ``runbook``, or ``end``.

    ``finding`` narrows ``on`` to one of the things that a check can find. An end says in
    ``conclusion`` what is known then, in ``cause`` on whose side it is, and in ``to`` who has it
    now. ``advice`` is to be done whatever comes next.
    """

    on: Verdict
    finding: Text | UnsetType = UNSET
    goto: Text | UnsetType = UNSET
    runbook: Slug | UnsetType = UNSET
    end: Ending | UnsetType = UNSET
    cause: Text | UnsetType = UNSET
    conclusion: Text | UnsetType = UNSET
    to: Text | UnsetType = UNSET
    advice: Text | UnsetType = UNSET


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step; ``n`` in the API is its place in the runbook, counted from 1.

    ``check`` is read by the platform: for itself in an automatic step, after the commands in one
    that has them. ``question`` is asked where there is no check, where the data say nothing, and
    where a command could not be given. ``confirm`` is asked before anything is sent. With ``pause``
    the run is paused until the ``faults`` named have been dealt with. ``wait_s`` passes between the
    last command and the check, which may fail for ``patience_s`` longer.
    """

    id: Slug
    title: Text
    text: Text
    kind: StepKind
    branches: Annotated[list[Branch], Meta(min_length=1)]
    check: Text | UnsetType = UNSET
    question: Text | UnsetType = UNSET
    confirm: Text | UnsetType = UNSET
    commands: list[StepCommand] = []
    wait_s: Annotated[int, Meta(ge=0)] = 0
    patience_s: Annotated[int, Meta(ge=0)] = 0
    pause: bool = False
    faults: list[Code] = []
    collects: list[Text] = []
    thresholds: dict[str, float] = {}


class Runbook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A runbook; no ``models`` stand for all, ``typical_models`` are those it is mostly about.

    ``latest_stable`` is what a model ought to run where the installation's own catalogue of
    releases names nothing for it. ``gates`` are versions that something begins with.
    """

    slug: Slug
    title: Text
    symptom: Text
    models: list[Text]
    steps: Annotated[list[Step], Meta(min_length=1, max_length=STEPS_MOST)]
    typical_models: list[Text] = []
    needs_connector: bool = False
    needs_v2g: bool = False
    latest_stable: dict[str, str] = {}
    gates: dict[str, str] = {}
    picky_vehicles: list[Text] = []

    def place_of(self, step_id: str) -> int:
        """Return the place of a step, counted from 1.

        Raises:
            KeyError: it has no such step.
        """
        for n, step in enumerate(self.steps, 1):
            if step.id == step_id:
                return n
        raise KeyError(step_id)

    def fits(self, model: str, *, v2g: bool) -> bool:
        """Tell whether the runbook is for a device of this model."""
        return (not self.models or model in self.models) and (v2g or not self.needs_v2g)


ANSWERS: Final = frozenset({Verdict.PASSED, Verdict.FAILED, Verdict.NOT_POSSIBLE})
"""What a person may answer."""

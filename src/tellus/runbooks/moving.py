"""What moves runs: does what comes next, stores what came of it, and asks again.

Nothing of a run is in memory between two moves. A move is saved only if the run is still as it was
read; a command is stored together with the run that waits for it, so that after a crash either both
are there or neither.
"""

import asyncio
import contextlib
from functools import partial
from typing import Any, Final

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands.model import DEVICE_LEVEL, Command, Terms
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, Conflict, NotFound, PermissionDenied, TooManyRequests
from tellus.kernel.ids import new_id
from tellus.kernel.units import SECOND_MS
from tellus.runbooks import rules_engine, rules_runs, store
from tellus.runbooks.evidence import Evidence
from tellus.runbooks.library import RunbookCatalogue
from tellus.runbooks.model import (
    Action,
    ActionKind,
    Answered,
    CheckResult,
    CommandSeen,
    Links,
    Observation,
    Place,
    Run,
    RunStatus,
    Stage,
    StepRecord,
)
from tellus.runbooks.model_catalogue import Runbook, Verdict
from tellus.runbooks.rules_power import V2G_CODES
from tellus.runbooks.rules_runs import Changed
from tellus.runbooks.scene import Scene
from tellus.runbooks.sources import Sources
from tellus.storage.database import Tx

_MOVES_MOST: Final = 200
_RUNS_AT_ONCE: Final = 50
_ON_DEVICE: Final = frozenset({"reboot"})
_STAYS: Final = frozenset({ActionKind.ASK, ActionKind.WAIT})


class WrongStep(Conflict):
    """4001: the run asks nothing of this step: it is over, at work, or at another step."""

    def __init__(self, run: Run) -> None:
        details: dict[str, object] = {"status": run.status.value}
        if not run.is_over:
            details["step"] = run.n
        super().__init__("The run does not ask anything of this step", **details)


class _Moved(Conflict):
    """The run changed between deciding and saving; it is looked at anew."""

    def __init__(self) -> None:
        super().__init__("The run has moved on")


class RunMover:
    """Moves runs on; ``turn`` is to be called every second on the node on duty."""

    def __init__(self, sources: Sources, library: RunbookCatalogue, clock: Clock) -> None:
        self._sources = sources
        self._database = sources.database
        self._library = library
        self._clock = clock
        self._evidence = Evidence(sources)
        self._listening_ms: int | None = None

    async def turn(self) -> None:
        """Move the runs on that are due.

        Raises:
            ApiError: the store cannot serve now; the next turn makes up.
        """
        now_ms = self._clock.now_ms()
        if self._listening_ms is None:
            self._listening_ms = now_ms
        due = await self._database.read(store.list_due, now_ms, _RUNS_AT_ONCE)
        outcomes = await asyncio.gather(*map(self.move, due), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def move(self, run_id: str) -> None:
        """Let a run go on until it waits for something, or is over."""
        for _ in range(_MOVES_MOST):
            held = await self._database.read(_load, run_id)
            if held is None or not await self._move_once(held, None):
                return

    async def answer(self, before: Run, answered: Answered, by: Actor) -> None:
        """Take what a person said of the present step, then let the run go on.

        Raises:
            WrongStep: the run has moved on meanwhile.
        """
        held = await self._database.read(_load, before.run_id)
        if held is None or held.run.revision != before.revision:
            raise WrongStep(before)
        more = await self._move_once(held, (answered, by))
        if more:
            await self.move(before.run_id)

    async def _move_once(self, held: Changed, said: tuple[Answered, Actor] | None) -> bool:
        """Do what comes next in a run; tell whether more may follow at once.

        Raises:
            WrongStep: it was answered, and has moved on meanwhile.
        """
        run, runbook = held.run, self._library.find(held.run.slug)
        now_ms = self._clock.now_ms()
        scene = None if runbook is None else self._look(runbook, run, now_ms)
        if run.is_over:
            return False
        if scene is None or runbook is None:
            gone = "runbook_gone" if runbook is None else "device_gone"
            await self._save(held.run, Changed(rules_runs.cancel(run, gone, now_ms), ()))
            return False
        answered, by = said or (None, None)
        action, result = await self._decide(scene, answered)
        if answered is not None:
            (step,) = held.records
            held = Changed(run, (rules_runs.take_answer(step, run.stage, answered),))
        if action.kind is ActionKind.ISSUE:
            return await self._issue(scene, held, action)
        if _is_the_same(run, action):
            return False
        after = rules_runs.take(runbook, held, action, now_ms, result)
        if not await self._save(run, after, action, by):
            if answered is not None:
                raise WrongStep(run)
            return True
        return action.kind not in _STAYS

    def _look(self, runbook: Runbook, run: Run, now_ms: int) -> Scene | None:
        """Return what is known of the run's device, None if it is its operator's no longer."""
        try:
            view = self._sources.queries.get_device(run.device_id, run.operator_id, now_ms)
        except NotFound:
            return None
        return Scene(runbook, run, view, now_ms)

    async def _decide(
        self, scene: Scene, answered: Answered | None
    ) -> tuple[Action, CheckResult | None]:
        run, now_ms = scene.run, scene.now_ms
        seen = Observation(now_ms, answer=None if answered is None else answered.outcome)
        if run.stage is Stage.AWAIT:
            return await self._decide_on_command(scene)
        action = rules_engine.next_action(scene.runbook, run.position, seen)
        if action.kind is not ActionKind.CHECK or action.check is None:
            return action, None
        result = await self._evidence.read(action.check, scene)
        since_ms = now_ms if self._listening_ms is None else self._listening_ms
        seen = Observation(now_ms, result=result, listening_ms=since_ms)
        return rules_engine.next_action(scene.runbook, run.position, seen), result

    async def _decide_on_command(self, scene: Scene) -> tuple[Action, CheckResult | None]:
        """Say what follows from the awaited command; how it ended is evidence."""
        run, now_ms = scene.run, scene.now_ms
        seen = CommandSeen("failed", "absent")
        told: dict[str, Any] = {"status": "absent", "result": None}
        with contextlib.suppress(NotFound):
            command, _ = await self._sources.commands.read_command(
                run.pending_command_id or "", run.operator_id, now_ms
            )
            reason = (command.result or {}).get("reason")
            seen = CommandSeen(command.status, None if reason is None else str(reason))
            told = {"status": command.status, "result": command.result}
        observation = Observation(now_ms, command=seen)
        action = rules_engine.next_action(scene.runbook, run.position, observation)
        if action.kind is ActionKind.WAIT:
            return action, None
        name = scene.step.commands[run.part].command
        return action, CheckResult(action.verdict or Verdict.INCONCLUSIVE, None, {name: told})

    # ------------------------------------------------------------------ what is done

    async def _issue(self, scene: Scene, held: Changed, action: Action) -> bool:
        """Send a command; one that cannot be given has failed."""
        run, (step,) = held.run, held.records
        name = action.command or ""
        client_id = step.client_id or run.client_id
        try:
            await self._sources.commands.issue_command(
                name,
                run.device_id,
                DEVICE_LEVEL if name in _ON_DEVICE else run.connector_id,
                {},
                (client_id, run.operator_id),
                scene.now_ms,
                Terms(by=Actor(client_id), along=partial(_wait_for, held, scene.now_ms)),
            )
        except _Moved:
            return True
        except TooManyRequests:
            wait = Action(kind=ActionKind.WAIT, until_ms=scene.now_ms + rules_engine.LOOK_AGAIN_MS)
            after = rules_runs.take(scene.runbook, held, wait, scene.now_ms)
            await self._save(run, after)
            return False
        except (Conflict, NotFound, PermissionDenied) as error:
            return await self._refused(scene, held, error)
        return True

    async def _refused(self, scene: Scene, held: Changed, error: ApiError) -> bool:
        """Go on after a command that could not be given, with why as evidence."""
        run, now_ms = held.run, scene.now_ms
        position = run.position._replace(stage=Stage.AWAIT)
        seen = Observation(now_ms, command=CommandSeen("failed", error.message))
        action = rules_engine.next_action(scene.runbook, position, seen)
        why = CheckResult(action.verdict or Verdict.FAILED, None, {"refused": error.message})
        await self._save(run, rules_runs.take(scene.runbook, held, action, now_ms, why), action)
        return True

    async def _save(
        self,
        before: Run,
        after: Changed,
        action: Action | None = None,
        by: Actor | None = None,
    ) -> bool:
        """Save a move; tell whether the run was still as it was read."""
        if action is not None and action.kind is ActionKind.HAND_OVER:
            work = partial(self._hand_over, action.runbook or "")
            saved, next_run_id = await self._database.write(work, before, after, by)
            if saved and next_run_id is not None:
                await self.move(next_run_id)
            return saved
        return await self._database.write(_save, before, after, by)

    def _hand_over(
        self, slug: str, tx: Tx, before: Run, after: Changed, by: Actor | None
    ) -> tuple[bool, str | None]:
        """Save the end of a run together with the run that goes on, unless there is one."""
        tx.lock(place_lock(before.device_no))
        runbook = self._library.find(slug)
        if runbook is None:
            raise NotFound
        run = after.run
        connector_id = run.connector_id or _connector_of(after.records[0])
        live = store.find_live(tx, run.operator_id, slug, run.device_no, connector_id)
        next_run_id = live.run_id if live is not None else new_id("run")
        ended = rules_runs.hand_over(run, next_run_id)
        if not _save(tx, before, Changed(ended, after.records), by):
            return False, None
        if live is None:
            place = Place(
                run.operator_id, run.client_id, run.device_no, run.device_id, connector_id
            )
            links = Links(run.alert_id, None, run.vehicle, run.run_id)
            begun = rules_runs.begin(next_run_id, runbook, place, links, run.updated_ms)
            self.store_new(tx, begun, Actor(run.client_id))
        return True, next_run_id

    def store_new(self, tx: Tx, begun: Changed, by: Actor) -> None:
        """Store a run that begins, with its link to the alert and its entry in the audit log."""
        run = begun.run
        store.append_run(tx, run)
        store.upsert_steps(tx, run.run_id, begun.records)
        if run.alert_id is not None:
            self._sources.alerts.link_run(tx, run.alert_id, run.run_id, run.slug)
        note(tx, run, by, "runbook_run.created", run.created_ms, runbook=run.slug)


def place_lock(device_no: int) -> str:
    """Return the lock of what is decided about the live runs of a device."""
    return f"runbook_runs:{device_no}"


def note(tx: Tx, run: Run, by: Actor, action: str, now_ms: int, **details: object) -> None:
    """Write to the audit log what somebody did to a run."""
    record(
        tx,
        by.name,
        action,
        "runbook_run",
        run.run_id,
        run.operator_id,
        by.request_id,
        now_ms,
        device_id=run.device_id,
        connector_id=run.connector_id,
        **details,
    )


def _connector_of(step: StepRecord) -> int:
    """Return the connector of the newest V2G fault that a step read, else the first."""
    for fault in step.evidence.get("faults", ()):
        if fault["fault"] in V2G_CODES and fault["connector_id"]:
            return int(fault["connector_id"])
    return 1


def _load(tx: Tx, run_id: str) -> Changed | None:
    run = store.find_run(tx, run_id)
    if run is None:
        return None
    present = [step for step in store.list_steps(tx, run_id) if step.n == run.n]
    return Changed(run, tuple(present))


def _save(tx: Tx, before: Run, after: Changed, by: Actor | None = None) -> bool:
    tx.lock(f"runbook_run:{before.run_id}")
    if not store.update_run(tx, after.run):
        return False
    store.upsert_steps(tx, before.run_id, after.records)
    if by is not None:
        said, confirmed = after.records[0], before.stage is Stage.CONFIRM
        who = said.confirmed_by if confirmed else said.answered_by
        note(
            tx,
            before,
            by,
            "runbook_run.answered",
            after.run.updated_ms,
            step=said.n,
            answered_by=who,
        )
    if after.run.is_over and not before.is_over:
        note(
            tx,
            after.run,
            Actor("platform"),
            "runbook_run.ended",
            after.run.updated_ms,
            status=after.run.status.value,
            cause=after.run.cause,
        )
    return True


def _wait_for(held: Changed, now_ms: int, tx: Tx, command: Command) -> None:
    if not _save(tx, held.run, rules_runs.note_command(held, command.command_id, now_ms)):
        raise _Moved


def _is_the_same(run: Run, action: Action) -> bool:
    """Tell whether a run waits, or asks, as it did: then there is nothing to save."""
    if action.kind is ActionKind.ASK:
        return run.status in {RunStatus.ASKING, RunStatus.PAUSED}
    if action.kind is not ActionKind.WAIT or run.status is not RunStatus.WAITING:
        return False
    soon = action.until_ms is not None and run.due_ms is not None
    return soon and abs((action.until_ms or 0) - (run.due_ms or 0)) <= 2 * SECOND_MS

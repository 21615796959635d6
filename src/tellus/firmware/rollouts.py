"""Use cases of rollouts: plan one, look at it, and what a person may do to it."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands import repeats
from tellus.commands.model import RequestKey
from tellus.consent.model import Service
from tellus.firmware import rules_cohort, rules_members, store, store_rollouts
from tellus.firmware.model import Release
from tellus.firmware.model_rollouts import (
    ACTIONS,
    Action,
    Count,
    Member,
    MemberState,
    Reason,
    Rollout,
    RolloutState,
)
from tellus.firmware.rules_cohort import Candidate
from tellus.firmware.service import CannotUpgrade
from tellus.fleet.directory import Directory
from tellus.fleet.queries import FleetQueries
from tellus.kernel.errors import Conflict, NotFound
from tellus.storage.database import Database, Tx

DEVICES_MOST = 10_000
_STATE_OF_ACTION = {
    "pause": RolloutState.PAUSED,
    "resume": RolloutState.RUNNING,
    "rollback": RolloutState.ROLLING_BACK,
    "cancel": RolloutState.CANCELLED,
}
_PAST = {"pause": "paused", "resume": "resumed", "rollback": "rolled_back", "cancel": "cancelled"}


class NotPossible(Conflict):
    """4001: what was asked does not go with where the rollout stands."""

    def __init__(self, action: Action, state: str) -> None:
        super().__init__(f"A rollout that is {state} cannot do this: {action}", status=state)


class RolloutView(NamedTuple):
    """A rollout and how many of its devices are where."""

    rollout: Rollout
    counts: list[Count]


class RolloutService:
    """Rollouts of operators; each sees its own and nothing else exists for it."""

    def __init__(self, database: Database, directory: Directory, queries: FleetQueries) -> None:
        self._database = database
        self._directory = directory
        self._queries = queries

    async def create_rollout(
        self, wanted: Rollout, by: Actor, key: RequestKey | None = None
    ) -> RolloutView:
        """Store a rollout over the devices that fit its cohort now; the first wave begins at once.

        Raises:
            InvalidParameter: the waves contradict themselves.
            NotFound: a site or device of the cohort is absent or another operator's.
            CannotUpgrade: there is no release of the version, or none to roll back to.
            Conflict: the cohort has more than 10,000 devices.
            KeyReused: the key stands for another request.
        """
        rules_cohort.check_waves(wanted.waves)
        candidates = await self._find_candidates(wanted)
        return await self._database.write(_create, wanted, candidates, by, key)

    async def _find_candidates(self, wanted: Rollout) -> list[Candidate]:
        cohort, operator_id = wanted.cohort, wanted.operator_id
        for site_id in cohort.site_ids:
            await self._queries.get_site(site_id, operator_id, wanted.created_ms)
        for device_id in cohort.device_ids:
            if self._directory.owned(device_id, operator_id) is None:
                raise NotFound
        devices = self._directory.of_operator(operator_id)
        return [
            Candidate(
                one.device_no,
                one.device_id,
                one.model,
                one.firmware_version,
                one.allows(Service.FIRMWARE, wanted.created_ms),
            )
            for one in devices
            if _fits(cohort.models, one.model)
            and _fits(cohort.site_ids, one.site_id)
            and _fits(cohort.current_versions, one.firmware_version)
            and _fits(cohort.device_ids, one.device_id)
        ]

    async def read_rollout(self, rollout_id: str, operator_id: str) -> RolloutView:
        """Return a rollout.

        Raises:
            NotFound: it is absent or another operator's.
        """
        return await self._database.read(_read, rollout_id, operator_id)

    async def list_rollouts(
        self, operator_id: str, state: RolloutState | None, offset: int, size: int
    ) -> tuple[int, list[RolloutView]]:
        """Return how many rollouts match and a page of them, newest first."""
        return await self._database.read(_list, operator_id, state, (size, offset))

    async def list_members(
        self,
        rollout_id: str,
        operator_id: str,
        wanted: tuple[int | None, MemberState | None],
        page: tuple[int, int],
    ) -> tuple[int, list[Member]]:
        """Return how many devices are in a wave and state (None: any), and a page (offset, size).

        What a device said is left out where its owner does not agree any more.

        Raises:
            NotFound: the rollout is absent or another operator's.
        """
        whose = (rollout_id, operator_id)
        total, members = await self._database.read(_list_members, whose, wanted, page)
        withheld = frozenset(self._directory.withheld(operator_id, Service.FIRMWARE))
        return total, [
            replace(one, message=None) if one.device_no in withheld else one for one in members
        ]

    async def act(
        self,
        action: Action,
        rollout_id: str,
        operator_id: str,
        by: Actor,
        now_ms: int,
        key: RequestKey | None = None,
    ) -> RolloutView:
        """Pause, resume, roll back or cancel a rollout.

        Resuming one that halted accepts its failures so far: they count no more.

        Raises:
            NotFound: it is absent or another operator's.
            NotPossible: it does not go with where the rollout stands.
            KeyReused: the key stands for another request.
        """
        return await self._database.write(_act, action, (rollout_id, operator_id), by, now_ms, key)


def _fits(wanted: Sequence[str], value: str) -> bool:
    return not wanted or value in wanted


def _create(
    tx: Tx, wanted: Rollout, candidates: list[Candidate], by: Actor, key: RequestKey | None
) -> RolloutView:
    tx.lock(f"firmware_rollouts:{wanted.operator_id}")
    known = None if key is None else repeats.recall(tx, key, wanted.created_ms)
    if known is not None:
        return _read(tx, known, wanted.operator_id)
    releases = store.list_releases(tx)
    _check_known(releases, wanted.firmware_version)
    members = rules_cohort.choose_members(
        wanted.rollout_id,
        candidates,
        releases,
        wanted.waves,
        firmware_version=wanted.firmware_version,
        taken=store_rollouts.list_taken(tx, wanted.operator_id).keys(),
        allow_downgrade=wanted.allow_downgrade,
        now_ms=wanted.created_ms,
    )
    if len(members) > DEVICES_MOST:
        message = f"The cohort has {len(members)} devices, {DEVICES_MOST} are allowed"
        raise Conflict(message, devices=len(members))
    _check_way_back(wanted, members, releases)
    store_rollouts.append_rollout(tx, wanted, members)
    if key is not None:
        repeats.remember(tx, key, wanted.rollout_id, wanted.created_ms)
    note(tx, by, "created", wanted, firmware_version=wanted.firmware_version, devices=len(members))
    return RolloutView(wanted, store_rollouts.count_members(tx, wanted.rollout_id))


def _check_known(releases: Sequence[Release], firmware_version: str) -> None:
    if not any(firmware_version in release.names for release in releases):
        message = "There is no release of this version"
        raise CannotUpgrade(message, Reason.NO_RELEASE, firmware_version=firmware_version)


def _check_way_back(
    wanted: Rollout, members: Sequence[Member], releases: Sequence[Release]
) -> None:
    """Refuse a version to roll back to that a model of the cohort has no release of."""
    version = wanted.rollback_version
    if version is None:
        return
    _check_known(releases, version)
    for model in sorted({member.model for member in members if member.wave is not None}):
        if rules_cohort.find_release(releases, model, version) is None:
            message = "There is no release of the version to roll back to for this model"
            raise CannotUpgrade(message, Reason.NO_RELEASE, firmware_version=version, model=model)


def _read(tx: Tx, rollout_id: str, operator_id: str) -> RolloutView:
    rollout = store_rollouts.find_rollout(tx, rollout_id)
    if rollout is None or rollout.operator_id != operator_id:
        raise NotFound
    return RolloutView(rollout, store_rollouts.count_members(tx, rollout_id))


def _list(
    tx: Tx, operator_id: str, state: RolloutState | None, page: tuple[int, int]
) -> tuple[int, list[RolloutView]]:
    total, found = store_rollouts.list_rollouts(tx, operator_id, state, *page)
    return total, [
        RolloutView(one, store_rollouts.count_members(tx, one.rollout_id)) for one in found
    ]


def _list_members(
    tx: Tx,
    whose: tuple[str, str],
    wanted: tuple[int | None, MemberState | None],
    page: tuple[int, int],
) -> tuple[int, list[Member]]:
    rollout_id = _read(tx, *whose).rollout.rollout_id
    offset, size = page
    return store_rollouts.page_members(tx, rollout_id, wanted, size, offset)


def _act(
    tx: Tx,
    action: Action,
    whose: tuple[str, str],
    by: Actor,
    now_ms: int,
    key: RequestKey | None,
) -> RolloutView:
    rollout_id, operator_id = whose
    tx.lock(f"firmware_rollouts:{operator_id}")
    rollout = _read(tx, rollout_id, operator_id).rollout
    if key is not None:
        if repeats.recall(tx, key, now_ms) is not None:
            return _read(tx, rollout_id, operator_id)
        repeats.remember(tx, key, rollout_id, now_ms)
    if rollout.state not in ACTIONS[action]:
        raise NotPossible(action, rollout.state)
    after = replace(
        rollout,
        state=_STATE_OF_ACTION[action],
        halt=None if action == "resume" else rollout.halt,
        reached_ms=None,
        updated_ms=now_ms,
        ended_ms=None,
    )
    if action == "resume":
        members = store_rollouts.list_members(tx, rollout_id)
        excused = rules_members.excuse(members, now_ms)
        store_rollouts.update_members(tx, rollout_id, excused)
    elif action == "rollback" and rollout.ended_ms is not None:
        _leave_to_others(tx, rollout, now_ms)
    store_rollouts.update_rollout(tx, after)
    note(tx, by, _PAST[action], after, before=rollout.state.value)
    return _read(tx, rollout_id, operator_id)


def _leave_to_others(tx: Tx, rollout: Rollout, now_ms: int) -> None:
    """Let a rollout that was over not take back devices that another one has to do with by now."""
    taken = store_rollouts.list_taken(tx, rollout.operator_id, rollout.rollout_id)
    lost = [
        replace(
            member,
            state=MemberState.ROLLBACK_FAILED,
            reason=Reason.IN_ANOTHER_ROLLOUT,
            updated_ms=now_ms,
        )
        for member in store_rollouts.list_members(tx, rollout.rollout_id)
        if member.device_no in taken and member.state is MemberState.UPGRADED
    ]
    store_rollouts.update_members(tx, rollout.rollout_id, lost)


def note(tx: Tx, by: Actor, verb: str, rollout: Rollout, **details: object) -> None:
    """Append to the audit log what became of a rollout."""
    record(
        tx,
        by.name,
        f"firmware_rollout.{verb}",
        "firmware_rollout",
        rollout.rollout_id,
        rollout.operator_id,
        by.request_id,
        rollout.updated_ms,
        **details,
    )

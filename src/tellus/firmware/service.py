"""Use cases of one device's firmware: upgrade it, show how far it is, find who never came back."""

import asyncio
from typing import Any, NamedTuple

from tellus.audit.model import Actor
from tellus.commands import upgrades
from tellus.commands.model import (
    DEVICE_LEVEL,
    FIRMWARE_UPGRADE,
    Command,
    Issued,
    RequestKey,
    Terms,
)
from tellus.commands.repeats import make_key
from tellus.commands.service import CommandService
from tellus.firmware import rules, rules_cohort, store, store_rollouts, store_upgrades
from tellus.firmware.model import Patience, Progress, Release, Upgrade, Verdict
from tellus.firmware.model_rollouts import Reason
from tellus.firmware.rules_cohort import Candidate
from tellus.fleet.directory import Device, Directory
from tellus.kernel.errors import Conflict, NotFound
from tellus.storage.database import Database, Tx

_HISTORY = 50
_SLICE = 200


class CannotUpgrade(Conflict):
    """4001: the catalogue or the device forbids this version; ``details.reason`` says why."""

    def __init__(self, message: str, reason: str, **details: Any) -> None:
        super().__init__(message, reason=reason, **details)


_WORDS = {
    Reason.NO_RELEASE: "There is no release of this version for this model",
    Reason.RELEASE_WITHDRAWN: "This release was withdrawn",
    Reason.ALREADY_CURRENT: "The device runs this version",
    Reason.NEWER: "The device runs a newer version",
    Reason.NOT_COMPARABLE: "What the device runs cannot be compared with this version",
}


class FirmwareView(NamedTuple):
    """A device's firmware: what it runs, and its upgrades, newest first."""

    device: Device
    history: list[Progress]


class FirmwareService:
    """Firmware of single devices; an operator sees its own and nothing else exists for it."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        commands: CommandService,
        patience: Patience,
    ) -> None:
        self._database = database
        self._directory = directory
        self._commands = commands
        self._patience = patience

    async def upgrade_device(
        self,
        device_id: str,
        firmware_version: str,
        by: Actor,
        operator_id: str,
        now_ms: int,
        *,
        allow_downgrade: bool = False,
        wait_for_idle: bool = False,
        key: RequestKey | None = None,
    ) -> Issued:
        """Queue an upgrade of a device to a release.

        ``wait_for_idle`` leaves it to the charger to wait for the end of a session.

        Raises:
            NotFound: the device is absent or another operator's.
            CannotUpgrade: no release fits, it was withdrawn, is not newer than what the device
                runs, the device works on an upgrade, or a rollout has to do with it.
            SessionInTheWay: a session is active, and the charger is not left to wait.
            KeyReused, TooManyRequests: as for any command.
        """
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        releases = await self._database.read(store.list_releases)
        running = device.firmware_version

        def along(tx: Tx, command: Command) -> None:
            _check_free(tx, device)
            release = _choose(releases, device, firmware_version, allow_downgrade=allow_downgrade)
            store_upgrades.append_upgrade(tx, _to_upgrade(command, running, release, None))

        release = rules_cohort.find_release(releases, device.model, firmware_version)
        params = {} if release is None else params_of(release)
        return await self._commands.issue_command(
            FIRMWARE_UPGRADE,
            device_id,
            DEVICE_LEVEL,
            params,
            (by.name, operator_id),
            now_ms,
            Terms(key=key, by=by, along=along, patient=wait_for_idle),
        )

    async def read_device(self, device_id: str, operator_id: str) -> FirmwareView:
        """Return what a device runs and its upgrades.

        Raises:
            NotFound: the device is absent or another operator's.
        """
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        history = await self._database.read(
            store_upgrades.list_of_device, device.device_no, operator_id, _HISTORY
        )
        return FirmwareView(device, history)

    async def sweep(self, now_ms: int) -> None:
        """Complete the upgrades whose devices run the version, and give up those that never came.

        What has ended is watched no more. To be called every second.
        """
        closed = []
        watched = await self._database.read(store_upgrades.list_open)
        for number, progress in enumerate(watched, 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            upgrade = progress.upgrade
            device = self._directory.by_no(upgrade.device_no)
            running = None if device is None else device.firmware_version
            verdict = rules.judge_upgrade(progress, running, now_ms, self._patience)
            place = (upgrade.device_no, upgrade.command_id)
            if verdict is Verdict.CONCLUDE:
                operation = upgrades.conclude(*place, running or upgrade.to_version, now_ms)
                await self._commands.settle_upgrade(operation)
            elif verdict is Verdict.ABANDON:
                await self._commands.settle_upgrade(upgrades.abandon(*place, now_ms))
            elif verdict is Verdict.CLOSE:
                closed.append(upgrade.command_id)
        if closed:
            await self._database.write(_close, closed, now_ms)


def key_of(client_id: str, text: str, *content: Any) -> RequestKey | None:
    """Return the key under which a request may be repeated, None where the client gave no text."""
    return make_key(client_id, text, *content)


def params_of(release: Release) -> dict[str, Any]:
    """Return what a charger is told of a release (rule C15)."""
    return {
        "firmware_version": release.firmware_version,
        "url": release.url,
        "sha256": release.sha256,
        "size": release.size_bytes,
    }


def note_upgrade(tx: Tx, command: Command, running: str, release: Release, rollout_id: str) -> None:
    """Store that a command of a rollout upgrades its device, in the transaction that stores it."""
    store_upgrades.append_upgrade(tx, _to_upgrade(command, running, release, rollout_id))


def _to_upgrade(
    command: Command, running: str, release: Release, rollout_id: str | None
) -> Upgrade:
    return Upgrade(
        command.command_id,
        command.device_no,
        command.device_id,
        command.operator_id,
        running,
        release.firmware_version,
        release.platform_build,
        rollout_id,
        command.created_ms,
    )


def _check_free(tx: Tx, device: Device) -> None:
    """Refuse a device that works on an upgrade, or that a rollout has to do with."""
    command_id = store_upgrades.find_accepted(tx, device.device_no)
    if command_id is not None:
        message = "The device works on an upgrade"
        raise CannotUpgrade(message, "upgrade_under_way", command_id=command_id)
    rollout_id = store_rollouts.find_taker(tx, device.device_no)
    if rollout_id is not None:
        message = "The device is part of a rollout"
        raise CannotUpgrade(message, "in_rollout", rollout_id=rollout_id)


def _choose(
    releases: list[Release], device: Device, firmware_version: str, *, allow_downgrade: bool
) -> Release:
    candidate = Candidate(device.device_no, device.device_id, device.model, device.firmware_version)
    reason = rules_cohort.find_objection(
        candidate, releases, firmware_version, allow_downgrade=allow_downgrade
    )
    release = rules_cohort.find_release(releases, device.model, firmware_version)
    if release is None or reason is not None:
        reason = reason or Reason.NO_RELEASE
        raise CannotUpgrade(
            _WORDS[reason],
            reason.value,
            model=device.model,
            firmware_version=firmware_version,
            running=device.firmware_version,
        )
    return release


def _close(tx: Tx, command_ids: list[str], now_ms: int) -> None:
    for command_id in command_ids:
        store_upgrades.close_upgrade(tx, command_id, now_ms)

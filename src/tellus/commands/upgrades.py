"""Firmware upgrades at the desk: what a charger's firmware status does to its command (rule C14).

A status is matched to the upgrade command of its device with the version it names. Beside the
charger's word there are two of the platform's own: a charger that was found to run the version has
been upgraded, whoever tells; and one that accepted and never came back has failed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from tellus.commands import rules, store
from tellus.commands.desk import Change, Operation, find_moments, queue_of, take
from tellus.commands.model import (
    FIRMWARE_SIGNALS,
    FIRMWARE_SUCCESS,
    Command,
    Effect,
    FirmwareReport,
    Phase,
    Report,
    Signal,
)
from tellus.storage.database import Tx

_OPEN: Final = frozenset({Phase.QUEUED, Phase.ACCEPTED})
_LOOKED_AT: Final = 20

SetFirmware = Callable[[Tx, int, str, int], None]
Along = Callable[[Tx, Command], None]


def report_firmware(said: FirmwareReport, set_firmware: SetFirmware) -> Operation:
    """Store how far an upgrade has come and move its command on; answers with its id or None.

    ``set_firmware`` writes which version a device runs after a success. Saying the last thing again
    changes nothing.
    """
    return _of_device(said.device_no, partial(_report_firmware, said, set_firmware))


def conclude(device_no: int, command_id: str, firmware_version: str, now_ms: int) -> Operation:
    """Complete an open upgrade because the device runs the version; answers whether it was open."""
    work = partial(_conclude, device_no, command_id, firmware_version, now_ms)
    return _of_device(device_no, work)


def abandon(device_no: int, command_id: str, now_ms: int) -> Operation:
    """Give up an accepted upgrade whose charger did not come back; answers whether it was one."""
    return _of_device(device_no, partial(_abandon, device_no, command_id, now_ms))


def withdraw(device_no: int, command_id: str, now_ms: int, along: Along) -> Operation:
    """Give up a command that never left; answers whether it was one.

    ``along`` gets the transaction and the command then, to store what else follows.
    """
    return _of_device(device_no, partial(_withdraw, device_no, command_id, now_ms, along))


def _of_device(device_no: int, work: Callable[[Tx], Change]) -> Operation:
    return Operation((queue_of(device_no),), work)


def target_of(command: Command) -> str:
    """Return the version that an upgrade command is for."""
    return str(msgspec.json.decode(command.params)["firmware_version"])


def _report_firmware(said: FirmwareReport, set_firmware: SetFirmware, tx: Tx) -> Change:
    device_no = said.device_no
    last = store.find_newest_firmware_report(tx, device_no)
    if last is not None and last[:-1] == said[:-1]:
        return Change(None, device_no, find_moments(tx, device_no))
    store.append_firmware_report(tx, said)
    command = _find_upgrade(tx, device_no, said.firmware_version)
    if command is not None:
        _tell(tx, command, _to_report(command.command_id, said))
    runs = None
    if said.status == FIRMWARE_SUCCESS:
        set_firmware(tx, device_no, said.firmware_version, said.received_ms)
        runs = said.firmware_version
    answer = None if command is None else command.command_id
    return Change(answer, device_no, find_moments(tx, device_no), runs)


def _find_upgrade(tx: Tx, device_no: int, firmware_version: str) -> Command | None:
    delivered = store.list_delivered_upgrades(tx, device_no, _LOOKED_AT)
    return next((one for one in delivered if target_of(one) == firmware_version), None)


def _to_report(command_id: str, said: FirmwareReport) -> Report:
    """Return a firmware status as a report of its command, at the time it came."""
    details: dict[str, Any] = {
        "firmware_version": said.firmware_version,
        "firmware_status": said.status,
    }
    if said.progress_pct is not None:
        details["progress"] = said.progress_pct
    return Report(
        command_id,
        FIRMWARE_SIGNALS[said.status],
        said.received_ms,
        said.received_ms,
        Effect.APPLIED,
        said.message,
        details,
    )


def _tell(tx: Tx, command: Command, report: Report) -> None:
    """Move a command on, and keep with it what said something new."""
    effect = take(tx, command, report)
    known = {(one.status, one.time_ms) for one in store.list_reports(tx, command.command_id)}
    if effect is not Effect.REPEAT and (report.status, report.time_ms) not in known:
        store.append_report(tx, report._replace(effect=effect))


def _conclude(
    device_no: int, command_id: str, firmware_version: str, now_ms: int, tx: Tx
) -> Change:
    command = store.find_command(tx, command_id)
    if command is None or rules.settle(command, now_ms).phase not in _OPEN:
        return Change(False, device_no, find_moments(tx, device_no))
    details = {"firmware_version": firmware_version}
    known = Report(command_id, Signal.COMPLETED, now_ms, now_ms, Effect.APPLIED, None, details)
    take(tx, command, known)
    return Change(True, device_no, find_moments(tx, device_no))


def _abandon(device_no: int, command_id: str, now_ms: int, tx: Tx) -> Change:
    command = store.find_command(tx, command_id)
    given_up = command is not None and rules.is_abandonable(command)
    if command is not None and given_up:
        store.update_command(tx, rules.lapse(command, Signal.NO_RESPONSE, now_ms))
    return Change(given_up, device_no, find_moments(tx, device_no))


def _withdraw(device_no: int, command_id: str, now_ms: int, along: Along, tx: Tx) -> Change:
    command = store.find_command(tx, command_id)
    current = None if command is None else rules.settle(command, now_ms)
    here = current is not None and current.phase is Phase.QUEUED and not current.deliveries
    if current is not None and here:
        along(tx, current)
        store.update_command(tx, rules.lapse(current, Signal.CANCELLED, now_ms))
    return Change(here, device_no, find_moments(tx, device_no))

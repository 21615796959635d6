"""What becomes of commands when the owner of a charger withdraws consent: none goes out."""

from tellus.commands import rules, store
from tellus.commands.desk import queue_of
from tellus.commands.model import Phase
from tellus.consent.service import Withdrawn
from tellus.storage.database import Tx

_AT_ONCE = 200


def cancel_commands(tx: Tx, withdrawn: Withdrawn) -> None:
    """Cancel what waits and is not agreed to any more, in the transaction of the withdrawal."""
    device_nos = sorted(withdrawn.services)
    for start in range(0, len(device_nos), _AT_ONCE):
        part = device_nos[start : start + _AT_ONCE]
        waiting = {command.device_no for command in store.list_queued_of(tx, part)}
        if not waiting:
            continue
        tx.lock(*(queue_of(device_no) for device_no in sorted(waiting)))
        for command in store.list_queued_of(tx, sorted(waiting)):
            settled = rules.settle(command, withdrawn.now_ms)
            if settled.phase is Phase.QUEUED:
                services = withdrawn.services[command.device_no]
                if settled.is_admitted_by(services):
                    continue
                settled = rules.withdraw(settled, withdrawn.now_ms)
            store.update_command(tx, settled)

"""``tellus trigger``: tell a running simulated fleet what happens to its chargers."""

from pathlib import Path
from typing import Any, Final

import click

from tellus.cli.client import CommandFailed, ExitCode
from tellus.cli.output import json_option, print_json, show_list
from tellus.simulator.control import ControlRefused, ControlRequest, ask_fleet
from tellus.simulator.triggers import TRIGGERS

_SANDBOX_SOCKET: Final = Path("var/sandbox/fleet.sock")
_CAUSES: Final = {"fault": "inject", "clear": "cure"}
_COLUMNS: Final = ("sn", "model", "firmware_version", "online", "connector_id", "stage", "power_kw")


@click.command()
@click.option(
    "--control",
    default=_SANDBOX_SOCKET,
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The socket of the fleet, as given to simulate --control.",
)
@json_option
@click.argument("action", type=click.Choice(["list", *TRIGGERS, "clear"]))
@click.argument("sn", required=False)
@click.argument("connector", default=1, type=click.IntRange(1))
@click.option("--device", help="Serial number or device id; then the fault is named in SN's place.")
@click.option("--connector", "at", type=click.IntRange(1), help="The connector, with --device.")
@click.option("--variant", help="How it comes about, such as fan or vents (fault).")
@click.option("--strength", type=float, help="How strong, in the fault's own unit (fault).")
@click.option(
    "--value",
    help="State of charge in % (plug-in), seconds (offline, slow), fault code (fault), version "
    "(fail-firmware).",
)
def trigger(  # noqa: PLR0913 - one for each option
    *,
    control: Path,
    as_json: bool,
    action: str,
    sn: str | None,
    connector: int,
    value: str | None,
    device: str | None,
    at: int | None,
    variant: str | None,
    strength: float | None,
) -> None:
    """Tell a running fleet what happens to the charger SN, or to all, at CONNECTOR if it matters.

    plug-in, plug-out, start and stop are what a driver does. offline (for good, or for --value
    seconds), online, reboot, power-cut, fault and clear-fault are what happens to the charger.
    reject, slow, lose-command and power-cut-next spoil its next command, lose-report and
    duplicate-report what it next says of one, fail-firmware an upgrade to the version --value.
    list shows the chargers.

    fault F-0421 --device SN brings about the cause of a fault of the dictionary: what it shows, it
    shows at its occasion, such as the next session. clear F-0421 --device SN puts it right.
    """
    if device is not None:
        if action not in _CAUSES or sn is None:
            raise click.UsageError("--device goes with fault CODE and clear CODE")
        request = ControlRequest(_CAUSES[action], device, at or 1, sn, variant, strength)
    elif action == "clear":
        raise click.UsageError("clear needs a fault code and --device")
    elif action != "list" and sn is None:
        raise click.UsageError(f"{action} needs the serial number of a charger")
    else:
        request = ControlRequest(action, sn or "", connector, value)
    _show(control, request, as_json=as_json)


def _show(control: Path, request: ControlRequest, *, as_json: bool) -> None:
    try:
        answer = ask_fleet(control, request)
    except ControlRefused as refusal:
        raise CommandFailed(str(refusal), ExitCode.CHARGER_REFUSED) from refusal
    except OSError as error:
        message = f"No fleet listens on {control} ({error.strerror or error})"
        raise CommandFailed(message, ExitCode.NOT_FOUND) from error
    if as_json:
        print_json(answer)
        return
    show_list(_rows(answer if isinstance(answer, list) else [answer]), _COLUMNS, as_json=False)


def _rows(chargers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**charger, **connector} for charger in chargers for connector in charger["connectors"]]

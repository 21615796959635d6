"""``tellus simulate``: a fleet of simulated chargers against any base URL."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click

from tellus.simulator.control import ControlRefused
from tellus.simulator.fleet import FleetConfig, run_fleet
from tellus.simulator.report import FleetReport

_EXIT_FAILED = 1
_EXIT_INTERRUPTED = 130
_SHOWN = ("heartbeat", "telemetry", "event", "charging_record", "command_status")
_LEDGER_HELP = "Write each acknowledged sample, event and record to this file, as JSON lines."


@dataclass
class _Stopper:
    """Turns Ctrl-C and SIGTERM into an orderly end, and remembers which it was."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    is_interrupted: bool = False

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)

    def _interrupt(self) -> None:
        self.is_interrupted = True
        self.stop.set()


def _show_progress(report: FleetReport) -> None:
    counts = "  ".join(f"{name} {report.kinds[name].acknowledged}" for name in _SHOWN)
    trouble = sum(tally.failed for tally in report.kinds.values())
    retried = sum(tally.retried for tally in report.kinds.values())
    line = (
        f"{report.wall_s:7.1f} s  online {report.chargers_online}/{report.chargers}  {counts}"
        f"  retried {retried}  failed {trouble}"
    )
    click.echo(line, err=True)


def _show_summary(report: FleetReport) -> None:
    click.echo(f"{'':18}{'sent':>10}{'acknowledged':>14}{'retried':>9}{'failed':>8}{'unsent':>8}")
    for name, tally in report.kinds.items():
        click.echo(
            f"{name:18}{tally.sent:>10}{tally.acknowledged:>14}{tally.retried:>9}"
            f"{tally.failed:>8}{tally.unsent:>8}"
        )
    click.echo(
        f"{report.sessions} sessions, {report.energy_kwh:.4f} kWh, {report.wall_s:.1f} s, "
        f"processor {report.cpu_s:.1f} s"
    )


async def _run(config: FleetConfig, *, quiet: bool) -> tuple[FleetReport, bool]:
    stopper = _Stopper()
    stopper.listen()
    report = await run_fleet(config, stopper.stop, None if quiet else _show_progress)
    return report, stopper.is_interrupted


def _run_in_loop(config: FleetConfig, *, quiet: bool) -> tuple[FleetReport, bool]:
    try:
        import uvloop
    except ImportError:  # not on every platform; the standard loop does the same, slower
        return asyncio.run(_run(config, quiet=quiet))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(config, quiet=quiet))


@click.command()
@click.option("--base-url", required=True, help="Where the platform answers, without /v1.")
@click.option("--chargers", default=24, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--seed", default=42, show_default=True, type=int, help="Same seed, same fleet.")
@click.option(
    "--duration",
    type=click.FloatRange(min=0.0, min_open=True),
    help="Seconds to run; until Ctrl-C without it.",
)
@click.option("--time-scale", default=1.0, show_default=True, type=click.FloatRange(1.0, 3600.0))
@click.option("--scenario", default="sandbox", show_default=True, help="Who arrives, and when.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--ledger", type=click.Path(dir_okay=False, path_type=Path), help=_LEDGER_HELP)
@click.option(
    "--state-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the chargers' credentials here, so that a later run is the same fleet.",
)
@click.option("--enrolment-token", envvar="TELLUS_ENROLMENT_TOKEN", help="Bearer to register with.")
@click.option("--timezone", default="UTC", show_default=True, help="Local time of the arrivals.")
@click.option("--no-poll", is_flag=True, help="No long-polls; commands come with heartbeats.")
@click.option("--batch-replay", is_flag=True, help="Send backlogs to the batch endpoints.")
@click.option(
    "--control",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Listen on this unix socket for tellus trigger.",
)
@click.option("--quiet", is_flag=True, help="No progress on the standard error stream.")
def simulate(  # noqa: PLR0913 - one parameter per option of the command line
    *, base_url: str, chargers: int, seed: int, duration: float | None, time_scale: float,
    scenario: str, as_json: bool, ledger: Path | None, state_file: Path | None,
    enrolment_token: str | None, timezone: str, no_poll: bool, batch_replay: bool,
    control: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Run simulated chargers against a platform, through its public device API only.

    Progress goes to the standard error stream, the report to the standard output. Exit code 0
    if everything was acknowledged, 1 if something failed or stayed unsent, 130 after Ctrl-C.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    config = FleetConfig(
        base_url=base_url,
        chargers=chargers,
        seed=seed,
        duration_s=duration,
        time_scale=time_scale,
        scenario=scenario,
        state_file=state_file,
        ledger_file=ledger,
        enrolment_token=enrolment_token,
        timezone=timezone,
        poll=not no_poll,
        batch_replay=batch_replay,
        control_path=control,
    )
    try:
        config.check()
    except (KeyError, ValueError) as error:
        raise click.UsageError(str(error.args[0])) from error
    try:
        report, is_interrupted = _run_in_loop(config, quiet=quiet)
    except ControlRefused as refusal:
        raise click.ClickException(f"--control: {refusal}") from refusal
    if as_json:
        click.echo(report.to_json())
    else:
        _show_summary(report)
    if is_interrupted:
        sys.exit(_EXIT_INTERRUPTED)
    sys.exit(0 if report.is_clean else _EXIT_FAILED)

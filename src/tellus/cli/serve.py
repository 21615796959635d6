"""``tellus serve``: run the platform in this process."""

import asyncio
import contextlib
import gc
import ipaddress
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvloop

from tellus.app import Platform
from tellus.audit.model import PLATFORM
from tellus.cli.notify import tell_starter
from tellus.cli.workers import reserve_port, run_workers
from tellus.config import ConfigurationError, Settings, load_configuration
from tellus.fleet.sites import RegionMismatch
from tellus.identity.keys import KeyFileRefused
from tellus.identity.model import AdminScope, IssuedAccountSecret
from tellus.kernel.errors import Conflict
from tellus.logs import LogRecorder, configure_logs, log_event
from tellus.opening import open_keys
from tellus.storage.refusals import StorageRefused
from tellus.surfaces.application import Application
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.server import GuardServer, ServerStartError, TlsFiles, build_server

ADMIN_FILE = "admin.json"
_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_COLLECT_AFTER = (10_000, 20, 50)


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file (TOML).")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where everything is stored.")
@click.option("--database-url", help="PostgreSQL to use in place of a file (postgresql://...).")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.")
@click.option("--registration", type=click.Choice(["open", "allowlist"]), help="Who may register.")
@click.option("--limit-scale", type=float, help="Multiplies every rate limit.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least level that is logged.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes to serve with (PostgreSQL).")
@click.option("--shares-port", is_flag=True, default=None, hidden=True)
@click.option("--sandbox", is_flag=True, default=None, help="Mark the instance as a sandbox.")
def serve(config: Path | None, workers: int | None, **options: Any) -> None:
    """Run the platform until it is told to stop (Ctrl-C, SIGTERM)."""
    flags = {_SETTING[name]: value for name, value in options.items()}
    try:
        settings = load_configuration(flags, file=config).settings
        check_exposure(settings)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    configure_logs(settings.log)
    if workers is None:
        sys.exit(run(settings))
    sys.exit(_run_workers(settings, workers, config, options))


def _run_workers(
    settings: Settings, workers: int, config: Path | None, options: dict[str, Any]
) -> int:
    """Serve with several processes over one database and one port; return the exit code."""
    if settings.database.url is None:
        raise click.UsageError("--workers needs a database that they can share: --database-url")
    _make_folder(settings)
    try:
        open_keys(settings)
        kept = reserve_port(settings.server.host, settings.server.port)
    except (KeyFileRefused, OSError) as error:
        click.echo(f"tellus: {error}", err=True)
        return 1
    given = options | {"config": config, "port": kept.getsockname()[1], "shares_port": True}
    return run_workers(workers, ["serve", *_as_flags(given)], kept)


def _as_flags(options: dict[str, Any]) -> list[str]:
    """Return ``options`` as they are written on the command line."""
    flags = []
    for name, value in options.items():
        if value is True:
            flags.append(f"--{name.replace('_', '-')}")
        elif value is not None:
            flags.append(f"--{name.replace('_', '-')}={value}")
    return flags


_SETTING = {
    "data_dir": "data_dir",
    "database_url": "database.url",
    "host": "server.host",
    "port": "server.port",
    "shares_port": "server.shares_port",
    "registration": "registration.mode",
    "limit_scale": "limits.scale",
    "log_level": "log.level",
    "sandbox": "instance.sandbox",
}


def check_exposure(settings: Settings) -> None:
    """Refuse what would be reachable from outside without protection.

    Raises:
        ConfigurationError: plain HTTP or open registration beyond loopback without its switch.
    """
    server = settings.server
    if _is_loopback(server.host):
        return
    if server.tls_certificate is None and not server.allow_plain_http:
        raise ConfigurationError(
            f"{server.host} is reachable from outside: set server.tls_certificate and"
            " server.tls_key, or server.allow_plain_http=true behind a proxy that ends TLS"
        )
    registration = settings.registration
    if registration.mode == "open" and not registration.allow_open_beyond_loopback:
        raise ConfigurationError(
            f"{server.host} is reachable from outside: open registration needs"
            " registration.allow_open_beyond_loopback=true"
        )


def run(settings: Settings) -> int:
    """Serve until told to stop; return the exit code."""
    _make_folder(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings))
    except (StorageRefused, KeyFileRefused, RegionMismatch, ServerStartError, OSError) as error:
        click.echo(f"tellus: {error}", err=True)
        return 1


def _make_folder(settings: Settings) -> None:
    settings.data_dir.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)


async def _serve(settings: Settings) -> int:
    drain = DrainState()
    recorder = LogRecorder()
    platform = Platform(settings, recorder, drain=drain)
    server = build_server(
        Application(platform),
        host=settings.server.host,
        port=settings.server.port,
        limits=_limits(settings),
        drain=drain,
        tls=_tls(settings),
        clerk=platform.hot,
        log=log_event,
    )
    server.shares_port = settings.server.shares_port
    platform.guard = server.guard
    helpers = [
        asyncio.create_task(_welcome(platform, server, settings)),
        asyncio.create_task(_stop_on_failure(platform, server)),
        asyncio.create_task(recorder.run()),
    ]
    try:
        await server.serve()
    except ServerStartError:
        if platform.start_failure is not None:
            raise platform.start_failure from None
        raise
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
    return 1 if platform.database.failed.is_set() else 0


async def _welcome(platform: Platform, server: GuardServer, settings: Settings) -> None:
    """Write the administrator's file once the server answers, and say where it is."""
    while not server.ready.is_set():  # noqa: ASYNC110 - a flag for other threads too
        await asyncio.sleep(0.01)
    calm_collector()
    tell_starter("READY=1")
    base_url = _base_url(settings, server.bound_port)
    platform.nodes.listen_at(base_url)
    path = settings.data_dir / ADMIN_FILE
    if not await _make_first_account(platform, path, base_url):
        restore_admin_file(path)
        _refresh_admin_file(path, base_url)
    click.echo(f"Tellus answers at {base_url} (reference: {base_url}/docs)", err=True)


async def _make_first_account(platform: Platform, path: Path, base_url: str) -> bool:
    """Create the first service account and write its file; False where there is one already."""
    if platform.identity.has_service_accounts():
        return False
    try:
        await platform.identity.create_service_account(
            "first administrator",
            frozenset(AdminScope),
            PLATFORM,
            keep=partial(_keep_account, path, base_url),
        )
    except Conflict:
        return False  # another node was faster
    _unfinished(path).replace(path)
    click.echo(f"Wrote the first service account to {path}.", err=True)
    click.echo(f"Try: tellus status --data-dir {path.parent}", err=True)
    return True


def calm_collector() -> None:
    """Let the garbage collector leave alone what was loaded, and look at the rest less often.

    With its defaults it takes an eighth of the processor under load, and each look at the whole
    fleet stops everything for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def write_admin_file(path: Path, account_id: str, secret: str, base_url: str) -> None:
    """Write the service account for the CLI, readable by its owner alone, whole or not at all."""
    _write_unfinished(path, account_id, secret, base_url)
    _unfinished(path).replace(path)


def restore_admin_file(path: Path) -> None:
    """Finish what an earlier start could not: it ended after the account was committed.

    What lies beside a file that is there is a leftover of no worth.
    """
    if not path.exists():
        with contextlib.suppress(FileNotFoundError):
            _unfinished(path).replace(path)


def _keep_account(path: Path, base_url: str, issued: IssuedAccountSecret) -> None:
    """Put the first account on disk, under another name until it is committed and can be used."""
    _write_unfinished(path, issued.account.service_account_id, issued.text, base_url)


def _unfinished(path: Path) -> Path:
    return path.with_suffix(".new")


def _write_unfinished(path: Path, account_id: str, secret: str, base_url: str) -> None:
    content = {
        "service_account_id": account_id,
        "service_account_secret": secret,
        "base_url": base_url,
    }
    unfinished = _unfinished(path)
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refresh_admin_file(path: Path, base_url: str) -> None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        held = json.loads(path.read_text())
        if held["base_url"] != base_url:
            account_id, secret = held["service_account_id"], held["service_account_secret"]
            write_admin_file(path, account_id, secret, base_url)


async def _stop_on_failure(platform: Platform, server: GuardServer) -> None:
    """Stop serving when the disk can no longer be trusted."""
    await platform.database.failed.wait()
    log_event("storage_failed", {"reason": platform.database.failure})
    server.request_stop()


def _limits(settings: Settings) -> GuardLimits:
    server = settings.server
    return GuardLimits(
        head_timeout_s=server.head_timeout_s,
        body_timeout_s=server.body_timeout_s,
        keep_alive_s=server.keep_alive_s,
        connections_per_address=server.connections_per_address,
        connections_per_device=server.connections_per_device,
        trusted_proxies=server.trusted_proxies,
    )


def _tls(settings: Settings) -> TlsFiles | None:
    server = settings.server
    if server.tls_certificate is None or server.tls_key is None:
        return None
    password = server.tls_key_password
    return TlsFiles(
        server.tls_certificate,
        server.tls_key,
        password.get_secret_value() if password is not None else None,
    )


def _base_url(settings: Settings, port: int) -> str:
    scheme = "https" if settings.server.tls_certificate is not None else "http"
    host = settings.server.host
    shown = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"{scheme}://{shown}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

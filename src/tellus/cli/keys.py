"""``tellus keys``: the key file of an instance, and the keys that tokens are signed with."""

from pathlib import Path

import click

from tellus.cli.client import ApiClient, CommandFailed, ExitCode, data_dir_option
from tellus.cli.output import hint, json_option, show_item, show_list

_PATH = "/v1/admin/signing-keys"


@click.group()
def keys() -> None:
    """Create a key file; list and rotate the keys that tokens are signed with."""


@keys.command("create")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def create_keys(file: Path, *, as_json: bool) -> None:
    """Write fresh keys to FILE, for TELLUS_KEYS_FILE; a file that is there stays as it is."""
    from tellus.identity.keys import create_key_file

    try:
        create_key_file(file)
    except FileExistsError:
        raise CommandFailed(f"{file} exists already", ExitCode.CONFLICT) from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}") from None
    show_item({"file": str(file)}, as_json=as_json)
    hint("Without this file nobody can use the database: keep a copy apart from its backups.")


@keys.command("list")
@data_dir_option
@json_option
def list_signing_keys(data_dir: Path | None, *, as_json: bool) -> None:
    """List the keys that tokens are signed with, newest first."""
    with ApiClient.find(data_dir) as api:
        columns = ("kid", "created_at", "signs", "retires_at")
        show_list(api.items(_PATH), columns, as_json=as_json)


@keys.command("rotate")
@click.option("--revoke-tokens", is_flag=True, help="End all tokens that live now.")
@data_dir_option
@json_option
def rotate_signing_key(data_dir: Path | None, *, revoke_tokens: bool, as_json: bool) -> None:
    """Sign tokens with a fresh key from now on."""
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, {"revoke_tokens": revoke_tokens}), as_json=as_json)

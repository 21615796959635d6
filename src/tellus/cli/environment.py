"""The file ``.env.tellus``: where a sandbox answers, and who may ask it what."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ENV_FILE: Final = ".env.tellus"
BASE_URL: Final = "TELLUS_BASE_URL"
CLIENT: Final = ("TELLUS_CLIENT_ID", "TELLUS_CLIENT_SECRET")
OPERATOR_ID: Final = "TELLUS_OPERATOR_ID"
ADMIN: Final = ("TELLUS_ADMIN_ID", "TELLUS_ADMIN_SECRET")
DEVICE_ID: Final = "TELLUS_DEVICE_ID"
PEER: Final = ("TELLUS_PEER_ID", "TELLUS_PEER_SECRET")

_VARIABLES: Final = (BASE_URL, *CLIENT, OPERATOR_ID, *ADMIN)
_PRIVATE_FILE: Final = 0o600


def find_variables(
    wanted: tuple[str, ...],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[str, ...] | None:
    """Return the values of ``wanted``, all from the environment or all from ``.env.tellus``.

    Never mixed: a secret must not travel to an address that stands elsewhere. The file is read only
    where the environment says nothing at all; None where neither says everything.
    """
    variables = os.environ if environment is None else environment
    if not any(variables.get(name) for name in _VARIABLES):
        variables = read_env_file((folder or Path()) / ENV_FILE)
    values = tuple(variables.get(name, "") for name in wanted)
    return values if all(values) else None


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of a file of ``NAME=value`` lines; none where it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def write_env_file(path: Path, variables: Mapping[str, str], remark: str) -> None:
    """Write the variables for their owner's eyes alone, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"# {remark}\n")
        file.writelines(f"{name}={value}\n" for name, value in variables.items())
    unfinished.replace(path)

"""The key file."""

import base64
import json
import stat
from pathlib import Path

import pytest

from tellus.identity.keys import KeyFileRefused, KeyRing, create_key_file, load_key_file


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file with this text and mode."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def key_text(pepper: bytes = bytes(range(32)), instance_key: bytes = bytes(range(32, 64))) -> str:
    """The text of a key file."""

    def text(key: bytes) -> str:
        return base64.b64encode(key).decode()

    return json.dumps({"version": 1, "pepper": text(pepper), "instance_key": text(instance_key)})


def test_create_key_file__no_file_yet__is_private_and_loads_to_the_same_keys(
    tmp_path: Path,
) -> None:
    """A fresh key file is readable by its owner alone and gives the same keys back."""
    path = tmp_path / "keys.json"
    made = create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key_file(path).open(made.seal(b"content", "here"), "here") == b"content"
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_create_key_file__file_exists__leaves_it_alone(tmp_path: Path) -> None:
    """Keys that exist are never overwritten."""
    path = write(tmp_path / "keys.json", "precious")
    with pytest.raises(FileExistsError):
        create_key_file(path)
    assert path.read_text(encoding="utf-8") == "precious"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_load_key_file__open_to_others__is_refused(tmp_path: Path, mode: int) -> None:
    """A key file that group or world may read is refused."""
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        load_key_file(write(tmp_path / "keys.json", key_text(), mode))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "not json",
        json.dumps({"version": 1, "pepper": "AAAA", "instance_key": "!"}),
        key_text(pepper=bytes(31)),
        key_text(pepper=bytes(32)),
        key_text(pepper=bytes(range(32)), instance_key=bytes(range(32))),
        key_text().replace('"version": 1', '"version": 2'),
        key_text().replace('"pepper"', '"other": 1, "pepper"'),
    ],
)
def test_load_key_file__malformed_or_weak__is_refused(tmp_path: Path, text: str) -> None:
    """What does not hold two distinct random keys of 32 bytes is refused."""
    with pytest.raises(KeyFileRefused):
        load_key_file(write(tmp_path / "keys.json", text))


def test_load_key_file__missing__is_refused(tmp_path: Path) -> None:
    """A key file that is not there is refused by the same error."""
    with pytest.raises(KeyFileRefused, match="cannot be read"):
        load_key_file(tmp_path / "keys.json")


def test_load_key_file__sound__is_accepted(tmp_path: Path) -> None:
    """A sound file, as the refused ones are made from, loads."""
    assert isinstance(load_key_file(write(tmp_path / "keys.json", key_text())), KeyRing)


def test_open__other_context_or_key__is_refused() -> None:
    """What was sealed opens under its own key and in its own context only."""
    ring = KeyRing(bytes(range(32)), bytes(range(32, 64)))
    other = KeyRing(bytes(range(32)), bytes(range(64, 96)))
    sealed = ring.seal(b"content", "here")
    assert ring.open(sealed, "here") == b"content"
    for opener, context in ((ring, "there"), (other, "here")):
        with pytest.raises(KeyFileRefused):
            opener.open(sealed, context)


def test_verifier__one_secret_for_two_principals__differs() -> None:
    """The keyed hash of a secret is good for one principal of one kind, under one pepper."""
    ring = KeyRing(bytes(range(32)), bytes(range(32, 64)))
    peppered = KeyRing(bytes(range(1, 33)), bytes(range(32, 64)))
    verifiers = {
        ring.verifier("device", "dvc_1", "secret"),
        ring.verifier("device", "dvc_2", "secret"),
        ring.verifier("client", "dvc_1", "secret"),
        peppered.verifier("device", "dvc_1", "secret"),
    }
    assert len(verifiers) == 4
    assert ring.verifier("device", "dvc_1", "secret") in verifiers

"""The canary scanner: it finds every planted leak, in every disguise, and nothing else."""

import base64
import gzip
import json
import random
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.contract.canaries import Canary, canary_vin, check_digit, flock, scan_bytes, scan_text
from tests.contract.canary_files import scan_paths

_FLOCK = flock(seed=11)


def test_flock__same_seed__gives_the_same_canaries() -> None:
    """Canaries are repeatable, distinct, and of all three kinds."""
    assert flock(11) == _FLOCK
    assert flock(12) != _FLOCK
    assert len({canary.value for canary in _FLOCK}) == 9
    assert {canary.kind for canary in _FLOCK} == {"vin", "secret", "token"}


def test_check_digit__known_vins__is_right() -> None:
    """The check digit is that of well-known examples of the rule."""
    assert check_digit("11111111111111111") == "1"
    assert check_digit("1M8GDM9A_KP042788".replace("_", "0")) == "X"


def test_canary_vin__any__has_the_shape_of_a_vin() -> None:
    """Seventeen characters without I, O and Q, and the right check digit."""
    rng = random.Random(3)
    for _ in range(200):
        vin = canary_vin(rng).value
        assert len(vin) == 17
        assert not set(vin) & set("IOQ")
        assert vin[8] == check_digit(vin)


_DISGUISES: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "lower": lambda v: v.lower().encode(),
    "upper": lambda v: v.upper().encode(),
    "hex": lambda v: v.encode().hex().encode(),
    "HEX": lambda v: v.encode().hex().upper().encode(),
    "base64": lambda v: base64.b64encode(v.encode()),
    "base64 in a text": lambda v: base64.b64encode(b'{"v":"' + v.encode() + b'"}'),
    "base64 in another": lambda v: base64.b64encode(b"client:" + v.encode() + b"!"),
    "base64 in a third": lambda v: base64.b64encode(b"ab" + v.encode() + b"c"),
    "url-safe base64": lambda v: base64.urlsafe_b64encode(b"\xff\xfe" + v.encode()),
    "percent": lambda v: "".join(f"%{ord(c):02X}" for c in v).encode(),
    "quoted": lambda v: quote(v, safe="").encode(),
    "JSON": lambda v: json.dumps({"deep": [{"vin": v}]}).encode(),
    "JSON escapes": lambda v: "".join(f"\\u{ord(c):04x}" for c in v).encode(),
    "UTF-16": lambda v: v.encode("utf-16"),
    "reversed": lambda v: v[::-1].encode(),
}


@pytest.mark.parametrize("disguise", _DISGUISES.values(), ids=_DISGUISES.keys())
@pytest.mark.parametrize("canary", _FLOCK[::3], ids=lambda canary: canary.kind)
def test_scan_bytes__planted_leak__is_found_in_any_disguise(
    canary: Canary, disguise: Callable[[str], bytes]
) -> None:
    """Negative control: a leak is found whatever form it was given, and named rightly."""
    hits = scan_bytes(b"before " + disguise(canary.value) + b" after", _FLOCK, "here")
    assert {hit.canary for hit in hits} == {canary}
    assert all("here" in str(hit) and canary.value not in str(hit) for hit in hits)


@pytest.mark.parametrize("kind", ["secret", "token"])
def test_scan_bytes__piece_of_a_secret__is_found(kind: str) -> None:
    """A secret that was cut in a log line is a leak as well."""
    canary = next(canary for canary in _FLOCK if canary.kind == kind)
    half = len(canary.value) // 2
    assert scan_bytes(canary.value[half:].encode(), _FLOCK, "end")
    assert scan_bytes(canary.value[half - 5 : half + 26].encode(), _FLOCK, "middle")


def test_scan_text__clean_text__has_no_hits() -> None:
    """What holds other VINs, secrets and tokens is not blamed."""
    others = "\n".join(canary.value for canary in flock(seed=99, each=50))
    assert scan_text(f'tellus_requests_total{{path="/v1"}} 7\n{others}', _FLOCK, "metrics") == []


def test_scan_paths__files_of_all_kinds__are_searched(tmp_path: Path) -> None:
    """Logs, rotated logs and nested files are read; clean ones have no hits."""
    vin, secret, token = (_FLOCK[index].value for index in (0, 3, 6))
    (tmp_path / "clean.log").write_text("nothing\n", "utf-8")
    (tmp_path / "server.log").write_text(f'{{"msg": "{vin}"}}\n', "utf-8")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "old.log.gz").write_bytes(gzip.compress(secret.encode()))
    (tmp_path / "packed").write_bytes(zlib.compress(token.encode()))
    hits = scan_paths([tmp_path, tmp_path / "absent"], _FLOCK)
    assert {Path(hit.where.split(" ")[0]).name for hit in hits} == {
        "server.log",
        "old.log.gz",
        "packed",
    }
    assert {hit.canary.value for hit in hits} == {vin, secret, token}


def test_scan_paths__database_in_use__is_searched_cell_by_cell(tmp_path: Path) -> None:
    """A value in a table is found in its cell, packed or not, and in the log beside the file."""
    vin, secret, token = (_FLOCK[index].value for index in (0, 3, 6))
    with closing(sqlite3.connect(tmp_path / "tellus.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (a TEXT, b BLOB)")
        database.execute("INSERT INTO t VALUES (?, ?)", ("x" * 4_070 + vin, b""))
        packed = zlib.compress(b"pad" * 500 + secret.encode())
        database.execute("INSERT INTO t VALUES (?, ?)", ("", packed))
        database.execute("INSERT INTO t VALUES (?, ?)", (token, b""))
        database.commit()
        hits = scan_paths([tmp_path], _FLOCK)
    cells = {hit.canary.value for hit in hits if "table t" in hit.where}
    assert cells == {vin, secret, token}
    assert any(hit.where.endswith("-wal") for hit in hits)


def test_scan_paths__hashed_secret__has_no_hits(tmp_path: Path) -> None:
    """A value that is only stored as a digest or encrypted is not found."""
    rng = random.Random(5)
    mask = rng.randbytes(200)
    for canary in _FLOCK:
        veiled = bytes(a ^ b for a, b in zip(canary.value.encode(), mask, strict=False))
        (tmp_path / f"{canary.kind}-{canary.value[:4]}").write_bytes(veiled)
    assert scan_paths([tmp_path], _FLOCK) == []

"""The page on signing: its test vectors are right, and its steps work as printed."""

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tellus.identity.signing import SignatureRefused, SignedRequest, check_signature
from tests.docs.markdown import REPOSITORY, read_blocks
from tests.docs.pasting import paste_into_shell

PAGE = REPOSITORY / "docs" / "how-to" / "sign-requests.md"
_BLOCK_BYTES = 64
_ROW = re.compile(
    r"^\| `(?P<method>[A-Z]+)` \| `(?P<target>[^`]+)` \| `(?P<time>[^`]+)`"
    r" \| (?:`(?P<body>[^`]+)`|–) \| `(?P<signature>[^`]+)` \|$",
    re.MULTILINE,
)


class Vector(NamedTuple):
    """One row of the table; the body is empty where the row has a dash."""

    method: str
    target: str
    time: str
    body: str
    signature: str


def read_vectors() -> list[Vector]:
    """The rows of the page's table."""
    return [Vector(*(part or "" for part in row.groups())) for row in _ROW.finditer(page())]


def page() -> str:
    """The page's text."""
    return PAGE.read_text("utf-8")


def secret() -> bytes:
    """The secret that the page gives."""
    found = re.search(r"The secret of all of them is `([^`]+)`", page())
    assert found is not None
    return found[1].encode()


def hmac_sha256(key: bytes, message: bytes) -> str:
    """HMAC as RFC 2104 writes it down, from nothing but the hash."""
    key = hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).hexdigest()


def test_hmac_of_this_test__case_of_rfc_4231__is_right() -> None:
    """The computation that judges the vectors is itself judged by a published one."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?") == expected


def test_vectors__computed_independently__are_as_printed() -> None:
    """Every signature of the table follows from the rest of its row and the printed secret."""
    vectors = read_vectors()
    assert len(vectors) == page().count("Z` |") >= 7
    for vector in vectors:
        content = vector.method + vector.target + vector.time + vector.body
        assert hmac_sha256(secret(), content.encode()) == vector.signature, vector


def test_vectors__given_to_the_platform__are_accepted_and_their_neighbours_are_not() -> None:
    """The platform takes each vector, and none once anything of it is changed."""
    for vector in read_vectors():
        parts = [part.encode() for part in vector]
        method, target, time, body, signature = parts
        good = SignedRequest(method, target, time, body, signature)
        assert check_signature([secret()], good).hex() == vector.signature
        changed = (
            good._replace(method=b"PUT"),
            good._replace(target=target + b"?"),
            good._replace(timestamp=b"2026-01-31T09:30:02Z"),
            good._replace(body=body + b" "),
            good._replace(signature=signature[1:] + signature[:1]),
        )
        for wrong in changed:
            with pytest.raises(SignatureRefused):
                check_signature([secret()], wrong)
        with pytest.raises(SignatureRefused):
            check_signature([secret() + b"x"], good)


def test_sign_requests__as_printed__signs_repeats_and_is_refused(reader_folder: Path) -> None:
    """The steps of the page make a client that must sign; a repeat is the same command."""
    steps = paste_into_shell(read_blocks(PAGE, "sh"), reader_folder)
    first, refused, again = (step.output.strip().splitlines()[-1] for step in steps[-3:])
    assert json.loads(first)["data"]["status"] == "queued"
    assert first == again
    assert json.loads(refused)["code"] == 2001
    assert json.loads(refused)["details"] == {"field": "X-Signature"}

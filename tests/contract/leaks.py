"""What must not stand in an error answer or in a stream frame: VINs, secrets, tokens.

Two nets: whatever was sent in this very request as a credential or VIN, exactly; and anything
that has the look of one.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

_VIN = re.compile(rb"(?<![A-Za-z0-9_])[A-HJ-NPR-Z0-9]{17}(?![A-Za-z0-9_])")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_RUN = re.compile(rb"[A-Za-z0-9_-]{40,}")
_SECRET_NAMES = frozenset(
    {
        "access_token",
        "client_secret",
        "device_secret",
        "enrolment_token",
        "secret",
        "service_account_secret",
        "token",
        "vin",
    }
)
_SHORTEST_SECRET = 8
_DISTINCT_IN_SECRET = 20


def personal_data(text: bytes) -> Iterator[str]:
    """What in a text has the look of a VIN, or is named one."""
    for match in _VIN.finditer(text):
        word = match.group()
        if re.search(rb"[A-Z]", word) and re.search(rb"[0-9]", word):
            yield f"what looks like a VIN: {word.decode()}"
    if re.search(rb'"vin"\s*:', text, re.IGNORECASE):
        yield "a field named vin"


def looks_secret(text: bytes) -> Iterator[str]:
    """What in a text has the look of a token or of a generated secret (48 random bytes)."""
    if _JWT.search(text):
        yield "what looks like a token"
    for match in _RUN.finditer(text):
        word = match.group()
        mixed = all(re.search(part, word) for part in (rb"[a-z]", rb"[A-Z]", rb"[0-9]"))
        if mixed and len(set(word)) >= _DISTINCT_IN_SECRET:
            yield "what looks like a secret"


def in_failure(
    answer: bytes, headers: Mapping[str, str], body: bytes, target: str
) -> Iterator[str]:
    """Every secret or VIN in an error answer, by what the request held and by its look."""
    for name, value in _sent_secrets(headers, body, target):
        if value.encode() in answer:
            yield f"the {name} that was sent"
    yield from personal_data(answer)
    yield from looks_secret(answer)


def _sent_secrets(
    headers: Mapping[str, str], body: bytes, target: str
) -> Iterator[tuple[str, str]]:
    found = [*parse_qsl(target.partition("?")[2]), *_body_pairs(body)]
    enrolment = re.match(r"/e/([^/]+)/v1/", target)
    if enrolment:
        found.append(("enrolment_token", enrolment.group(1)))
    scheme, _, credentials = _authorization(headers).partition(" ")
    if scheme.lower() == "basic":
        found.append(("secret", _basic_password(credentials)))
    elif credentials:
        found.append(("token", credentials.strip()))
    for name, value in found:
        if name.lower() in _SECRET_NAMES and len(value) >= _SHORTEST_SECRET:
            yield name, value


def _authorization(headers: Mapping[str, str]) -> str:
    return next((v for name, v in headers.items() if name.lower() == "authorization"), "")


def _basic_password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials).decode("utf-8", "replace").partition(":")[2]
    except binascii.Error:
        return ""


def _body_pairs(body: bytes) -> Iterator[tuple[str, str]]:
    try:
        yield from _named_strings(json.loads(body))
    except (ValueError, RecursionError):
        yield from parse_qsl(body.decode("latin-1"))


def _named_strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for item in value:
            yield from _named_strings(item, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _named_strings(item, key)

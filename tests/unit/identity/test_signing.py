"""Signatures: what is well-formed, in time and right, and which secrets can make them."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.identity import signing
from tellus.identity.model import ClientSecret, SigningPolicy
from tellus.identity.signing import RotationNeeded, SignatureRefused, SignedRequest

NOW_MS = 1_769_851_800_000  # 2026-01-31T09:30:00Z
TIME = b"2026-01-31T09:30:00Z"
GOOD = b"a" * 64


def field_of(timestamp: bytes | None, signature: bytes | None, now_ms: int = NOW_MS) -> str:
    """The header that a refusal names; empty where there is none."""
    try:
        signing.check_form(timestamp, signature, now_ms)
    except SignatureRefused as error:
        refused = error
    else:
        return ""
    field = str(refused.details["field"])
    assert refused.message.startswith(f"Header '{field}' ")
    assert set(refused.details) == {"field"}
    return field


def request(secret: bytes, **changes: bytes) -> SignedRequest:
    """A request with a good signature, changed after it was signed."""
    good = SignedRequest(b"POST", b"/v1/x?y=1", TIME, b'{"a": 1}', b"")
    content = b"".join(good[:4])
    digest = hmac.new(secret, content, hashlib.sha256).hexdigest().encode()
    return good._replace(signature=digest)._replace(**changes)


@pytest.mark.parametrize(
    ("timestamp", "signature", "field"),
    [
        (TIME, GOOD, ""),
        (TIME, None, "X-Signature"),
        (None, None, "X-Signature"),
        (None, GOOD, "X-Timestamp"),
        (TIME, b"", "X-Signature"),
        (TIME, b"A" * 64, "X-Signature"),
        (TIME, b"a" * 63, "X-Signature"),
        (TIME, b"a" * 65, "X-Signature"),
        (TIME, b"a" * 64 + b"\n", "X-Signature"),
        (TIME, b"g" * 64, "X-Signature"),
        (TIME, GOOD + b", " + GOOD, "X-Signature"),
        (b"", GOOD, "X-Timestamp"),
        (b"2026-01-31T09:30:00", GOOD, "X-Timestamp"),
        (b"2026-01-31T09:30:00z", GOOD, "X-Timestamp"),
        (b"2026-01-31 09:30:00Z", GOOD, "X-Timestamp"),
        (b"2026-01-31T09:30:00+00:00", GOOD, "X-Timestamp"),
        (b"2026-01-31T09:30:00.000Z", GOOD, "X-Timestamp"),
        (b"2026-01-31T09:30Z", GOOD, "X-Timestamp"),
        (b"2026-1-31T09:30:00Z", GOOD, "X-Timestamp"),
        (b"2026-02-30T09:30:00Z", GOOD, "X-Timestamp"),
        (b"2026-01-31T09:30:60Z", GOOD, "X-Timestamp"),
        (b"2026-01-31T24:00:00Z", GOOD, "X-Timestamp"),
        (b"0000-00-00T00:00:00Z", GOOD, "X-Timestamp"),
        (TIME + b"\n", GOOD, "X-Timestamp"),
        (TIME + b", " + TIME, GOOD, "X-Timestamp"),
        (b"1769851800", GOOD, "X-Timestamp"),
    ],
)
def test_check_form__header_absent_or_malformed__is_named(
    timestamp: bytes | None, signature: bytes | None, field: str
) -> None:
    """Exactly one spelling of time and signature is taken; else the header is named."""
    assert field_of(timestamp, signature) == field


@pytest.mark.parametrize(
    ("off_ms", "field"),
    [
        (300_000, ""),
        (-300_000, ""),
        (300_001, "X-Timestamp"),
        (-300_001, "X-Timestamp"),
        (10**12, "X-Timestamp"),
    ],
)
def test_check_form__clock_off__is_taken_up_to_300_s(off_ms: int, field: str) -> None:
    """The time may be 300 s off either way, to the millisecond."""
    assert field_of(TIME, GOOD, NOW_MS + off_ms) == field


@given(timestamp=st.binary(max_size=40), signature=st.binary(max_size=80))
def test_check_form__any_bytes__are_refused_in_words(timestamp: bytes, signature: bytes) -> None:
    """Whatever stands in the headers, the refusal is 2001 and names one of them."""
    assert field_of(timestamp, signature) in {"X-Signature", "X-Timestamp"}
    assert field_of(timestamp, GOOD) == "X-Timestamp"


@given(when=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001
def test_check_form__any_second__is_read_as_what_it_is(when: datetime) -> None:
    """Every second of the calendar is read without error and for what it is."""
    whole = when.replace(microsecond=0, tzinfo=UTC)
    text = whole.isoformat().replace("+00:00", "Z").encode()
    now_ms = int((whole - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1000
    assert field_of(text, GOOD, now_ms) == ""


@given(
    parts=st.tuples(*[st.binary(max_size=30)] * 4),
    secrets=st.lists(st.binary(min_size=1, max_size=99), min_size=1, max_size=2, unique=True),
)
def test_check_signature__made_with_any_live_secret__is_taken(
    parts: tuple[bytes, bytes, bytes, bytes], secrets: list[bytes]
) -> None:
    """During a swap each of the two secrets signs, whatever it is that is signed."""
    for secret in secrets:
        digest = hmac.new(secret, b"".join(parts), hashlib.sha256).digest()
        signed = SignedRequest(*parts, digest.hex().encode())
        assert signing.check_signature(secrets, signed) == digest


@pytest.mark.parametrize(
    "changes",
    [
        {"method": b"PUT"},
        {"target": b"/v1/x"},
        {"target": b"/v1/x?y=2"},
        {"timestamp": b"2026-01-31T09:30:01Z"},
        {"body": b""},
        {"signature": GOOD},
    ],
)
def test_check_signature__anything_changed__is_refused_alike(changes: dict[str, bytes]) -> None:
    """One word for every mismatch, and the same with no secret at all."""
    said = []
    for secrets in ([b"secret"], [b"other", b"secret"], []):
        with pytest.raises(SignatureRefused) as caught:
            signing.check_signature(secrets, request(b"secret", **changes))
        said.append((caught.value.message, caught.value.details))
    assert said == [(said[0][0], {"field": "X-Signature"})] * 3


def test_secrets_under__policies__copies_follow_them() -> None:
    """Off drops all copies; else only the live have one, and one of them must."""
    live = ClientSecret("a", b"a", 1, sealed=b"sealed")
    over = ClientSecret("b", b"b", 1, retires_ms=5, sealed=b"sealed")
    bare = ClientSecret("c", b"c", 1)
    for policy in (SigningPolicy.OPTIONAL, SigningPolicy.REQUIRED):
        after = signing.secrets_under(policy, (over, bare, live), 5)
        assert [secret.sealed for secret in after] == [None, None, b"sealed"]
        for none in ((), (bare,), (over, bare)):
            with pytest.raises(RotationNeeded):
                signing.secrets_under(policy, none, 5)
    off = signing.secrets_under(SigningPolicy.OFF, (over, bare, live), 5)
    assert [secret.sealed for secret in off] == [None, None, None]

"""Redaction: what is hidden by its key, what by its shape, and what stays readable."""

import json
import random

import pytest

from tellus.kernel.ids import new_id, new_secret
from tellus.kernel.redaction import HIDDEN, redact, redact_text
from tests.contract.canaries import flock, scan_text

CANARIES = flock(7, each=20)
TOKEN = CANARIES[-1].value
SECRET = CANARIES[25].value
VIN = CANARIES[0].value


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"Authorization: Bearer {TOKEN}",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        f"GET /v1/operator/stream?devices=a&token={TOKEN}&x=1",
        "GET /v1/operator/stream?token=short-but-still-a-token",
        f"/e/{SECRET}/v1/device/register",
        "/e/abc/v1/device/register",
        "PUT /v1/device/diagnostics/uploads/upl_" + "Ab3-_" * 8,
        pytest.param(new_secret("sk"), id="device secret"),
        pytest.param(new_secret("cs"), id="client secret"),
        pytest.param(new_secret("sk_adm"), id="account secret"),
        f"password='{SECRET}'",
        '{"client_secret": "not-a-random-one"}',
        f"vin {VIN} was not expected",
        f"duplicate key ({VIN},1)",
        "f" * 64,
    ],
)
def test_redact_text__secret_in_a_sentence__is_hidden(text: str) -> None:
    """Tokens, secrets and VINs are hidden wherever in a text they stand."""
    shown = redact_text(text)
    assert shown != text
    for part in (TOKEN, SECRET, VIN, "short-but", "not-a-random", "/abc/", "dXNlcjp", "f" * 40):
        assert part not in shown


def test_redact__canaries_everywhere__none_is_found() -> None:
    """No canary gets through as a key, a value, in a list or deep down; the control does."""
    rng = random.Random(3)
    for canary in CANARIES:
        value = {
            "event": f"failed for {canary.value}",
            canary.value: 1,
            "list": [canary.value, {"deep": (f"x={canary.value};",)}],
            rng.choice(("client_secret", "access_token", "vin", "Authorization")): "plain",
        }
        shown = json.dumps(redact(value))
        assert scan_text(shown, [canary], "log") == []
        assert '"plain"' not in shown
        assert scan_text(json.dumps(value), [canary], "log") != []


@pytest.mark.parametrize(
    ("key", "hidden"),
    [
        ("client_secret", True), ("access_token", True), ("token", True), ("vin", True),
        ("vehicle_vin", True), ("Authorization", True), ("password", True), ("x-api-key", True),
        ("signature", True), ("Set-Cookie", True), ("secret_id", False), ("moving", False),
        ("province", False), ("token_type", False), ("issueOperatorToken 401 2001", False),
    ],
)  # fmt: skip
def test_redact__key__decides_before_the_value(key: str, hidden: bool) -> None:  # noqa: FBT001
    """A value filed under the name of a secret is hidden whatever it looks like."""
    assert redact({key: "word"}) == {key: HIDDEN if hidden else "word"}
    assert redact({key: {"any": "thing"}})[key] == (HIDDEN if hidden else {"any": "thing"})


@pytest.mark.parametrize(
    "text",
    [
        "Parameter 'size' is not valid: expected 'int', got 'str'",
        pytest.param(new_id("dvc"), id="identifier"),
        pytest.param(f"{new_id('cmd')} of {new_id('dvc')}", id="two identifiers"),
        "req_0123456789ab_1f",
        '  File "/opt/Tellus/lib/python3.11/site-packages/tellus/surfaces/http.py", line 12',
        "2026-03-02T06:41:05.123Z",
        "server_draining connections=17",
        "a_rather_long_name_of_a_function_that_nobody_would_call_a_secret",
    ],
)
def test_redact_text__plain_words_and_identifiers__stay(text: str) -> None:
    """A log that hides everything says nothing: identifiers, paths and words stay."""
    assert redact_text(text) == text


def test_redact__odd_values__become_plain_data() -> None:
    """Bytes, objects, sets, cycles and lone surrogates end as text that can be written."""
    cycle: list[object] = []
    cycle.append(cycle)
    shown = redact({"b": b"\xff", "s": {1}, "c": cycle, "u": "\ud800", "n": None, "f": 1.5})
    json.dumps(shown).encode("ascii")
    assert shown["s"] == [1]
    assert shown["n"] is None
    assert shown["u"] == "?"
    assert len(redact_text("é" * 100_000)) < 20_000

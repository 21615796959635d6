"""Tokens as a running server would sign them itself, with claims that it would not give."""

import base64
import time
from typing import Any

import jwt

from tellus.identity.keys import load_key_file
from tests.databases import query
from tests.server import RunningServer

_DAY_S = 86_400


def signing_key(server: RunningServer, kid: str) -> bytes:
    """The key of that name, opened with the key file in the server's own data directory."""
    ring = load_key_file(server.data_dir / "keys.json")
    (row,) = query(server.data_dir, f"SELECT sealed FROM signing_keys WHERE kid = '{kid}'")
    return ring.open(row[0], f"signing-key:{kid}")


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, its signature unseen."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def signed_again(server: RunningServer, token: str, **changes: Any) -> str:
    """The token with other claims, under a good signature of the server's own key."""
    kid = jwt.get_unverified_header(token)["kid"]
    key = signing_key(server, kid)
    return jwt.encode(claims_of(token) | changes, key, "HS256", headers={"kid": kid})


def expired(server: RunningServer, token: str, since_s: int = 1) -> str:
    """The token as it will be ``since_s`` seconds after its end."""
    end_s = int(time.time()) - since_s
    return signed_again(server, token, iat=end_s - _DAY_S, exp=end_s)


def broken_signature(token: str) -> str:
    """The token with another signature of the same length."""
    head, body, signature = token.split(".")
    first = "A" if signature[0] != "A" else "B"
    return f"{head}.{body}.{first}{signature[1:]}"


def unsigned(token: str) -> str:
    """The token's claims under the algorithm ``none``."""
    kid = jwt.get_unverified_header(token)["kid"]
    return jwt.encode(claims_of(token), "", "none", headers={"kid": kid})


def basic(name: str, secret: str) -> str:
    """An Authorization header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()

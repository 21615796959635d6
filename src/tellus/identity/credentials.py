"""Where credentials may stand in a token request (RFC 6749 section 2.3.1): body or Basic header."""

import base64
import binascii
from urllib.parse import unquote_plus

import msgspec

from tellus.identity.model import IssuedToken
from tellus.kernel.errors import InvalidParameter, MissingParameter

_GRANT = "client_credentials"
_BASIC = "basic "

Text = str | msgspec.UnsetType


class AccessTokenResponse(msgspec.Struct, frozen=True):
    """A bearer token; ``expires_in`` is its whole life in seconds."""

    access_token: str
    token_type: str
    expires_in: int


def token_response(token: IssuedToken) -> AccessTokenResponse:
    """Return the answer of every token endpoint."""
    return AccessTokenResponse(token.text, "Bearer", token.expires_in_s)


def read_credentials(
    given: tuple[Text, Text], grant_type: Text, names: tuple[str, str], authorization: str
) -> tuple[str, str]:
    """Return id and secret, from the body or else from the ``Authorization`` header.

    ``names`` are the wire names of the two, for errors.

    Raises:
        MissingParameter: one of them, or the grant type, is nowhere.
        InvalidParameter: the grant type is another one.
    """
    basic: tuple[Text, Text] = read_basic(authorization) or (msgspec.UNSET, msgspec.UNSET)
    found = []
    for name, in_body, in_header in zip(names, given, basic, strict=True):
        value = in_header if in_body is msgspec.UNSET else in_body
        if value is msgspec.UNSET:
            raise MissingParameter(name)
        found.append(value)
    if grant_type is msgspec.UNSET:
        raise MissingParameter("grant_type")
    if grant_type != _GRANT:
        raise InvalidParameter(f"Parameter 'grant_type' must be {_GRANT}", "grant_type", grant_type)
    return found[0], found[1]


def read_basic(authorization: str) -> tuple[str, str] | None:
    """Return the two halves of a Basic header (RFC 7617, form-decoded), or None if it is none."""
    if authorization[: len(_BASIC)].lower() != _BASIC:
        return None
    try:
        text = base64.b64decode(authorization[len(_BASIC) :].strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    name, colon, secret = text.partition(":")
    return (unquote_plus(name), unquote_plus(secret)) if colon else None

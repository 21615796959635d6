"""Bearer tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256, 24 hours long.

A token names the generation of its principal and, for clients, the secret it was issued for:
revoking either ends it. What has been verified is remembered, so that the next use of a token costs
one look-up and a few comparisons.
"""

import secrets
from collections.abc import Iterable

import jwt
import msgspec
from jwt.types import Options

from tellus.identity.directory import Directory
from tellus.identity.model import TOKEN_LIFE_S, IssuedToken
from tellus.kernel.call import Audience, Principal
from tellus.kernel.clock import Clock
from tellus.kernel.errors import TokenExpired, Unauthenticated
from tellus.kernel.units import SECOND_MS

_ALGORITHM = "HS256"
_LARGEST_TOKEN_CHARACTERS = 2_048
_TOKENS_REMEMBERED = 50_000
# The library checks the signature; claims are judged here, in one place.
_SIGNATURE_ONLY: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
    "require": [],
}


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    aud: str
    gen: int
    iat: int
    exp: int
    jti: str
    sec: str = ""


class LiveKey(msgspec.Struct, frozen=True):
    """A signing key opened for use; after ``retired_ms`` it verifies no more."""

    kid: str
    key: bytes
    retired_ms: int | None


class Tokens:
    """Issues tokens and tells whose they are."""

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        issuer: str,
        remembered: int = _TOKENS_REMEMBERED,
    ) -> None:
        self._directory = directory
        self._now_ms = clock.now_ms
        self._issuer = issuer
        self._remembered = remembered
        self._keys: dict[str, LiveKey] = {}
        self._newest: LiveKey | None = None
        self._verified: dict[str, tuple[Principal, int, int]] = {}

    def use_keys(self, keys: Iterable[LiveKey]) -> None:
        """Sign with the last of ``keys`` and verify with all of them."""
        self._keys = {key.kid: key for key in keys}
        self._newest = next(reversed(self._keys.values()), None)
        self.forget_verified()

    def forget_verified(self) -> None:
        """Verify every token afresh at its next use; needed when a secret or a key is revoked."""
        self._verified = {}

    def issue(self, principal: Principal, secret_id: str = "") -> IssuedToken:
        """Return a new token of ``principal``; older ones stay valid."""
        if self._newest is None:
            message = "tokens are issued once the keys are loaded"
            raise RuntimeError(message)
        issued_s = self._now_ms() // SECOND_MS
        claims = {
            "iss": self._issuer,
            "sub": principal.principal_id,
            "aud": principal.audience.value,
            "gen": principal.generation,
            "iat": issued_s,
            "exp": issued_s + TOKEN_LIFE_S,
            "jti": secrets.token_urlsafe(12),
        }
        if secret_id:
            claims["sec"] = secret_id
        text = jwt.encode(claims, self._newest.key, _ALGORITHM, headers={"kid": self._newest.kid})
        return IssuedToken(text, TOKEN_LIFE_S)

    def authenticate(self, token: str, audience: Audience) -> Principal:
        """Return the principal that ``token`` belongs to.

        Raises:
            TokenExpired: it is genuine, for this audience and of a living principal, and over.
            Unauthenticated: anything else is wrong with it.
        """
        known = self._verified.get(token)
        if known is not None:
            principal, expires_ms, generation = known
            if (
                principal.audience is audience
                and principal.generation == generation
                and not principal.revoked
                and self._now_ms() < expires_ms
            ):
                return principal
        return self._verify(token, audience)

    def is_of_unknown_key(self, token: str) -> bool:
        """Tell whether a token claims to be signed with a key that is not known here."""
        try:
            return jwt.get_unverified_header(token).get("kid") not in self._keys
        except (jwt.PyJWTError, ValueError, RecursionError, TypeError):
            return False

    def read_subject(self, token: str) -> str:
        """Return whom a token with a good signature was issued to.

        Raises:
            Unauthenticated: it has none.
        """
        return self._read(token).sub

    def _verify(self, token: str, audience: Audience) -> Principal:
        claims = self._read(token)
        if claims.iss != self._issuer or claims.aud != audience.value:
            raise Unauthenticated
        principal = self._find(audience, claims)
        if principal is None or principal.revoked or principal.generation != claims.gen:
            raise Unauthenticated
        expires_ms = claims.exp * SECOND_MS
        if self._now_ms() >= expires_ms:
            raise TokenExpired
        if len(self._verified) >= self._remembered:
            self._verified.pop(next(iter(self._verified)), None)
        self._verified[token] = (principal, expires_ms, claims.gen)
        return principal

    def _read(self, token: str) -> _Claims:
        """Return the claims of a token with a good signature."""
        if len(token) > _LARGEST_TOKEN_CHARACTERS:
            raise Unauthenticated
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None or (key.retired_ms is not None and self._now_ms() >= key.retired_ms):
                raise Unauthenticated
            payload = jwt.decode(token, key.key, [_ALGORITHM], _SIGNATURE_ONLY)
            return msgspec.convert(payload, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
            raise Unauthenticated from None

    def _find(self, audience: Audience, claims: _Claims) -> Principal | None:
        if audience is Audience.DEVICE:
            device = self._directory.device(claims.sub)
            return None if device is None else device.principal
        if audience is Audience.OPERATOR:
            client = self._directory.client(claims.sub)
            return client.principal if client and claims.sec in client.secret_ids else None
        if audience is Audience.ADMIN:
            account = self._directory.account(claims.sub)
            return None if account is None else account.principal
        return None

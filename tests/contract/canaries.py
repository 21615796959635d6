"""Canaries: made-up VINs, secrets and tokens that are sent through everything and then looked for.

The scanner knows the usual disguises: upper and lower case, hex, base64 at any alignment, percent
encoding, JSON escapes, UTF-16, gzip and zlib, values in SQLite cells that are split over pages,
and long pieces of a secret. Its blind spot is encryption, which is the point.
"""

import base64
import random
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

_VIN_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
# ISO 3779 / 49 CFR 565.15: letters have values, places have weights, the ninth is the check.
_VIN_VALUES = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)],
               strict=True)),
}  # fmt: skip
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_PIECE = 24


@dataclass(frozen=True)
class Canary:
    """One value that must not be found where it does not belong. `kind`: vin, secret, token."""

    kind: str
    value: str

    @cached_property
    def disguises(self) -> tuple[tuple[str, bytes], ...]:
        """Every form in which the value is looked for, with the form's name."""
        plain = self.value.encode()
        found = {
            "plain": plain,
            "lower case": self.value.lower().encode(),
            "upper case": self.value.upper().encode(),
            "hex": plain.hex().encode(),
            "HEX": plain.hex().upper().encode(),
            "percent": b"".join(b"%%%02X" % byte for byte in plain),
            "percent, lower case": b"".join(b"%%%02x" % byte for byte in plain),
            "JSON escapes": b"".join(b"\\u%04x" % byte for byte in plain),
            "UTF-16": self.value.encode("utf-16-le"),
            "UTF-16, big end first": self.value.encode("utf-16-be"),
            "reversed": plain[::-1],
        }
        found.update(_base64_forms(plain))
        if len(plain) > 2 * _PIECE:
            middle = len(plain) // 2
            found["a piece of it"] = plain[middle : middle + _PIECE]
            found["its end"] = plain[-_PIECE:]
        forms: dict[bytes, str] = {}
        for name, needle in found.items():
            forms.setdefault(needle, name)
        return tuple((name, needle) for needle, name in forms.items())


def _base64_forms(plain: bytes) -> Iterator[tuple[str, bytes]]:
    """Base64 of the value wherever it begins in a longer text; the uncertain ends are left off."""
    for shift in range(3):
        coded = base64.b64encode(b"\x00" * shift + plain)
        first = -(-shift * 8 // 6)
        last = (shift + len(plain)) * 8 // 6
        needle = coded[first:last]
        yield f"base64, shifted by {shift}", needle
        yield f"base64 for addresses, shifted by {shift}", needle.translate(_URL_SAFE)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def check_digit(vin: str) -> str:
    """The ninth character that a VIN of these letters must have (49 CFR 565.15)."""
    total = sum(_VIN_VALUES[c] * w for c, w in zip(vin, _VIN_WEIGHTS, strict=True))
    return "X" if total % 11 == 10 else str(total % 11)


def canary_vin(rng: random.Random) -> Canary:
    """A VIN of valid shape with a right check digit."""
    vin = "LVX" + "".join(rng.choices(_VIN_LETTERS, k=8)) + "".join(rng.choices("0123456789", k=6))
    return Canary("vin", vin[:8] + check_digit(vin) + vin[9:])


def canary_secret(rng: random.Random) -> Canary:
    """A secret of 64 characters, as 48 random bytes give."""
    return Canary("secret", base64.urlsafe_b64encode(rng.randbytes(48)).decode())


def canary_token(rng: random.Random) -> Canary:
    """A bearer token of the look of a JWT; its head is unlike any other's, too."""
    parts = ("".join(rng.choices(string.ascii_letters + string.digits, k=n)) for n in (33, 90, 43))
    return Canary("token", ".".join(("eyJ" + next(parts), *parts)))


def flock(seed: int, each: int = 3) -> tuple[Canary, ...]:
    """`each` VINs, secrets and tokens; the same seed gives the same ones."""
    rng = random.Random(seed)
    makers = (canary_vin, canary_secret, canary_token)
    return tuple(make(rng) for make in makers for _ in range(each))


@dataclass(frozen=True, slots=True)
class Hit:
    """A canary that was found: where, in which disguise, at which byte."""

    canary: Canary
    where: str
    form: str
    offset: int

    def __str__(self) -> str:
        return f"{self.canary.kind} {self.canary.value[:6]}… as {self.form} in {self.where}"


def scan_bytes(data: bytes, canaries: Iterable[Canary], where: str) -> list[Hit]:
    """Every canary in some bytes, in any disguise; one hit for each canary and form."""
    return [
        Hit(canary, where, form, at)
        for canary in canaries
        for form, needle in canary.disguises
        if (at := data.find(needle)) >= 0
    ]


def scan_text(text: str, canaries: Iterable[Canary], where: str) -> list[Hit]:
    """Every canary in a text, such as a page of metrics."""
    return scan_bytes(text.encode("utf-8", "surrogatepass"), canaries, where)

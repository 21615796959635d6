"""How large a body each operation takes, in bytes."""

_KIB = 1024
_DEFAULT_BYTES = 64 * _KIB
_BY_END = {
    "/token": 4 * _KIB,
    "/register": 4 * _KIB,
    "/control/flexibility": 256 * _KIB,
    "/batch": 1024 * _KIB,
}


def body_limit_bytes(path: str) -> int:
    """The largest body that an operation takes; one byte more is refused with 413."""
    return next((n for end, n in _BY_END.items() if path.endswith(end)), _DEFAULT_BYTES)

"""Where a grant of transfers stands, and what it covers."""

from typing import Any

import pytest

from tellus.transfers.model import GrantState, TransferGrant, TransferKind
from tellus.transfers.rules import is_covered, state_of


def grant(**more: Any) -> TransferGrant:
    """A grant for files from 100 to 900."""
    fields: dict[str, Any] = {
        "grant_id": "tgr_1", "operator_id": "op_1", "to_region": "us",
        "kinds": frozenset({TransferKind.EXPORTS}), "granted_by": "The board", "evidence": None,
        "from_ms": 100, "to_ms": 900, "created_ms": 50, "created_by": "acc_1",
    }  # fmt: skip
    return TransferGrant(**fields | more)


@pytest.mark.parametrize(
    ("now_ms", "state"),
    [(99, "not_yet"), (100, "active"), (899, "active"), (900, "expired")],
)
def test_state_of__instant__is_within_its_time(now_ms: int, state: str) -> None:
    """A grant holds from its beginning up to, and without, its end."""
    assert state_of(grant(), now_ms) == GrantState(state)
    assert is_covered([grant()], TransferKind.EXPORTS, now_ms) == (state == "active")


def test_is_covered__another_kind_or_revoked__is_not() -> None:
    """A grant covers the kinds it names, until it is revoked."""
    assert not is_covered([grant()], TransferKind.PUSHES, 500)
    assert not is_covered([grant(revoked_ms=400)], TransferKind.EXPORTS, 500)
    both = [grant(revoked_ms=400), grant(to_ms=None)]
    assert is_covered(both, TransferKind.EXPORTS, 10**9)

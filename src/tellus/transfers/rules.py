"""Decisions about transfers: where a grant stands, and whether one covers a transfer."""

from collections.abc import Iterable

from tellus.transfers.model import GrantState, TransferGrant, TransferKind


def state_of(grant: TransferGrant, now_ms: int) -> GrantState:
    """Return where a grant stands."""
    if grant.revoked_ms is not None:
        return GrantState.REVOKED
    if now_ms < grant.from_ms:
        return GrantState.NOT_YET
    if grant.to_ms is not None and grant.to_ms <= now_ms:
        return GrantState.EXPIRED
    return GrantState.ACTIVE


def is_covered(grants: Iterable[TransferGrant], kind: TransferKind, now_ms: int) -> bool:
    """Tell whether one of an operator's grants for a region lets something of a kind go there."""
    return any(
        kind in grant.kinds and state_of(grant, now_ms) is GrantState.ACTIVE for grant in grants
    )

"""Decisions about the audit log: how an entry is sealed, what is wrong with a chain."""

import hmac
from collections.abc import Iterable
from typing import Final

import msgspec

from tellus.audit.model import ActionKind, Problem, ProblemKind, Seal, Written

FIRST_HASH: Final = bytes(32)
"""What stands for the seal before the first."""

_KINDS: Final = {
    "created": ActionKind.CREATE,
    "registered": ActionKind.CREATE,
    "provisioned": ActionKind.CREATE,
    "shared": ActionKind.CREATE,
    "token_issued": ActionKind.CREATE,
    "deleted": ActionKind.DELETE,
    "revoked": ActionKind.DELETE,
    "secret_revoked": ActionKind.DELETE,
    "unshared": ActionKind.DELETE,
    "erased": ActionKind.DELETE,
    "command_issued": ActionKind.EXECUTE_COMMAND,
    "issued": ActionKind.EXECUTE_COMMAND,
}


def kind_of(action: str) -> ActionKind:
    """Return what an action such as ``client.created`` does; what is not listed is an update."""
    return _KINDS.get(action.partition(".")[2], ActionKind.UPDATE)


def verbs_of(kind: ActionKind) -> tuple[tuple[str, ...], bool]:
    """Return the verbs of a kind, and whether they are those it has, or those it has not."""
    if kind is ActionKind.UPDATE:
        return tuple(sorted(_KINDS)), False
    return tuple(sorted(verb for verb, its in _KINDS.items() if its is kind)), True


def seal_of(key: bytes, before: bytes, entry: Written) -> bytes:
    """Return the keyed hash (HMAC-SHA-256) over an entry and the seal before it."""
    return hmac.digest(key, before + msgspec.json.encode(entry), "sha256")


def find_problems(
    key: bytes, before: Seal | None, links: Iterable[tuple[Seal, Written | None]]
) -> list[Problem]:
    """Return what is wrong with seals that follow ``before``, None for the first of all.

    Each link is compared with the stored seal before it, so that one changed entry is one problem.
    """
    problems = []
    last_no, last_hash = (before.seal_no, before.hash) if before else (0, FIRST_HASH)
    for seal, entry in links:
        if seal.seal_no != last_no + 1:
            problems.append(Problem(ProblemKind.GAP, seal.seal_no, seal.entry_no))
        elif entry is None:
            problems.append(Problem(ProblemKind.MISSING, seal.seal_no, seal.entry_no))
        elif not hmac.compare_digest(seal_of(key, last_hash, entry), seal.hash):
            problems.append(Problem(ProblemKind.CHANGED, seal.seal_no, seal.entry_no))
        last_no, last_hash = seal.seal_no, seal.hash
    return problems

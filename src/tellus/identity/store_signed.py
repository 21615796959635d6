"""Identity's table of signed control calls and what was answered to them."""

from typing import NamedTuple

from tellus.storage.database import Tx


class SignedAnswer(NamedTuple):
    """What a signature has led to; ``status`` and ``body`` are None while that is not known."""

    status: int | None
    body: bytes | None


def reserve(tx: Tx, client_id: str, signature: bytes, received_ms: int) -> SignedAnswer | None:
    """Note that a signature is being acted on; return what is there where it was used before."""
    fresh = tx.execute(
        "INSERT INTO signed_answers (client_id, signature, received_ms) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING",
        client_id,
        signature,
        received_ms,
    )
    if fresh:
        return None
    row = tx.row(
        "SELECT status, body FROM signed_answers WHERE client_id = $1 AND signature = $2",
        client_id,
        signature,
    )
    return SignedAnswer(*row) if row is not None else SignedAnswer(None, None)


def keep_answer(tx: Tx, client_id: str, signature: bytes, answer: SignedAnswer) -> None:
    """Write what was answered."""
    tx.execute(
        "UPDATE signed_answers SET status = $1, body = $2 WHERE client_id = $3 AND signature = $4",
        answer.status,
        answer.body,
        client_id,
        signature,
    )


def release(tx: Tx, client_id: str, signature: bytes) -> None:
    """Forget a signature that had no effect."""
    tx.execute(
        "DELETE FROM signed_answers WHERE client_id = $1 AND signature = $2", client_id, signature
    )


def prune(tx: Tx, before_ms: int) -> int:
    """Drop what was received before ``before_ms``; return how many there were."""
    return tx.execute("DELETE FROM signed_answers WHERE received_ms < $1", before_ms)

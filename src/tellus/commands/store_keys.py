"""The SQL of requests that may be repeated."""

from tellus.commands.model import RequestKey
from tellus.storage.database import Tx


def find_answer(tx: Tx, client_id: str, key_digest: str, since_ms: int) -> tuple[str, str] | None:
    """Return the digest of the request and its answer, None if none was kept since then."""
    row = tx.row(
        "SELECT body_digest, answer FROM request_keys"
        " WHERE client_id = $1 AND key_digest = $2 AND created_ms > $3",
        client_id,
        key_digest,
        since_ms,
    )
    return None if row is None else (row[0], row[1])


def append_answer(tx: Tx, key: RequestKey, answer: str, now_ms: int) -> None:
    """Append the answer of a request whose key is not in the store."""
    tx.execute(
        "INSERT INTO request_keys (client_id, key_digest, body_digest, answer, created_ms)"
        " VALUES ($1, $2, $3, $4, $5)",
        *key,
        answer,
        now_ms,
    )


def delete_answers(tx: Tx, until_ms: int) -> None:
    """Delete the answers that were kept until then."""
    tx.execute("DELETE FROM request_keys WHERE created_ms <= $1", until_ms)

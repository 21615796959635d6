"""What an error of PostgreSQL means: whose fault it is and whether to go on."""

from typing import Final

import psycopg

from tellus.storage.faults import Fault, TransactionLost

# By SQLSTATE or, where that is not listed, its class of two characters (PostgreSQL's appendix of
# error codes); all others hit the operation alone.
_FAULTS: Final[dict[str, Fault]] = {
    "40001": Fault.RETRY,
    "40P01": Fault.RETRY,
    "53100": Fault.FULL,
    "57P01": Fault.LOST,
    "57P02": Fault.LOST,
    "57P03": Fault.LOST,
    "57P05": Fault.LOST,
    "25006": Fault.LOST,
    "08": Fault.LOST,
    "55P03": Fault.BUSY,
    "57014": Fault.BUSY,
    "57P04": Fault.BUSY,
    "25P03": Fault.BUSY,
    "53": Fault.BUSY,
    "58": Fault.BUSY,
    "XX": Fault.BUSY,
}


class SpoiltTransaction(Exception):
    """A statement failed and whoever ran it went on as if it had not."""


def classify(error: BaseException) -> Fault:
    """Tell what ``error`` means, also where the code of an operation wrapped it in another."""
    seen: BaseException | None = error
    while seen is not None:
        fault = _classify_one(seen)
        if fault is not Fault.OPERATION:
            return fault
        seen = seen.__cause__ or seen.__context__
    return Fault.OPERATION


def _classify_one(error: BaseException) -> Fault:
    if isinstance(error, MemoryError | TransactionLost):
        return Fault.BUSY
    if not isinstance(error, psycopg.Error):
        return Fault.OPERATION
    state = error.sqlstate
    if state is None:
        # No answer of the server: the connection failed under the statement.
        return Fault.LOST if isinstance(error, psycopg.OperationalError) else Fault.OPERATION
    return _FAULTS.get(state) or _FAULTS.get(state[:2], Fault.OPERATION)

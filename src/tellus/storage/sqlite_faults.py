"""What an error of SQLite means for the writer: whose fault it is and whether to go on."""

import errno

import apsw

from tellus.storage.faults import Fault, TransactionLost

_FULL_ERRNO = (errno.ENOSPC, errno.EDQUOT)
_BUSY = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.ProtocolError,
    apsw.CantOpenError,
    apsw.NoMemError,
    apsw.InterruptError,
    MemoryError,
    TransactionLost,
)
_FATAL = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError)


def classify(error: BaseException, connection: apsw.Connection) -> Fault:
    """Tell what ``error`` means, also where the code of an operation wrapped it in another."""
    seen: BaseException | None = error
    while seen is not None:
        fault = _classify_one(seen, connection)
        if fault is not Fault.OPERATION:
            return fault
        seen = seen.__cause__ or seen.__context__
    return Fault.OPERATION


def _classify_one(error: BaseException, connection: apsw.Connection) -> Fault:
    if isinstance(error, apsw.FullError):
        return Fault.FULL
    if isinstance(error, apsw.IOError):
        # A full disk also shows as an I/O error: when the index of the log cannot grow, and
        # with quotas, which SQLite does not tell from broken disks.
        code = getattr(error, "extendedresult", None)
        if code == apsw.SQLITE_IOERR_SHMSIZE or connection.system_errno in _FULL_ERRNO:
            return Fault.FULL
        return Fault.BUSY if code == apsw.SQLITE_IOERR_NOMEM else Fault.FATAL
    if isinstance(error, _BUSY):
        return Fault.BUSY
    return Fault.FATAL if isinstance(error, _FATAL) else Fault.OPERATION

"""Tell whoever started this process that it is ready, or stopping: systemd's notify protocol."""

import contextlib
import os
import socket

_VARIABLE = "NOTIFY_SOCKET"


def tell_starter(state: str) -> None:
    """Send ``state`` (``READY=1``, ``STOPPING=1``) where a service manager wants to hear it."""
    address = os.environ.get(_VARIABLE, "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)


class ReadySocket:
    """Where a child says that it is ready; ``environment`` is for the child."""

    def __init__(self, name: str) -> None:
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._receiver.bind("\0" + name)
        self.environment = {_VARIABLE: "@" + name}

    def take(self) -> bool:
        """Tell whether the child has become ready since this was last asked."""
        ready = False
        with contextlib.suppress(BlockingIOError):
            while True:
                ready |= b"READY=1" in self._receiver.recv(1024)
        return ready

    def close(self) -> None:
        """Hear no more."""
        self._receiver.close()

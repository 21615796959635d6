"""The bus of a single process: plain calls on the event loop."""

from collections.abc import Callable

from tellus.bus.port import Keys, Listener


class MemoryBus:
    """Delivers at once, in the order of publishing."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def publish(self, topic: str, keys: Keys) -> None:
        """Call every listener of ``topic``."""
        for listener in tuple(self._listeners.get(topic, ())):
            listener(keys)

    def tell(self, topic: str, keys: Keys) -> None:
        """Call every listener of ``topic``: all there are live in this process."""
        self.publish(topic, keys)

    def pass_on(self, topic: str, keys: Keys) -> None:
        """There are no other nodes."""

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call ``listener(keys)`` for each message; returns the way to stop."""
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(listener)

        def stop() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return stop

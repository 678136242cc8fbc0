"""Signals: call every subscribed listener when something happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, ParamSpec

_P = ParamSpec("_P")


class Signal(Generic[_P]):
    """Listeners that are all called with the same arguments. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[_P, object]] = []

    def subscribe(self, listener: Callable[_P, object]) -> Callable[[], None]:
        """Call a listener from now on; return a function that unsubscribes it."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe

    def emit(self, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Call all listeners."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(*args, **kwargs)

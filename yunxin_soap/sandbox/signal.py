"""Who is told of what happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, ParamSpec

_P = ParamSpec("_P")


class Listeners(Generic[_P]):
    """Some callables, called with the same arguments; safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Callable[_P, object]] = []

    def add(self, listener: Callable[_P, object]) -> Callable[[], None]:
        """Have one more told from now on; returns what ends it."""
        with self._lock:
            self._all.append(listener)

        def stop() -> None:
            with self._lock:
                self._all.remove(listener)

        return stop

    def tell(self, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Tell all."""
        with self._lock:
            listeners = list(self._all)
        for listener in listeners:
            listener(*args, **kwargs)

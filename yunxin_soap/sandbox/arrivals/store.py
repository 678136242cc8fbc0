"""The arrivals, and how often each number was accepted."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from yunxin_soap.sandbox.arrivals.bounded import BoundedList, text_size
from yunxin_soap.sandbox.arrivals.counter import NumberCounter
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome, StorageError
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
from yunxin_soap.sandbox.signal import Signal


@dataclass(frozen=True)
class StoreLimits:
    """What an `ArrivalStore` keeps in memory."""

    max_arrivals: int = 10_000
    """How many arrivals. Above this limit, the oldest are dropped."""
    max_bytes: int = 64 << 20
    """Bytes of text of all arrivals together. Above this limit, the oldest are dropped too."""
    max_counted: int = 2_000_000
    """How many different accepted numbers are counted in memory; more go to a temporary file."""


class ArrivalStore:
    """Keeps the arrivals in memory and, if there is a record file, in that file. Thread-safe.

    Args:
        file: the record file. An arrival is committed there before its response is sent.
        limits: what to keep in memory.

    Raises:
        ConfigurationError: the record file is damaged.
    """

    def __init__(
        self, file: SqliteArrivals | None = None, *, limits: StoreLimits | None = None
    ) -> None:
        self.limits = limits or StoreLimits()
        self._file = file
        self._lock = threading.Lock()
        self._arrivals = BoundedList(
            _size_of, max_items=self.limits.max_arrivals, max_bytes=self.limits.max_bytes
        )
        self._last_id = 0
        self._counter = NumberCounter(self.limits.max_counted)
        self._changed = Signal[[Arrival | None]]()
        if file is not None:
            with file.close_if_damaged():
                self._last_id = file.last_id()
                for arrival in file.latest(self.limits.max_arrivals):
                    self._arrivals.append(arrival)
                self._arrivals.dropped = file.count() - len(self._arrivals)

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """The arrivals in memory, oldest first."""
        with self._lock:
            return tuple(self._arrivals)

    @property
    def accepted(self) -> tuple[Arrival, ...]:
        """The accepted arrivals in memory, oldest first."""
        return tuple(each for each in self.arrivals if each.outcome is Outcome.ACCEPTED)

    def arrival(self, arrival_id: int) -> Arrival | None:
        """Return the arrival with an id; None if it is not in memory."""
        with self._lock:
            at = bisect_left(self._arrivals, arrival_id, key=lambda each: each.id)
            found = self._arrivals[at] if at < len(self._arrivals) else None
        return found if found is not None and found.id == arrival_id else None

    @property
    def last_id(self) -> int:
        """The id of the last arrival, cleared ones included; 0 before the first."""
        return self._last_id

    @property
    def kept(self) -> int:
        """How many arrivals are in memory."""
        return len(self._arrivals)

    @property
    def dropped(self) -> int:
        """How many arrivals were dropped from memory since the last `clear`."""
        return self._arrivals.dropped

    def times_accepted(self, number: str) -> int:
        """Return how often a number was accepted, dropped arrivals included."""
        with self._lock:
            return (self._file or self._counter).times(number)

    @property
    def accepted_numbers(self) -> dict[str, int]:
        """How often each number was accepted, dropped arrivals included."""
        with self._lock:
            return (self._file or self._counter).counts()

    def add(self, arrival: Arrival) -> Arrival:
        """Store an arrival.

        Args:
            arrival: the arrival; its id is ignored.

        Returns:
            The arrival with its id.

        Raises:
            StorageError: the record file cannot be written. The arrival is in memory, as failed.
        """
        failure = None
        with self._lock:
            self._last_id += 1
            arrival = replace(arrival, id=self._last_id)
            if self._file is not None:
                try:
                    self._file.append(arrival)
                except StorageError as error:
                    failure = error
                    arrival = replace(
                        arrival,
                        outcome=Outcome.FAILED,
                        http_status=500,
                        result=str(error),
                        batch_no=None,
                    )
            if arrival.batch_no is not None and self._file is None:
                self._counter.add(arrival.recipients)
            self._arrivals.append(arrival)
        self._changed.emit(arrival)
        if failure is not None:
            raise failure
        return arrival

    def clear(self) -> None:
        """Delete all arrivals and counts, in the record file too.

        Raises:
            StorageError: the record file cannot be written; nothing is deleted.
        """
        with self._lock:
            if self._file is not None:
                self._file.clear()
            self._arrivals.clear()
            self._counter.clear()
        self._changed.emit(None)

    def subscribe(self, listener: Callable[[Arrival | None], None]) -> Callable[[], None]:
        """Call a listener with each new arrival, and with None after `clear`.

        Returns:
            A function that unsubscribes the listener.
        """
        return self._changed.subscribe(listener)

    def close(self) -> None:
        """Close the record file."""
        if self._file is not None:
            self._file.close()


def _size_of(arrival: Arrival) -> int:
    """Return about how many bytes an arrival takes in memory."""
    texts = (arrival.request, arrival.response, arrival.message, arrival.result)
    account = (arrival.user_code, arrival.channel, arrival.extension)
    return (
        text_size(*texts, *account)
        + 60 * len(arrival.recipients)
        + sum(map(len, arrival.recipients))
    )

"""Everything that arrived, how it ended, and how often each number was accepted."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from yunxin_soap.sandbox.arrivals.bounded import MAX_ITEMS, Bounded, text_size
from yunxin_soap.sandbox.arrivals.counter import Tally
from yunxin_soap.sandbox.signal import Signal
from yunxin_soap.wsdl import ProtocolName

if TYPE_CHECKING:
    from yunxin_soap.sandbox.arrivals.sqlite import Journal


class Outcome(str, Enum):
    """How the gateway took a request, whatever the caller got to know of it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """A negative code."""
    FAILED = "failed"
    """The method threw, or was never called because a fault came before it."""
    MALFORMED = "malformed"
    """Refused before the method was called."""


class NotKept(Exception):
    """What arrived could not be written to the journal; it says why."""


@dataclass(frozen=True)
class Arrival:
    """One request to the service, as it came and as it was answered."""

    number: int
    """Counted from 1 since the record began; clearing it does not start anew."""
    received_at: datetime
    outcome: Outcome
    answer: str
    """The text that the method answered, or what was wrong with the request."""
    status: int
    """The HTTP status that went out, or would have."""
    remote: str
    port: ProtocolName | None = None
    """None if the request never reached the method."""
    user_code: str = ""
    recipients: tuple[str, ...] = ()
    """The first 10,000: the gateway refuses more than 1,000."""
    message: str = ""
    channel: str = ""
    extension: str = ""
    batch_no: str | None = None
    fault: str | None = None
    """The kind of the fault that it met."""
    request: str = field(default="", repr=False)
    """The raw request, the password masked; no more than 16 Ki characters."""
    response: str = field(default="", repr=False)

    @property
    def summary(self) -> str:
        """One line about it, for people."""
        if self.port is None:
            return f"{self.outcome.value}: {self.answer}"
        numbers = ",".join(self.recipients[:3]) + (",…" if len(self.recipients) > 3 else "")
        fault = f", met the fault {self.fault!r}" if self.fault else ""
        answer = f" {self.answer}" if self.answer else ""
        return (
            f"{self.outcome.value}{answer}: to {numbers or 'nobody'} over {self.port}:"
            f" {self.message!r}{fault}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {
            "received_at": self.received_at.isoformat(),
            "outcome": self.outcome.value,
            "recipients": list(self.recipients),
        }


class Record:
    """Keeps the arrivals, in memory and, with a journal, on disk; safe to use from threads.

    Args:
        journal: where they are kept for good, before their answer goes out.

    Raises:
        ConfigurationError: the journal's file is damaged.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._arrivals = Bounded(_size)
        self._last = 0
        self._tally = Tally()
        self._changed = Signal[[Arrival | None]]()
        if journal is not None:
            with journal.readable():
                self._last = journal.last_number()
                for arrival in journal.latest(MAX_ITEMS):
                    self._arrivals.append(arrival)
                self._arrivals.dropped = journal.count() - len(self._arrivals)

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """What arrived, oldest first; as many as are kept in memory."""
        with self._lock:
            return tuple(self._arrivals)

    def arrival(self, number: int) -> Arrival | None:
        """Return the arrival of a number; None if it is not kept in memory."""
        with self._lock:
            at = bisect_left(self._arrivals, number, key=lambda each: each.number)
            found = self._arrivals[at] if at < len(self._arrivals) else None
        return found if found is not None and found.number == number else None

    @property
    def last(self) -> int:
        """The number of the last that arrived, cleared ones included; 0 at first."""
        return self._last

    @property
    def kept(self) -> int:
        """How many are kept in memory."""
        return len(self._arrivals)

    @property
    def dropped(self) -> int:
        """How many were dropped from memory since it was cleared."""
        return self._arrivals.dropped

    def times_accepted(self, number: str) -> int:
        """Return how often a number was accepted, dropped arrivals included."""
        with self._lock:
            return (self._journal or self._tally).times(number)

    @property
    def accepted_numbers(self) -> dict[str, int]:
        """How often each number was accepted, dropped arrivals included."""
        with self._lock:
            return (self._journal or self._tally).accepted()

    def add(self, **values: Any) -> Arrival:
        """Keep one more; the arguments are those of `Arrival`, but for its number.

        Raises:
            NotKept: the journal cannot be written; it is kept in memory, as failed.
        """
        failure = None
        with self._lock:
            self._last += 1
            arrival = Arrival(number=self._last, **values)
            if self._journal is not None:
                try:
                    self._journal.append(arrival)
                except NotKept as error:
                    failure = error
                    arrival = replace(
                        arrival,
                        outcome=Outcome.FAILED,
                        status=500,
                        answer=str(error),
                        batch_no=None,
                    )
            if arrival.batch_no is not None and self._journal is None:
                self._tally.add(arrival.recipients)
            self._arrivals.append(arrival)
        self._changed.emit(arrival)
        if failure is not None:
            raise failure
        return arrival

    def clear(self) -> None:
        """Forget everything, in the journal too.

        Raises:
            NotKept: the journal cannot be written; nothing is forgotten.
        """
        with self._lock:
            if self._journal is not None:
                self._journal.clear()
            self._arrivals.clear()
            self._tally.clear()
        self._changed.emit(None)

    def subscribe(self, listener: Callable[[Arrival | None], None]) -> Callable[[], None]:
        """Have each new arrival told, and None when all is cleared; returns what ends it."""
        return self._changed.subscribe(listener)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()


def _size(arrival: Arrival) -> int:
    """Return about how much memory an arrival takes."""
    texts = (arrival.request, arrival.response, arrival.message, arrival.answer)
    account = (arrival.user_code, arrival.channel, arrival.extension)
    return (
        text_size(*texts, *account)
        + 60 * len(arrival.recipients)
        + sum(map(len, arrival.recipients))
    )

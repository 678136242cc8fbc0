"""The injected faults, and which of them a submission triggers. No I/O."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from yunxin_soap.clock import timeout_clock
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.operation import ProtocolName
from yunxin_soap.sandbox.asmx.handler import Fields
from yunxin_soap.sandbox.faults.model import (
    BalanceFault,
    DelayFault,
    Fault,
    FaultKind,
    RefuseFault,
    SubmissionFault,
    TrickleFault,
)
from yunxin_soap.sandbox.signal import Signal
from yunxin_soap.sentences import Sentence

MAX_FAULTS = 1000
"""How many faults can be active at once."""


@dataclass(frozen=True)
class TriggeredFault:
    """A fault that one submission triggered."""

    fault: Fault
    seconds: float = 0.0
    """The fault's seconds, with the random jitter of this submission."""

    @property
    def kind(self) -> FaultKind:
        """The fault's kind."""
        return self.fault.kind


@dataclass(frozen=True)
class FaultStatus:
    """An injected fault, and how often it was triggered."""

    fault: Fault
    triggered: int
    """How many submissions triggered it."""
    exhausted: bool
    """Whether no further submission can trigger it."""


class _InjectedFault:
    """A fault with its counters and its random numbers."""

    def __init__(self, fault: Fault, clock: Callable[[], float]) -> None:
        self.fault = fault
        self.triggered = 0
        self._clock = clock
        self._matching = 0
        self._left = fault.left if isinstance(fault, BalanceFault) else 0
        self._random = random.Random(fault.seed)  # noqa: S311 - repeatable on purpose
        self.ends_at = 0.0
        """When the TCP port opens again, by the clock; only for a `RefuseFault`."""
        if isinstance(fault, RefuseFault):
            self.ends_at = clock() + fault.seconds
            if fault.jitter:
                self.ends_at += self._random.random() * fault.jitter

    @property
    def exhausted(self) -> bool:
        """Whether nothing further can trigger it."""
        if isinstance(self.fault, RefuseFault):
            return self._clock() >= self.ends_at
        return self.triggered == self.fault.times

    def trigger(self, numbers: int) -> TriggeredFault | None:
        """Count a matching submission; return the fault if the submission triggers it."""
        fault = self.fault
        assert isinstance(fault, SubmissionFault)
        self._matching += 1
        if self._matching <= fault.skip or self.exhausted:
            return None
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return None
        if isinstance(fault, BalanceFault) and numbers <= self._left:
            return None
        self.triggered += 1
        if not isinstance(fault, DelayFault | TrickleFault):
            return TriggeredFault(fault)
        jitter = self._random.random() * fault.jitter if fault.jitter else 0.0
        return TriggeredFault(fault, fault.seconds + jitter)

    def charge(self, numbers: int) -> None:
        """Subtract numbers from the balance that is left."""
        self._left -= numbers


class FaultInjector:
    """The active faults, in the order in which they were added. Thread-safe.

    Args:
        max_faults: how many faults can be active at once.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self, *, max_faults: int = MAX_FAULTS, clock: Callable[[], float] = timeout_clock
    ) -> None:
        self._max_faults, self._clock = max_faults, clock
        self._lock = threading.Lock()
        self._faults: dict[int, _InjectedFault] = {}
        self._last_id = 0
        self.on_refuse: Callable[[], None] = lambda: None
        """Called when a `RefuseFault` is added or removed."""
        self._changed = Signal[[]]()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener whenever `statuses` changes; return a function that unsubscribes it."""
        return self._changed.subscribe(listener)

    def add(self, fault: Fault) -> int:
        """Activate a fault and return its id.

        Raises:
            ConfigurationError: too many faults are active.
        """
        with self._lock:
            if len(self._faults) >= self._max_faults:
                # Exhausted faults are kept only so that people can see them.
                self._faults = {
                    fault_id: each for fault_id, each in self._faults.items() if not each.exhausted
                }
            if len(self._faults) >= self._max_faults:
                raise ConfigurationError(
                    Sentence(
                        "{count} faults are active: remove some of them.", count=self._max_faults
                    )
                )
            self._last_id += 1
            fault_id = self._last_id
            self._faults[fault_id] = _InjectedFault(fault, self._clock)
        if isinstance(fault, RefuseFault):
            self.on_refuse()
        self._changed.emit()
        return fault_id

    def remove(self, fault_id: int) -> bool:
        """Remove a fault; return False if there is none with this id."""
        with self._lock:
            removed = self._faults.pop(fault_id, None)
        if removed is None:
            return False
        if isinstance(removed.fault, RefuseFault):
            self.on_refuse()
        self._changed.emit()
        return True

    def clear(self) -> None:
        """Remove all faults."""
        for fault_id in self.statuses():
            self.remove(fault_id)

    def statuses(self) -> dict[int, FaultStatus]:
        """Return the status of every fault by its id, exhausted ones included."""
        with self._lock:
            return {
                fault_id: FaultStatus(each.fault, each.triggered, each.exhausted)
                for fault_id, each in self._faults.items()
            }

    def port_reopened(self) -> None:
        """Notify the listeners that the TCP port is open again."""
        self._changed.emit()

    def seconds_until_open(self) -> float:
        """Return the seconds until the TCP port may open, 0 if it may be open now."""
        with self._lock:
            ends = [
                each.ends_at
                for each in self._faults.values()
                if isinstance(each.fault, RefuseFault)
            ]
        return max(0.0, max(ends, default=0.0) - self._clock())

    def charge(self, fields: Fields, protocol: ProtocolName) -> None:
        """Charge an accepted submission to the matching balances."""
        self._charge(fields, protocol, _count_numbers(fields))

    def refund(self, fields: Fields, protocol: ProtocolName) -> None:
        """Undo the charge of a submission whose acceptance is rolled back."""
        self._charge(fields, protocol, -_count_numbers(fields))

    def _charge(self, fields: Fields, protocol: ProtocolName, numbers: int) -> None:
        with self._lock:
            for each in self._faults.values():
                fault = each.fault
                if isinstance(fault, BalanceFault) and fault.matches(fields, protocol):
                    each.charge(numbers)

    def trigger_unread(self) -> TriggeredFault | None:
        """Return the fault of a request that has not been read yet, or None."""
        return self._trigger(lambda fault: fault.when == "unread", 0)

    def trigger(self, fields: Fields, protocol: ProtocolName) -> TriggeredFault | None:
        """Return the fault that a submission triggers, or None."""
        return self._trigger(
            lambda fault: fault.when != "unread" and fault.matches(fields, protocol),
            _count_numbers(fields),
        )

    def _trigger(
        self, matches: Callable[[SubmissionFault], bool], numbers: int
    ) -> TriggeredFault | None:
        if not self._faults:
            return None
        with self._lock:
            candidates = (
                each.trigger(numbers)
                for each in self._faults.values()
                if isinstance(each.fault, SubmissionFault) and matches(each.fault)
            )
            triggered = next((each for each in candidates if each is not None), None)
        if triggered is not None:
            self._changed.emit()
        return triggered


def _count_numbers(fields: Fields) -> int:
    return (fields.get("DesNo") or "").count(",") + 1

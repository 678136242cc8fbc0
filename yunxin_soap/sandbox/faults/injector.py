"""The faults that are in force: which submits met them, and which the next one meets; no I/O."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.asmx.handler import Fields
from yunxin_soap.sandbox.faults.model import Fault, Kind
from yunxin_soap.sandbox.signal import Listeners
from yunxin_soap.wsdl import ProtocolName


class _Rule:
    """A fault, and what has become of it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.met = 0
        self._fitting = 0
        self._left = fault.left
        self._random = random.Random(fault.seed)  # noqa: S311 - to be repeated
        self.ends_at = time.monotonic() + fault.seconds
        """When connections are to be accepted again, if it refuses them."""
        if fault.kind is Kind.REFUSE and fault.jitter:
            self.ends_at += self._random.random() * fault.jitter

    @property
    def over(self) -> bool:
        """Whether it meets nothing more."""
        if self.fault.kind is Kind.REFUSE:
            return time.monotonic() >= self.ends_at
        return self.met == self.fault.times

    def meet(self, numbers: int) -> Fault | None:
        """Return what the next submit that fits, to so many numbers, meets."""
        fault = self.fault
        self._fitting += 1
        if self._fitting <= fault.skip or self.over:
            return None
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return None
        if fault.kind is Kind.BALANCE and numbers <= self._left:
            return None
        self.met += 1
        if not fault.jitter:
            return fault
        late = fault.seconds + self._random.random() * fault.jitter
        return replace(fault, seconds=late, jitter=0.0)

    def pay(self, numbers: int) -> None:
        """Take so many numbers off what is left of the balance."""
        self._left -= numbers


MAX_FAULTS = 1000
"""In force at once."""


@dataclass(frozen=True)
class Standing:
    """What has become of a fault."""

    fault: Fault
    met: int
    """How many submits it met."""
    over: bool
    """Whether it meets nothing more."""


class Faults:
    """The rules, in the order in which they were added; safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, _Rule] = {}
        self._last = 0
        self.on_refuse: Callable[[], None] = lambda: None
        """Called when a refusal to accept connections begins, or is ended early."""
        self._listeners = Listeners[[]]()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have it told whenever `standing` has changed; returns what ends it."""
        return self._listeners.add(listener)

    def add(self, fault: Fault) -> int:
        """Put a fault in force; return the number by which it is removed.

        Raises:
            ConfigurationError: there are `MAX_FAULTS` already.
        """
        with self._lock:
            if len(self._rules) >= MAX_FAULTS:
                # Those that are over are only kept to be looked at.
                self._rules = {no: rule for no, rule in self._rules.items() if not rule.over}
            if len(self._rules) >= MAX_FAULTS:
                raise ConfigurationError(f"{MAX_FAULTS} faults are in force: remove some.")
            self._last += 1
            number = self._last
            self._rules[number] = _Rule(fault)
        if fault.kind is Kind.REFUSE:
            self.on_refuse()
        self._listeners.tell()
        return number

    def remove(self, number: int) -> bool:
        """Take a fault out of force; False if there is none of that number."""
        with self._lock:
            rule = self._rules.pop(number, None)
        if rule is None:
            return False
        if rule.fault.kind is Kind.REFUSE:
            self.on_refuse()
        self._listeners.tell()
        return True

    def reopened(self) -> None:
        """Note that connections are accepted again."""
        self._listeners.tell()

    def refuses_for(self) -> float:
        """Return the seconds for which no connection is to be accepted from now on."""
        with self._lock:
            refusals = [r.ends_at for r in self._rules.values() if r.fault.kind is Kind.REFUSE]
        return max(0.0, max(refusals, default=0.0) - time.monotonic())

    def accepted(self, fields: Fields, port: ProtocolName) -> None:
        """Note that a submit was accepted, and so has to be paid for."""
        self._pay(fields, port, _numbers(fields))

    def taken_back(self, fields: Fields, port: ProtocolName) -> None:
        """Note that a submit was not accepted after all."""
        self._pay(fields, port, -_numbers(fields))

    def _pay(self, fields: Fields, port: ProtocolName, numbers: int) -> None:
        with self._lock:
            for rule in self._rules.values():
                if rule.fault.kind is Kind.BALANCE and rule.fault.asks_for(fields, port):
                    rule.pay(numbers)

    def clear(self) -> None:
        """Take all out of force."""
        for number in self.standing():
            self.remove(number)

    def standing(self) -> dict[int, Standing]:
        """Return what has become of each, by its number; also of those that are over."""
        with self._lock:
            return {
                number: Standing(rule.fault, rule.met, rule.over)
                for number, rule in self._rules.items()
            }

    def unread(self) -> Fault | None:
        """Return the fault for a request of which nothing was read yet."""
        return self._first(lambda fault: fault.when == "unread", 0)

    def of(self, fields: Fields, port: ProtocolName) -> Fault | None:
        """Return the fault for a submit."""

        def fits(fault: Fault) -> bool:
            is_for_it = fault.when != "unread" and fault.kind is not Kind.REFUSE
            return is_for_it and fault.asks_for(fields, port)

        return self._first(fits, _numbers(fields))

    def _first(self, fits: Callable[[Fault], bool], numbers: int) -> Fault | None:
        if not self._rules:
            return None
        with self._lock:
            met = (rule.meet(numbers) for rule in self._rules.values() if fits(rule.fault))
            found = next((fault for fault in met if fault is not None), None)
        if found is not None:
            self._listeners.tell()
        return found


def _numbers(fields: Fields) -> int:
    return (fields.get("DesNo") or "").count(",") + 1

"""What the attacked processes do: a campaign, or single sends with keys."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import signal
import struct
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tests.integration.campaign.killing.processes import Say
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client
from yunxin_soap.campaign import CampaignState, Ledger, State
from yunxin_soap.campaign.running import once
from yunxin_soap.errors import LedgerError, NotSent, OutcomeUnknown
from yunxin_soap.transport.http11 import Exchange

IN_FLIGHT = 8
"""Submissions that one runner has in flight at most."""
OPERATOR = "operator"


@dataclass(frozen=True)
class Seam:
    """Where a process stops itself."""

    where: str
    """``look``: before it looks at its lease for the last time, right before a write; ``write``:
    after that look; ``commit``: in a transaction, before its end."""
    after: int
    """How often it passes there before."""

    def install(self) -> None:
        """Let this process stop there."""
        left = self.after

        def passes() -> None:
            nonlocal left
            left -= 1
            if left == -1:
                os.kill(os.getpid(), signal.SIGSTOP)

        if self.where == "commit":
            sa.event.listen(sa.Engine, "commit", lambda _connection: passes())
            return
        begin = Exchange.begin

        def stopping(exchange: Exchange) -> Any:
            if self.where == "look":
                passes()
            data = begin(exchange)
            if self.where == "write":
                passes()
            return data

        Exchange.begin = stopping  # type: ignore[method-assign, assignment]


class Clock:
    """The wall clock of all processes of a round, which an attack sets."""

    def __init__(self) -> None:
        self._offset = mmap.mmap(-1, 8)
        true_time = time.time
        time.time = lambda: true_time() + self.offset

    @property
    def offset(self) -> float:
        """Seconds that it is ahead."""
        value: float = struct.unpack("d", self._offset[:8])[0]
        return value

    def step(self, seconds: float) -> None:
        """Set it forward, or back."""
        self._offset[:8] = struct.pack("d", self.offset + seconds)


@dataclass
class Work(ABC):
    """What is sent in a round.

    Args:
        ledger_url: the ledger.
        gateway_url: the gateway.
        heartbeat_timeout: seconds after which a silent runner is stalled.
    """

    ledger_url: str
    gateway_url: str
    heartbeat_timeout: float

    def ledger(self) -> Ledger:
        """Open the ledger."""
        return Ledger(self.ledger_url, heartbeat_timeout=self.heartbeat_timeout)

    def client(self) -> Client:
        """Make a client of the gateway."""
        return Client("demo", "demo", channel=37, endpoint=self.gateway_url, retries=0, timeout=5)

    @property
    def on_server(self) -> bool:
        """Whether the ledger is on a server, not in a file."""
        return "://" in self.ledger_url

    @property
    @abstractmethod
    def numbers(self) -> list[str]:
        """Every number that is to be sent to once."""

    def prepare(self) -> None:
        """Create the ledger, with what is to be sent as far as that is known."""
        self.ledger().close()

    @abstractmethod
    def attempt(self, say: Say, seed: int) -> None:
        """Send all that is left; an error of the ledger may end it before."""

    @abstractmethod
    def persist(self, say: Say, seed: int) -> None:
        """Send all that is left, as a supervisor does that starts its program again."""

    @abstractmethod
    def finish(self) -> None:
        """Send all that is left, when nothing disturbs it any more."""

    @abstractmethod
    def states(self, ledger: Ledger) -> dict[Any, tuple[State, str | None, list[str]]]:
        """Return the state, batch number and numbers of each submission."""

    @abstractmethod
    def decide(self, ledger: Ledger, submission: Any, accepted: bool) -> None:
        """Record that an unknown submission was accepted, or let it be sent again.

        Raises:
            NotInLedger: the ledger refuses to send it again.
        """


class Campaign(Work):
    """A campaign of 100 submissions."""

    size = 3
    count = 300

    @property
    def numbers(self) -> list[str]:
        return numbers(self.count)

    def prepare(self) -> None:
        with self.ledger() as ledger:
            self._plan(ledger)

    def _plan(self, ledger: Ledger) -> None:
        ledger.plan("a", self.numbers, TEXT, channel=37, max_recipients=self.size)

    def attempt(self, say: Say, seed: int) -> None:
        with self.ledger() as ledger, self.client() as client:
            self._plan(ledger)
            ledger.run("a", client, concurrency=IN_FLIGHT, on_progress=lambda _: say("sending"))

    def persist(self, say: Say, seed: int) -> None:
        while True:
            with contextlib.suppress(LedgerError), self.ledger() as ledger:
                self._plan(ledger)
                ledger.resume("a")
                with self.client() as client:
                    status = ledger.run(
                        "a", client, concurrency=IN_FLIGHT, on_progress=lambda _: say("sending")
                    )
                if status.state is CampaignState.DONE:
                    return
            time.sleep(0.1)

    def finish(self) -> None:
        with self.ledger() as ledger:
            self._plan(ledger)
            while True:
                ledger.resume("a")
                with self.client() as client:
                    status = ledger.run("a", client, concurrency=IN_FLIGHT)
                if status.state is CampaignState.DONE:
                    return

    def states(self, ledger: Ledger) -> dict[Any, tuple[State, str | None, list[str]]]:
        found: dict[Any, tuple[State, str | None, list[str]]] = {}
        if "a" in ledger.campaigns():
            for each in ledger.results("a"):
                entry = found.setdefault(each.submission_id, (each.state, each.batch_no, []))
                entry[2].append(each.number)
        return found

    def decide(self, ledger: Ledger, submission: Any, accepted: bool) -> None:
        ledger.resolve(
            "a",
            "accepted" if accepted else "resend",
            by=OPERATOR,
            submission_ids=[submission],
        )


class Singles(Work):
    """Forty single sends with keys, which every process tries in an order of its own."""

    lease_margin = 0.5
    count = 40

    @property
    def numbers(self) -> list[str]:
        return numbers(self.count)

    def client(self) -> Client:
        return Client(
            "demo",
            "demo",
            channel=37,
            endpoint=self.gateway_url,
            retries=0,
            timeout=1,
            connect_timeout=0.5,
            total_timeout=1.5,
        )

    def _keys(self, seed: int) -> list[str]:
        once.LEASE_MARGIN = self.lease_margin
        return random.Random(seed).sample(self.numbers, self.count)

    def attempt(self, say: Say, seed: int) -> None:
        with self.ledger() as ledger, self.client() as client:
            for number in self._keys(seed):
                say("sending")
                with contextlib.suppress(NotSent, OutcomeUnknown):
                    ledger.once.send(client, number, number, TEXT)

    def persist(self, say: Say, seed: int) -> None:
        left = self._keys(seed)
        while left:
            with (
                contextlib.suppress(LedgerError, NotSent),
                self.ledger() as ledger,
                self.client() as client,
            ):
                while left:
                    say("sending")
                    with contextlib.suppress(OutcomeUnknown):
                        ledger.once.send(client, left[0], left[0], TEXT)
                    left.pop(0)

    def finish(self) -> None:
        with self.ledger() as ledger, self.client() as client:
            for number in self._keys(0):
                with contextlib.suppress(OutcomeUnknown):
                    ledger.once.send(client, number, number, TEXT)

    def states(self, ledger: Ledger) -> dict[Any, tuple[State, str | None, list[str]]]:
        found: dict[Any, tuple[State, str | None, list[str]]] = {}
        for state in State:
            for key in ledger.once.keys(state):
                (record,) = ledger.find(key)
                assert record.key == key
                found[key] = (record.state, record.batch_no, [key])
        return found

    def decide(self, ledger: Ledger, submission: Any, accepted: bool) -> None:
        ledger.once.resolve(submission, "accepted" if accepted else "resend", by=OPERATOR)

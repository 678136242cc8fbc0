"""One round: an attack, what an operator does after it, and the comparison of both records."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.integration.campaign.killing.gateway import Gateway
from tests.integration.campaign.killing.processes import Hung, Machine, Process, Say
from tests.integration.campaign.killing.servers import Server
from tests.integration.campaign.killing.work import Clock, Seam, Work
from yunxin_soap.campaign import State
from yunxin_soap.errors import NotInLedger

_EXPECTED = ("LedgerError", "RunnerReclaimed")
"""What may end a runner that was attacked."""
_DECISIONS = 5
"""How often an operator has to decide at most."""


@dataclass
class Outcome:
    """What became of one round."""

    seed: int
    attack: str
    kind: str
    """Of the ledger."""
    work: str
    twice: int = 0
    """Numbers that the gateway accepted more than once."""
    lost: int = 0
    """Numbers that it never accepted, or that the ledger does not have."""
    unknown: int = 0
    """Submissions that an operator had to decide."""
    mistakes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.twice or self.lost or self.mistakes)

    def line(self) -> str:
        """Describe the round in one line."""
        return (
            f"{self.seed}: {self.attack}, {self.kind}, {self.work}: twice {self.twice},"
            f" lost {self.lost}, unknown {self.unknown}, {self.seconds:.1f} s"
        )


class Round:
    """What an attack works with.

    Args:
        rng: decides everything that is random.
        work: what is sent.
        gateway: where it is sent to.
        folder: for the files of the round.
        clock: the wall clock of all its processes.
        server: the database server, if it is the round's own.
    """

    def __init__(
        self,
        rng: random.Random,
        work: Work,
        gateway: Gateway,
        folder: Path,
        clock: Clock,
        server: Server | None,
    ) -> None:
        self.rng, self.work, self.gateway, self.folder = rng, work, gateway, folder
        self.clock, self.server = clock, server
        self.machine: Machine | None = None
        """Where the attacked processes are; None: on this machine."""
        self.processes: list[Process] = []
        self.allowed = 0
        """How many submissions the attack may leave unknown."""
        self.decided = 0
        """How many submissions an operator has decided."""
        self.notes: list[str] = []
        self.mistakes: list[str] = []

    def start(
        self, *, persistent: bool = False, seam: Seam | None = None, machine: Machine | None = None
    ) -> Process:
        """Start a process that sends.

        Args:
            persistent: whether it starts again after an error.
            seam: where it stops itself.
            machine: where it runs; None: on this machine.
        """
        name = f"{'persistent' if persistent else 'runner'}-{len(self.processes)}"
        send = self.work.persist if persistent else self.work.attempt
        work = partial(_send, send, seam, self.rng.randrange(1 << 30))
        self.processes.append(Process(name, work, self.folder, machine))
        return self.processes[-1]

    def sleep(self, seconds: float) -> None:
        """Wait for a random part of some seconds."""
        time.sleep(seconds * self.rng.random())

    def counts(self) -> Counter[State]:
        """Return the count of submissions in each state."""
        with self.work.ledger() as ledger:
            return Counter(state for state, _, _ in self.work.states(ledger).values())

    def decide(self) -> tuple[int, int]:
        """Decide what is unknown by the gateway's record, as an operator does.

        Returns:
            How many submissions are to be sent again, and for how many the ledger refused that.
        """
        resent, refused = 0, 0
        accepted = {n for batch in self.gateway.accepted().values() for n in batch}
        with self.work.ledger() as ledger:
            for submission, (state, _, numbers) in self.work.states(ledger).items():
                if state is not State.UNKNOWN:
                    continue
                was_accepted = accepted.issuperset(numbers)
                try:
                    self.work.decide(ledger, submission, was_accepted)
                except NotInLedger as error:
                    refused += 1
                    self.notes.append(f"refused: {error}")
                else:
                    self.decided += 1
                    resent += not was_accepted
        return resent, refused

    def decide_on(self, machine: Machine) -> None:
        """Decide on another machine."""

        def work(say: Say) -> None:
            before = self.decided
            _, refused = self.decide()
            say(f"decided {self.decided - before} {refused}")

        operator = Process("operator", work, self.folder, machine)
        self.processes.append(operator)
        _, decided, refused = operator.wait_for("decided").split()
        self.decided += int(decided)
        if int(refused):
            self.mistakes.append(f"{refused} decisions were refused where the process was killed")


def _send(send: Callable[[Say, int], None], seam: Seam | None, seed: int, say: Say) -> None:
    if seam is not None:
        seam.install()
    send(say, seed)


def play(round_: Round, attack: Callable[[Round], None], outcome: Outcome) -> None:
    """Attack, run to the end, and compare; write down what is found."""
    began = time.monotonic()
    try:
        attack(round_)
        _end_processes(round_, outcome)
        _conclude(round_, outcome)
    except Hung as hung:
        outcome.mistakes.append(f"hung: {hung}")
    finally:
        for process in round_.processes:
            process.kill()
        outcome.notes += round_.notes
        outcome.mistakes += round_.mistakes
        outcome.seconds = time.monotonic() - began


def _end_processes(round_: Round, outcome: Outcome) -> None:
    for process in round_.processes:
        end = process.join()
        if end:
            outcome.notes.append(f"{process.name}: {end}")
            if end.partition(":")[0] not in _EXPECTED:
                outcome.mistakes.append(f"{process.name} ended with {end}")


def _conclude(round_: Round, outcome: Outcome) -> None:
    """Send the rest, decide what is unknown, and compare the ledger with the gateway's record."""
    work = round_.work
    before = round_.counts()
    left = before[State.UNKNOWN] + before[State.SUBMITTING]
    work.finish()
    unknown = round_.counts()[State.UNKNOWN]
    outcome.unknown = round_.decided + unknown
    if unknown > left:
        outcome.mistakes.append(f"{unknown} unknown, {left} before the last run")
    if outcome.unknown > round_.allowed:
        outcome.mistakes.append(f"{outcome.unknown} unknown, {round_.allowed} were allowed")
    _compare(round_, outcome)
    for _ in range(_DECISIONS):
        if not round_.counts()[State.UNKNOWN]:
            break
        round_.gateway.restart()  # what it has not recorded by now, it never accepts
        if round_.machine is not None:  # only there it can be seen that a process was killed
            round_.decide_on(round_.machine)
        else:
            _, refused = round_.decide()
            if refused:
                round_.mistakes.append(f"{refused} decisions were refused after the end of all")
        work.finish()
    accepted = _compare(round_, outcome)
    with work.ledger() as ledger:
        states = work.states(ledger)
    sent = Counter(n for state, _, ns in states.values() if state is State.ACCEPTED for n in ns)
    outcome.twice = sum(1 for count in accepted.values() if count > 1)
    lost = [n for n in work.numbers if accepted[n] == 0 or sent[n] == 0]
    outcome.lost = len(lost)
    if extra := set(accepted) - set(work.numbers):
        outcome.mistakes.append(f"sent to {len(extra)} numbers of nobody")
    if too_often := [n for n, count in sent.items() if count > 1]:
        outcome.mistakes.append(f"{len(too_often)} numbers are in two accepted submissions")


def _compare(round_: Round, outcome: Outcome) -> Counter[str]:
    """Compare what the ledger says was accepted; return how often each number was."""
    record = round_.gateway.accepted()
    with round_.work.ledger() as ledger:
        states = round_.work.states(ledger)
    for submission, (state, batch_no, numbers) in states.items():
        # Without a batch number, an operator has decided.
        if state is State.ACCEPTED and batch_no and sorted(record[batch_no]) != sorted(numbers):
            outcome.mistakes.append(f"{submission} was not accepted as {batch_no}")
        if state is State.REJECTED:
            outcome.mistakes.append(f"{submission} was rejected")
    return Counter(number for batch in record.values() for number in batch)

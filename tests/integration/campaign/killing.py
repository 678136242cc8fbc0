"""Campaigns whose processes are killed at random moments: nothing is sent twice, nothing is lost.

``python -m tests.integration.campaign.killing --runs 100`` runs 100 campaigns, half of them in
SQLite and half in PostgreSQL. A process plans and runs each, and is killed by SIGKILL one to three
times, at random moments; sometimes the gateway is killed, too. Then the campaign is run to its end,
and compared with what the gateway itself has recorded.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.support.lists import TEXT, numbers
from tests.support.ports import free_port
from tests.support.postgresql import database
from yunxin_soap import Client, wsdl
from yunxin_soap.campaign import CampaignState, Ledger, Progress, State
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
from yunxin_soap.sandbox.arrivals.store import ArrivalStore

IN_FLIGHT = 8
SIZE = 3
COUNT = 600


@dataclass
class Gateway:
    """A sandbox in a process of its own, which keeps its record on disk."""

    path: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/MsgSend.asmx"

    def start(self) -> None:
        command = [sys.executable, "-m", "yunxin_soap", "sandbox", "--port", str(self.port)]
        command += ["--record", str(self.path), "--fault", "delay:seconds=0.001,jitter=0.02"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert "listens" in self.process.stdout.readline()

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def work(ledger_url: str, url: str, on_progress: Callable[[Progress], None]) -> None:
    """Plan the campaign, if the ledger does not have it, and run it."""
    with Ledger(ledger_url) as ledger:
        ledger.plan("a", numbers(COUNT), TEXT, channel=37, max_recipients=SIZE)
        with Client("demo", "demo", channel=37, endpoint=url, retries=0, timeout=5) as client:
            ledger.run(
                "a",
                client,
                concurrency=IN_FLIGHT,
                on_progress=on_progress,
            )


def _write(pipe: int) -> None:
    os.write(pipe, b".")


def run_and_kill(ledger_url: str, url: str, *, once_sending: bool, after: float) -> None:
    """Run the campaign in a process of its own, and kill that process if it is still at work.

    Args:
        ledger_url: the ledger.
        url: the gateway.
        once_sending: whether the time counts from its first submission, instead of its start.
        after: seconds until the kill.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException), Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 2)
            work(ledger_url, url, lambda _progress: _write(writer))
            status = 0
        os._exit(status)
    os.close(writer)
    if once_sending:
        os.read(reader, 1)  # empty, if it has ended without sending
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)


@dataclass
class Outcome:
    """What became of one campaign."""

    ledger_url: str
    kills: int
    gateway_kills: int
    phases: Counter[str]
    """The count of kills by what they left: no plan, submissions in flight, or none in flight."""
    unknown: int


def one(ledger_url: str, seed: int, folder: Path) -> Outcome:
    """Run one campaign, and compare it with the gateway's record.

    Raises:
        AssertionError: something was sent twice, or lost.
    """
    rng = random.Random(seed)
    gateway = Gateway(folder / f"{seed}.sqlite")
    gateway.start()
    kills = rng.randint(1, 3)
    gateway_kills = 0
    phases: Counter[str] = Counter()
    allowed = 0
    try:
        for _ in range(kills):
            with_gateway = rng.random() < 0.25
            # Planning takes a twentieth of a second, and running about one.
            once_sending = rng.random() < 0.7
            after = (0.7 if once_sending else 0.3) * rng.random()
            run_and_kill(ledger_url, gateway.url, once_sending=once_sending, after=after)
            if with_gateway:
                gateway.kill()
                gateway_kills += 1
                gateway.start()
            allowed += _look(ledger_url, phases)
        allowed += finish(ledger_url, gateway)
    finally:
        gateway.kill()
    return Outcome(
        ledger_url, kills, gateway_kills, phases, held_against(ledger_url, gateway.path, allowed)
    )


def _look(ledger_url: str, phases: Counter[str]) -> int:
    """Count what a kill left; return how many submissions may become unknown by it."""
    with Ledger(ledger_url) as ledger:
        if "a" not in ledger.campaigns():
            phases["nothing planned"] += 1
            return 0
        status = ledger.status("a")
    in_flight = status.submissions[State.SUBMITTING]
    assert in_flight <= IN_FLIGHT
    phases["submissions in flight" if in_flight else "nothing in flight"] += 1
    return in_flight


def finish(ledger_url: str, gateway: Gateway) -> int:
    """Run to the end; return how many submissions became unknown without a kill."""
    with Ledger(ledger_url) as ledger:
        ledger.plan("a", numbers(COUNT), TEXT, channel=37, max_recipients=SIZE)
        before = ledger.status("a").submissions
        had = before[State.UNKNOWN] + before[State.SUBMITTING]
        while True:
            ledger.resume("a")
            with Client("demo", "demo", channel=37, endpoint=gateway.url, timeout=5) as client:
                status = ledger.run("a", client, concurrency=IN_FLIGHT)
            if status.state is CampaignState.DONE:
                return status.submissions[State.UNKNOWN] - had


def held_against(ledger_url: str, record_path: Path, allowed: int) -> int:
    """Compare a ledger with the gateway's record; return how many submissions are unknown."""
    record = ArrivalStore(SqliteArrivals(record_path))
    try:
        accepted = record.accepted_numbers
        batches = {each.batch_no: set(each.recipients) for each in record.arrivals}
    finally:
        record.close()
    assert set(accepted.values()) <= {1}, "a number was accepted twice"
    with Ledger(ledger_url) as ledger:
        status = ledger.status("a")
        assert sum(status.numbers.values()) == status.planned == COUNT
        recorded: dict[str, set[str]] = {}
        seen: Counter[str] = Counter()
        for each in ledger.results("a"):
            seen[each.number] += 1
            if each.state is State.ACCEPTED:
                assert each.batch_no is not None
                recorded.setdefault(each.batch_no, set()).add(each.number)
            elif each.state is State.REJECTED:
                assert each.number not in accepted
            else:
                assert each.state is State.UNKNOWN
        assert seen == Counter(numbers(COUNT)), "a number was lost"
        for batch_no, members in recorded.items():
            assert batches[batch_no] == members, "accepted, and not under that batch number"
    unknown = status.submissions[State.UNKNOWN]
    assert unknown <= allowed, f"{unknown} submissions are unknown, {allowed} were in flight"
    return unknown


@contextlib.contextmanager
def ledgers(kind: str, folder: Path) -> Iterator[Callable[[int], str]]:
    """Give addresses of new ledgers."""
    with contextlib.ExitStack() as stack:

        def make(seed: int) -> str:
            if kind == "sqlite":
                return str(folder / f"ledger-{seed}.sqlite")
            return stack.enter_context(contextlib.contextmanager(database)())

        yield make


@click.command()
@click.option("--runs", default=100, show_default=True, help="Campaigns in all.")
@click.option("--seed", default=0, show_default=True, help="Of the first.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["sqlite", "postgresql"]),
    default=["sqlite", "postgresql"],
    show_default=True,
    help="Of the ledger; with both, they take turns.",
)
def main(runs: int, seed: int, kinds: tuple[str, ...]) -> None:
    """Kill, resume, and compare; it ends with a table, or with the first mistake."""
    total: Counter[str] = Counter()
    wsdl.load(None)  # each process would load it first, and be killed during that
    with tempfile.TemporaryDirectory() as name:
        for number in range(seed, seed + runs):
            kind = kinds[number % len(kinds)]
            with ledgers(kind, Path(name)) as make:
                outcome = one(make(number), number, Path(name))
            total += Counter({f"campaigns in {kind}": 1, "processes killed": outcome.kills})
            total += Counter(
                {"gateways killed": outcome.gateway_kills, "unknown submissions": outcome.unknown}
            )
            total += Counter({f"killed with {what}": n for what, n in outcome.phases.items()})
            click.echo(f"{number}: {kind}, {dict(outcome.phases)}, {outcome.unknown} unknown")
    for what, count in sorted(total.items()):
        click.echo(f"{count:6} {what}")
    click.echo("No number was accepted twice, and none is missing.")


if __name__ == "__main__":
    main()

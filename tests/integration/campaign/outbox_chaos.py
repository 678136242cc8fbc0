"""Orders and their notices: shops that commit, roll back and are killed, and workers that send.

``python -m tests.integration.campaign.outbox_chaos`` plays 1,000 orders on each database, and
prints what became of the notices. It kills the shops and the workers at random, and replaces them.
"""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click
import sqlalchemy as sa

from tests.integration.campaign.killing.gateway import Gateway
from tests.integration.campaign.killing.processes import Hung, Process, Say
from tests.integration.campaign.killing.servers import KINDS, shared_ledger
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, wsdl
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.errors import LedgerError, NotSent, OutcomeUnknown

SHOPS = WORKERS = 2
CONCURRENCY = 16
"""Queued sends that a worker has in flight at most."""
_ROLLED_BACK = 0.3
"""The share of the orders that are rolled back."""
_SENT_AT_ONCE = 0.2
"""The share of the notices that the shop itself sends after its commit."""
_PATIENCE = 240.0
"""Seconds in which every notice must have ended, once nothing is killed any more."""


@dataclass
class Outcome:
    """What became of the orders on one database."""

    kind: str
    orders: int
    committed: int = 0
    once: int = 0
    unknown: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """Describe it in one line."""
        return (
            f"{self.kind}: {self.orders} orders, {self.committed} committed; killed"
            f" {self.killed['shop']} shops and {self.killed['worker']} workers; notices accepted"
            f" once {self.once}, unknown {self.unknown}, mistakes {len(self.mistakes)};"
            f" {self.seconds:.0f} s"
        )


@dataclass(frozen=True)
class Shop:
    """Takes every second order, say, and notes how far it is."""

    url: str
    gateway_url: str
    seed: int
    orders: range
    progress: Path

    def run(self, _say: Say) -> None:
        """Take the orders that are left."""
        engine = sa.create_engine(engine_url(self.url), **engine_options(self.url))
        done = int(self.progress.read_text() or "-1") if self.progress.exists() else -1
        with Ledger(self.url, heartbeat_timeout=1.0) as ledger, client(self.gateway_url) as sender:
            for number in self.orders:
                if number > done:
                    self._take(engine, ledger, sender, number)
                    self.progress.write_text(str(number))
        engine.dispose()

    def _take(self, engine: sa.Engine, ledger: Ledger, sender: Client, number: int) -> None:
        rng = random.Random(self.seed * 1_000_003 + number)
        pause = partial(_pause, rng)
        to = numbers(1, start=13910000000 + number)[0]
        with engine.connect() as connection:
            taken = connection.execute(sa.text(f"SELECT id FROM orders WHERE id = {number}"))
            if taken.first() is not None:  # it was killed after the commit
                return
            connection.rollback()
            pause()
            connection.execute(sa.text(f"INSERT INTO orders VALUES ({number})"))
            pause()
            queued = ledger.once.enqueue(str(number), to, TEXT, channel="37", connection=connection)
            assert queued, "the key of an order that was never committed is used"
            pause()
            if rng.random() < _ROLLED_BACK:
                connection.rollback()
                return
            connection.commit()
        pause()
        if rng.random() < _SENT_AT_ONCE:
            with suppress(NotSent, OutcomeUnknown):
                ledger.once.send_queued(sender, str(number))


def _pause(rng: random.Random) -> None:
    time.sleep(rng.random() * 0.004)


def work(url: str, gateway_url: str, _say: Say) -> None:
    """Work until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Ledger(url, heartbeat_timeout=1.0) as ledger, client(gateway_url) as sender:
        ledger.work(sender, concurrency=CONCURRENCY, stop=stop)


def client(gateway_url: str) -> Client:
    """Return a client of the gateway."""
    return Client("demo", "demo", channel=37, endpoint=gateway_url, retries=0, timeout=5)


def engine_url(url: str) -> sa.URL:
    """Return the ledger's address for the application's own engine."""
    if "://" not in url:
        return sa.URL.create("sqlite", database=url)
    address = sa.make_url(url)
    driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    return address.set(drivername=driver[address.get_backend_name()])


def engine_options(url: str) -> dict[str, object]:
    """Return the arguments of the application's engine: writers of a file wait for each other."""
    return {} if "://" in url else {"connect_args": {"timeout": 60}}


class Play:
    """One database, its shops and its workers."""

    def __init__(self, url: str, kind: str, orders: int, seed: int, folder: Path) -> None:
        self._url, self._folder, self._orders = url, folder, orders
        self._rng = random.Random(seed)
        self.outcome = Outcome(kind, orders)
        Ledger(url).close()
        self._write("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        self._gateway = Gateway(folder)
        self._shops = [
            Shop(url, self._gateway.url, seed, range(at, orders, SHOPS), folder / f"shop-{at}")
            for at in range(SHOPS)
        ]
        self._makers: dict[str, Callable[[Say], None]] = {
            f"shop {at}": shop.run for at, shop in enumerate(self._shops)
        }
        for at in range(WORKERS):
            self._makers[f"worker {at}"] = partial(work, url, self._gateway.url)
        self._running: dict[str, Process] = {}
        self._all: list[Process] = []

    def play(self) -> None:
        """Kill and replace until every order is taken; then wait for the notices, and compare."""
        began = time.monotonic()
        try:
            for name in self._makers:
                self._start(name)
            while any(name.startswith("shop") for name in self._running):
                time.sleep(self._rng.uniform(0.05, 0.6))
                self._reap_shops()
                if self._running:
                    self._kill(self._rng.choice(sorted(self._running)))
            self._finish()
            self._compare()
        except Hung as hung:
            self.outcome.mistakes.append(f"hung: {hung}")
        finally:
            for process in self._all:
                process.kill()
            self._gateway.kill()
            self.outcome.seconds = time.monotonic() - began

    def _start(self, name: str) -> None:
        process = Process(name.replace(" ", "-"), self._makers[name], self._folder)
        self._running[name] = process
        self._all.append(process)

    def _reap_shops(self) -> None:
        """Take out the shops that have taken all their orders."""
        for name, process in list(self._running.items()):
            if process.is_over:
                end = process.join()
                del self._running[name]
                if name.startswith("worker"):
                    self.outcome.mistakes.append(f"a {name} ended by itself: {end}")
                    self._start(name)
                elif end:
                    self.outcome.mistakes.append(f"a {name} ended: {end}")

    def _kill(self, name: str) -> None:
        process = self._running[name]
        if process.is_over:
            return
        process.kill()
        if process.end is None:
            self.outcome.killed[name.split()[0]] += 1
        if process.end != "" or name.startswith("worker"):
            self._start(name)
        else:  # it had just taken its last order
            del self._running[name]

    def _finish(self) -> None:
        """Wait until no notice is left, and stop the workers."""
        give_up = time.monotonic() + _PATIENCE
        while (counts := self._counts())[State.PENDING] + counts[State.SUBMITTING]:
            if time.monotonic() > give_up:
                raise Hung(f"{counts[State.PENDING]} pending, {counts[State.SUBMITTING]} in flight")
            time.sleep(0.2)
        for name, process in self._running.items():
            process.terminate()
            if end := process.join():
                self.outcome.mistakes.append(f"{name} did not end well: {end}")

    def _counts(self) -> dict[State, int]:
        while True:
            with suppress(LedgerError), Ledger(self._url) as ledger:
                return ledger.once.counts()

    def _compare(self) -> None:
        """Compare the orders, the ledger and the gateway's record."""
        found, mistakes = self.outcome, self.outcome.mistakes
        committed = self._committed()
        found.committed = len(committed)
        accepted = Counter(n for batch in self._gateway.accepted().values() for n in batch)
        with Ledger(self._url) as ledger:
            states = {int(key): state for state in State for key in ledger.once.keys(state)}
        for number in range(self._orders):
            to = numbers(1, start=13910000000 + number)[0]
            state, times = states.get(number), accepted[to]
            if number not in committed:
                if state is not None or times:
                    mistakes.append(f"the order {number} was rolled back: {state}, sent {times}")
            elif state is State.ACCEPTED and times == 1:
                found.once += 1
            elif state is State.UNKNOWN and times <= 1:
                found.unknown += 1
            else:
                mistakes.append(f"the order {number} was committed: {state}, sent {times}")
        allowed = found.killed["worker"] * CONCURRENCY + found.killed["shop"]
        if found.unknown > allowed:
            mistakes.append(f"{found.unknown} unknown, {allowed} were allowed")
        if not 0 < len(committed) < self._orders:
            mistakes.append("nothing was rolled back, or everything")

    def _committed(self) -> set[int]:
        with self._engine() as engine, engine.connect() as connection:
            return set(connection.scalars(sa.text("SELECT id FROM orders")))

    def _write(self, statement: str) -> None:
        with self._engine() as engine, engine.begin() as connection:
            connection.execute(sa.text(statement))

    @contextmanager
    def _engine(self) -> Iterator[sa.Engine]:
        engine = sa.create_engine(engine_url(self._url), **engine_options(self._url))
        yield engine
        engine.dispose()


@click.command()
@click.option("--orders", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--database", "kinds", multiple=True, type=click.Choice(list(KINDS)))
def main(orders: int, seed: int, kinds: tuple[str, ...]) -> None:
    """Play the orders on each database, and print what became of the notices."""
    wsdl.load(None)  # else each process would load it first, and be killed during that
    is_good = True
    for kind in kinds or KINDS:
        folder = Path(tempfile.mkdtemp(prefix="yunxin-outbox-"))
        with shared_ledger(kind, folder) as url:
            play = Play(url, kind, orders, seed, folder)
            play.play()
        click.echo(play.outcome.line())
        for each in play.outcome.mistakes:
            click.echo(f"    {each}")
        if play.outcome.mistakes:
            is_good = False
            click.echo(f"    The files are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

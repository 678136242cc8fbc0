"""Kills Celery workers at random while they send a campaign, and restarts broker and database.

``python -m tests.integration.celery.chaos --numbers 200000`` sends to 200,000 numbers on each
broker and each database. 1 % of the responses are lost. At the end, the ledger is compared with
the record of the gateway.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.integration.campaign.killing.gateway import Gateway
from tests.integration.campaign.killing.processes import PATIENCE, Hung, wait_until
from tests.integration.campaign.killing.servers import SERVERS, Server, servers_missing
from tests.integration.celery.app import make_app
from tests.integration.celery.workers import Deployment, Worker
from tests.support.brokers import (
    RABBITMQ,
    BrokerProxy,
    RedisServer,
    delete_queue,
    rabbitmq_missing,
    redis_missing,
)
from tests.support.lists import TEXT, numbers
from yunxin_soap import wsdl
from yunxin_soap.campaign import CampaignState, Ledger, State
from yunxin_soap.errors import LedgerError

WORKERS = 4
CONCURRENCY = 8
"""Submissions that one worker has in flight at most."""
HEARTBEAT_TIMEOUT = 10.0
NAME = "campaign"
BROKERS = ("redis", "rabbitmq")


@dataclass
class Outcome:
    """What became of one campaign."""

    broker: str
    database: str
    numbers: int
    attacks: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    """Numbers that the gateway accepted more than once."""
    missing: int = 0
    """Numbers that the ledger says were accepted, and the gateway does not, or that it lacks."""
    unknown: int = 0
    lost: int = 0
    """Responses that were lost."""
    seconds: float = 0.0
    mistakes: list[str] = field(default_factory=list)

    @property
    def allowed(self) -> int:
        """How many submissions may be unknown; a warm shutdown leaves none."""
        return CONCURRENCY * (self.attacks["kill"] + self.attacks["kill child"]) + self.lost

    @property
    def is_good(self) -> bool:
        """Whether it kept all promises."""
        return not (self.twice or self.missing or self.mistakes)

    def line(self) -> str:
        """Describe it in one line."""
        attacks = ", ".join(f"{count} x {name}" for name, count in sorted(self.attacks.items()))
        return (
            f"{self.broker}, {self.database}, {self.numbers} numbers: accepted twice {self.twice},"
            f" missing {self.missing}, unknown {self.unknown} of {self.allowed} allowed, lost"
            f" responses {self.lost}; {attacks}; {self.seconds:.0f} s"
        )


class Chaos:
    """One campaign.

    Args:
        folder: for all its files.
        outcome: what is filled in.
        rng: decides everything that is random.
        size: numbers of a submission.
        pause: seconds between two attacks on average.
    """

    def __init__(
        self, folder: Path, outcome: Outcome, rng: random.Random, size: int, pause: float
    ) -> None:
        self._folder, self._outcome, self._rng = folder, outcome, rng
        self._size, self._pause = size, pause
        self._workers: list[Worker] = []
        self._ending: list[Worker] = []
        """Workers that shut down."""
        self._sent = 0, time.monotonic()
        """How many batches the gateway accepted, and when that had changed."""

    def run(self) -> None:
        """Send the campaign, attack its workers, and compare."""
        outcome = self._outcome
        began = time.monotonic()
        with ExitStack() as stack:
            # It forks, so it comes before whatever has threads.
            self._gateway = Gateway(
                self._folder, ["close:when=after,probability=0.01", "delay:seconds=0.02,jitter=0.1"]
            )
            stack.callback(self._gateway.kill)
            self._database: Server = SERVERS[outcome.database](self._folder, self._folder)
            stack.callback(self._database.stop)
            queue = f"yunxin-{uuid.uuid4().hex}"
            self._broker: RedisServer | BrokerProxy
            if outcome.broker == "redis":
                self._broker = RedisServer(self._folder)
            else:
                self._broker = BrokerProxy(RABBITMQ)
                stack.callback(delete_queue, queue)
            stack.callback(self._broker.stop)
            self._deployment = Deployment(
                self._folder,
                self._broker.url,
                queue,
                self._database.url,
                self._gateway.url,
                setup={
                    "slice_seconds": 5.0,
                    "sweep_interval": 1.0,
                    "heartbeat_timeout": HEARTBEAT_TIMEOUT,
                },
            )
            self._ledger = stack.enter_context(
                Ledger(self._database.url, heartbeat_timeout=HEARTBEAT_TIMEOUT)
            )
            self._send(stack)
            self._end()
            self._compare()
        outcome.seconds = time.monotonic() - began

    def _send(self, stack: ExitStack) -> None:
        self._ledger.plan(
            NAME, numbers(self._outcome.numbers), TEXT, channel=37, max_recipients=self._size
        )
        self._ledger.start(
            NAME, workers=WORKERS, concurrency=CONCURRENCY, failure_threshold=1_000_000
        )
        beat = self._deployment.start_beat()
        stack.callback(beat.kill)
        stack.callback(self._kill_all)
        self._workers = [self._start() for _ in range(WORKERS)]
        for each in self._workers:
            each.wait_until_ready()
        app = make_app(self._deployment.settings)
        app.send_task("yunxin_soap.run_campaign", [NAME])
        wait_until(lambda: self._ledger.progress(NAME).accepted > 0, "it begins")
        while not self._is_done():
            self._attack()
            self._check_progress()

    def _start(self) -> Worker:
        return self._deployment.start("--pool", "prefork", "-c", "1")

    def _is_done(self) -> bool:
        try:
            return self._ledger.status(NAME).state is CampaignState.DONE
        except LedgerError:  # the database is being restarted
            return False

    def _check_progress(self) -> None:
        """Fail if nothing more is sent.

        Raises:
            Hung: nothing was for a minute.
        """
        sent, now = self._gateway.accepted_count(), time.monotonic()
        if sent > self._sent[0]:
            self._sent = sent, now
        elif now > self._sent[1] + PATIENCE:
            raise Hung(f"nothing is sent any more: {self._ledger.status(NAME)}")

    def _attack(self) -> None:
        attacks: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "kill child": self._kill_child,
            "shut down": self._shut_down,
            "restart broker": self._restart_broker,
            "restart database": self._database.restart,
        }
        missing = [each for each in attacks if not self._outcome.attacks[each]]
        if missing:  # each of them once, however fast it is sent
            share = 0.15 * (1 + len(attacks) - len(missing))
            count = self._outcome.numbers // self._size * share
            wait_until(lambda: self._gateway.accepted_count() >= count, "more is sent")
            name = missing[0]
        else:
            time.sleep(self._rng.expovariate(1 / self._pause))
            (name,) = self._rng.choices([*attacks], [6, 2, 2, 1, 1])
        if not self._is_done():
            self._outcome.attacks[name] += 1
            attacks[name]()

    def _kill(self) -> None:
        victim = self._rng.randrange(WORKERS)
        self._workers[victim].kill()
        self._workers[victim] = self._start()

    def _shut_down(self) -> None:
        ready = [at for at, each in enumerate(self._workers) if each.is_ready]
        if ready:
            at = self._rng.choice(ready)
            self._workers[at].signal()
            self._ending.append(self._workers[at])
            self._workers[at] = self._start()

    def _end(self) -> None:
        """Shut all workers down."""
        for each in self._workers:
            each.wait_until_ready()
            each.signal()
        for each in (*self._workers, *self._ending):
            if (status := each.join()) != 0:
                self._outcome.mistakes.append(f"a worker ended with {status}: {each.log[-500:]}")

    def _kill_all(self) -> None:
        for each in (*self._workers, *self._ending):
            each.kill()

    def _kill_child(self) -> None:
        self._rng.choice(self._workers).kill_pool()

    def _restart_broker(self) -> None:
        self._broker.stop()
        time.sleep(self._rng.random())
        self._broker.start()

    def _compare(self) -> None:
        outcome = self._outcome
        record = self._gateway.accepted()
        times = Counter(number for batch in record.values() for number in batch)
        outcome.twice = sum(1 for count in times.values() if count > 1)
        outcome.lost = self._gateway.hit_by("close")
        unknown: set[int] = set()
        left = outcome.numbers
        for each in self._ledger.results(NAME):
            left -= 1
            if each.state is State.UNKNOWN:
                unknown.add(each.submission_id)
            elif each.state is not State.ACCEPTED:
                outcome.mistakes.append(f"submission {each.submission_id} is {each.state.value}")
            elif each.number not in record[each.batch_no or ""]:
                outcome.missing += 1
        outcome.missing += left
        outcome.unknown = len(unknown)
        if outcome.unknown > outcome.allowed:
            outcome.mistakes.append("more are unknown than were in flight when workers died")


def missing(broker: str, database: str) -> str:
    """Return why a campaign cannot be run; empty if it can."""
    return (redis_missing() if broker == "redis" else rabbitmq_missing()) or servers_missing(
        database
    )


@click.command()
@click.option(
    "--numbers", "count", default=200_000, show_default=True, help="Numbers of each campaign."
)
@click.option("--size", default=20, show_default=True, help="Numbers of a submission.")
@click.option("--pause", default=5.0, show_default=True, help="Seconds between attacks.")
@click.option("--seed", default=0, show_default=True)
@click.option("--broker", "brokers", multiple=True, type=click.Choice(BROKERS))
@click.option("--database", "databases", multiple=True, type=click.Choice(list(SERVERS)))
def main(
    count: int,
    size: int,
    pause: float,
    seed: int,
    brokers: tuple[str, ...],
    databases: tuple[str, ...],
) -> None:
    """Send a campaign on each broker and database, and print what became of it."""
    wsdl.load(None)  # else each process would load it first, and be killed during that
    is_good = True
    for broker in brokers or BROKERS:
        for database in databases or SERVERS:
            if why := missing(broker, database):
                click.echo(f"skipped, {why}")
                continue
            folder = Path(tempfile.mkdtemp(prefix="yunxin-chaos-"))
            folder.chmod(0o755)  # the users of database servers pass through it
            outcome = Outcome(broker, database, count)
            Chaos(folder, outcome, random.Random(seed), size, pause).run()
            click.echo(outcome.line())
            for each in outcome.mistakes:
                click.echo(f"    {each}")
            if outcome.is_good:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                click.echo(f"The files of what went wrong are in {folder}.")
                is_good = False
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

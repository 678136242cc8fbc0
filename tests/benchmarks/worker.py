"""Measures workers: how many submissions a second one process sends, and two.

``python -m tests.benchmarks.worker`` measures the queue and a started campaign, in PostgreSQL,
against the minimal responder, and prints the ratios. With ``--delay``, the responder takes that
long, as a gateway does: then the workers wait for it, and cores are free. With ``--profile``, it
prints instead where one worker spends its time.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import psutil
import sqlalchemy as sa

from tests.benchmarks.responder import responder
from tests.support.lists import numbers
from tests.support.mariadb import mariadb_database
from tests.support.postgresql import database
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.schema import submission

_TEXT = "您的订单已发货【签名】"
_OURS = Path(__file__).parents[2]
_SHOWN = 30


def work(address: str, endpoint: str, concurrency: int, profile: str) -> None:
    """Work until SIGTERM; then print the profile, if wanted."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    profiler = cProfile.Profile() if profile else None
    with (
        Ledger(address) as ledger,
        Client("demo", "demo", endpoint=endpoint, retries=0, max_connections=200) as client,
    ):
        if profiler is None:
            ledger.work(client, concurrency=concurrency, stop=stop)
        else:
            profiler.runcall(ledger.work, client, concurrency=concurrency, stop=stop)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(_SHOWN)


@contextmanager
def _workers(
    count: int, address: str, endpoint: str, concurrency: int, profile: bool
) -> Iterator[list[psutil.Process]]:
    """Run workers, and end them when the block ends."""
    arguments = [address, endpoint, str(concurrency), "profile" if profile else ""]
    started = [
        subprocess.Popen(
            [sys.executable, __file__, *arguments],
            env={**os.environ, "PYTHONPATH": str(_OURS)},
        )
        for _ in range(count)
    ]
    try:
        yield [psutil.Process(each.pid) for each in started]
    finally:
        for each in started:
            each.terminate()
        for each in started:
            each.wait()


def _seconds(address: str) -> float:
    """Return the seconds from the first claim to the last end, by the ledger's clock."""
    engine = open_engine(address)
    with engine.connect() as connection:
        first, last = connection.execute(
            sa.select(sa.func.min(submission.c.sent_at), sa.func.max(submission.c.ended_at))
        ).one()
    engine.dispose()
    return float(last - first)


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def measure(
    kind: str,
    address: str,
    endpoint: str,
    *,
    workers: int,
    count: int,
    concurrency: int,
    profile: bool = False,
) -> tuple[float, float]:
    """Return the submissions a second, and the cores that each worker used.

    Args:
        kind: ``queue`` or ``campaign``.
        address: an empty ledger.
        endpoint: the gateway.
        workers: how many processes work.
        count: how many submissions they send.
        concurrency: those in flight at most, of each worker.
        profile: whether the workers print their profile.
    """
    with (
        Ledger(address) as ledger,
        _workers(workers, address, endpoint, concurrency, profile) as processes,
    ):
        time.sleep(3.0)  # until each has begun, and found nothing
        before, to = _cpu(processes), numbers(count)
        if kind == "queue":
            engine = open_engine(address)
            with engine.begin() as connection:
                for key, number in enumerate(to):
                    ledger.once.enqueue(str(key), number, _TEXT, channel=37, connection=connection)
            engine.dispose()
            while (counts := ledger.once.counts())[State.PENDING] + counts[State.SUBMITTING]:
                time.sleep(0.5)
        else:
            ledger.plan("a", to, _TEXT, channel=37, max_recipients=1)
            ledger.start("a", workers=workers, concurrency=concurrency)
            while ledger.status("a").numbers[State.ACCEPTED] < count:
                time.sleep(0.5)
        seconds = _seconds(address)
        return count / seconds, (_cpu(processes) - before) / seconds / workers


@contextmanager
def _new_ledger(kind: str) -> Iterator[str]:
    yield from {"postgresql": database, "mariadb": mariadb_database}[kind]()


@click.command()
@click.option("--sends", default=3000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--concurrency", default=16, show_default=True)
@click.option("--delay", default=0.0, show_default=True, help="Seconds of a response.")
@click.option("--ledger", default="postgresql", type=click.Choice(["postgresql", "mariadb"]))
@click.option("--kind", "kinds", multiple=True, type=click.Choice(["queue", "campaign"]))
@click.option("--profile", is_flag=True)
def main(
    sends: int,
    rounds: int,
    concurrency: int,
    delay: float,
    ledger: str,
    kinds: tuple[str, ...],
    profile: bool,
) -> None:
    """Print the median of the submissions a second of one worker and of two, and their ratio."""
    with responder(delay) as endpoint:
        for kind in kinds or ("queue", "campaign"):
            rates: dict[int, list[float]] = {1: [], 2: []}
            cores: dict[int, list[float]] = {1: [], 2: []}
            psutil.cpu_percent()
            for _ in range(1 if profile else rounds):
                for workers in [1] if profile else [1, 2]:
                    with ExitStack() as stack:
                        rate, used = measure(
                            kind,
                            stack.enter_context(_new_ledger(ledger)),
                            endpoint,
                            workers=workers,
                            count=sends,
                            concurrency=concurrency,
                            profile=profile,
                        )
                    rates[workers].append(rate)
                    cores[workers].append(used)
            if profile:
                continue
            one, two = (statistics.median(rates[workers]) for workers in (1, 2))
            click.echo(
                f"{kind}, {ledger}, a response takes {delay:g} s: one worker {one:.0f} a second"
                f" ({statistics.median(cores[1]):.2f} cores), two {two:.0f}"
                f" ({statistics.median(cores[2]):.2f} cores each), ratio {two / one:.2f}; all of"
                f" the machine was {psutil.cpu_percent():.0f} % busy"
            )


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1].count("://"):
        work(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main()

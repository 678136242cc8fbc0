"""Measures single sends: how many new keys a second eight threads send through one ledger.

``python -m tests.benchmarks.once`` measures in SQLite and PostgreSQL, against the minimal
responder. With ``--beside``, it measures another checkout of this package in turn, and the ratio.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click

from tests.benchmarks.responder import responder
from tests.support.postgresql import database

_THREADS = 8
_OURS = Path(__file__).parents[2]
_LEDGERS = "sqlite", "postgresql"


def _send(address: str, endpoint: str, count: int) -> float:
    """Return how many sends a second were made, once every thread has its connections."""
    from yunxin_soap import Client
    from yunxin_soap.campaign import Ledger

    with (
        Ledger(address) as ledger,
        Client("demo", "demo", channel="37", endpoint=endpoint) as client,
        ThreadPoolExecutor(_THREADS) as pool,
    ):

        def send(key: int) -> str:
            return ledger.once.send(client, f"order-{key}", "13900000000", "您好【签名】").batch_no

        list(pool.map(send, range(-20 * _THREADS, 0)))
        began_at = time.perf_counter()
        list(pool.map(send, range(count)))
        return count / (time.perf_counter() - began_at)


@contextmanager
def _new_ledger(kind: str) -> Iterator[str]:
    if kind == "postgresql":
        yield from database()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"{folder}/l.sqlite"


def _measure(checkout: Path, kind: str, endpoint: str, count: int) -> float:
    """Return the sends a second of one checkout, in a process of its own."""
    with _new_ledger(kind) as address:
        done = subprocess.run(
            [sys.executable, __file__, address, endpoint, str(count)],
            env={**os.environ, "PYTHONPATH": f"{checkout}{os.pathsep}{_OURS}"},
            stdout=subprocess.PIPE,
            check=True,
        )
    return float(done.stdout)


@click.command()
@click.option("--sends", default=2000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--beside", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(sends: int, rounds: int, beside: Path | None) -> None:
    """Print the median of the sends a second, for each ledger."""
    with responder() as endpoint:
        for kind in _LEDGERS:
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(_measure(_OURS, kind, endpoint, sends))
                if beside is not None:
                    theirs.append(_measure(beside, kind, endpoint, sends))
            line = f"{kind}: {statistics.median(ours):.0f} sends a second"
            if theirs:
                other = statistics.median(theirs)
                line += f"; {beside}: {other:.0f}; ratio {statistics.median(ours) / other:.2f}"
            click.echo(line)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        address, endpoint, count = sys.argv[1:]
        sys.stdout.write(str(_send(address, endpoint, int(count))))
    else:
        main()

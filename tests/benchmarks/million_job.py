"""Plans and runs a campaign with the package on the path, and notes what each tenth of it costs.

It imports nothing else of this repository, so that it also measures another version of the package.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import psutil
import sqlalchemy as sa

from yunxin_soap import Client
from yunxin_soap.campaign import Ledger, State

_TEXT = "您的账单已出，请及时查看【签名】"
_SIZE = 10
"""Numbers of a submission."""


def _numbers(count: int) -> Iterator[str]:
    return (str(13_000_000_000 + at) for at in range(count))


def _server(url: str) -> psutil.Process:
    """Return the first process of a server on this machine."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        if connection.scalar(sa.text("SHOW autovacuum")) != "on":
            raise SystemExit("Turn autovacuum on: without it, the server is not as it will be.")
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        found = psutil.Process(pid).parent()
    engine.dispose()
    assert found is not None
    return found


def _cpu(server: psutil.Process) -> float:
    """Return the seconds that the processes of a server have used, with those that have ended."""
    times = server.cpu_times()
    used = times.user + times.system + times.children_user + times.children_system
    for each in server.children():
        try:
            child = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += child.user + child.system
    return float(used)


def main(url: str, endpoint: str, count: int) -> None:
    """Run it, and print the marks: submissions, seconds, and both CPU times."""
    server = _server(url)
    with Ledger(url) as ledger:
        started = time.perf_counter()
        numbers = count * _SIZE
        ledger.plan("a", _numbers(numbers), _TEXT, channel=37, max_recipients=_SIZE)
        planned = time.perf_counter() - started
        marks: list[tuple[int, float, float, float]] = []

        def mark(submissions: int) -> None:
            marks.append((submissions, time.perf_counter(), time.process_time(), _cpu(server)))

        def on_progress(progress: object) -> None:
            submissions = getattr(progress, "submissions")  # noqa: B009 - of either version
            if submissions >= count * len(marks) / 10:
                mark(submissions)

        mark(0)
        with Client("demo", "demo", endpoint=endpoint) as client:
            status = ledger.run("a", client, concurrency=32, on_progress=on_progress)
        assert status.numbers[State.ACCEPTED] == numbers, status
    sys.stdout.write(json.dumps({"planned": planned, "marks": marks}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

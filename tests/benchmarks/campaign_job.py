"""Runs one campaign, or one bare loop, in a process that holds nothing else in memory."""

from __future__ import annotations

import asyncio
import csv
import functools
import json
import selectors
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_TEXT = "您的账单已出，请及时查看【签名】"
SIZE = 500
CONCURRENCY = 32


class Stopwatch:
    """Measures how long some functions take in all, by the wall clock."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, with its time counted under that name."""

        def wrapper(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds[name] += time.perf_counter() - start
                self.calls[name] += 1

        return wrapper

    def watch(self, name: str, owner: type, method: str) -> None:
        """Count the time of a method."""
        setattr(owner, method, self.timed(name, getattr(owner, method)))


def peak() -> float:
    """Return the peak memory of this process in MiB; getrusage would include the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _campaign(path: str, ledger_url: str, endpoint: str) -> dict[str, float]:
    start = time.perf_counter()
    from sqlalchemy.engine.default import DefaultDialect

    from yunxin_soap import Client
    from yunxin_soap.campaign import Csv, Ledger, State
    from yunxin_soap.campaign.lists import Batch
    from yunxin_soap.campaign.storage.claims import Claims
    from yunxin_soap.campaign.storage.plans import Plans
    from yunxin_soap.client import ClientBase
    from yunxin_soap.wire.codec import SubmissionEncoder

    watch = Stopwatch()
    watch.watch("write", Plans, "add")
    watch.watch("ledger", Claims, "exchange")
    watch.watch("commit", DefaultDialect, "do_commit")
    watch.watch("codec", SubmissionEncoder, "encode")
    watch.watch("codec", ClientBase, "_parse_response")
    watch.watch("idle", selectors.DefaultSelector, "select")

    class TimedCsv(Csv):
        def batches(self, *, columns: bool = True) -> Iterator[Batch]:
            batches = super().batches(columns=columns)
            following = watch.timed("read", functools.partial(next, batches, None))
            yield from iter(following, None)

    imported = time.perf_counter()
    with Ledger(ledger_url) as ledger, Client("demo", "demo", endpoint=endpoint) as client:
        opened = time.perf_counter()
        plan = ledger.plan("a", TimedCsv(path), _TEXT, channel=37)
        planned = time.perf_counter()
        del watch.seconds["commit"]  # of planning
        status = ledger.run("a", client, concurrency=CONCURRENCY)
        done = time.perf_counter()
    assert status.numbers[State.ACCEPTED] == plan.numbers, status
    plan_s, run_s, seconds = planned - opened, done - planned, watch.seconds
    return {
        "import": imported - start,
        "open": opened - imported,
        "plan": plan_s,
        "run": run_s,
        **seconds,
        "check": plan_s - seconds["read"] - seconds["write"],
        "busy": run_s - seconds["idle"],
        "exchanges": watch.calls["ledger"],
    }


def _bare(path: str, _ledger_url: str, endpoint: str) -> dict[str, float]:
    from yunxin_soap.redact import Redactor
    from yunxin_soap.settings import Settings
    from yunxin_soap.transport.aio import AsyncHttpTransport
    from yunxin_soap.wire.codec import Codec, Fields
    from yunxin_soap.wsdl import load

    start = time.perf_counter()
    with Path(path).open(newline="") as file:
        numbers = [row[1] for row in csv.reader(file)][1:]
    read = time.perf_counter()
    settings = Settings("demo", "demo", endpoint=endpoint, max_connections=CONCURRENCY)
    protocol = Codec(load(), "soap", settings.endpoint.path, Redactor("demo"))
    parts = (numbers[at : at + SIZE] for at in range(0, len(numbers), SIZE))
    requests = [
        protocol.encode(Fields("demo", "demo", ",".join(part), _TEXT, "37", "")) for part in parts
    ]

    watch = Stopwatch()
    watch.watch("idle", selectors.DefaultSelector, "select")

    async def loop() -> float:
        pending = iter(requests)
        transport = AsyncHttpTransport(settings)

        async def send() -> None:
            for each in pending:
                assert b"sendMesExtResult" in (await transport.send(each)).body

        began = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(CONCURRENCY)))
        took = time.perf_counter() - began
        await transport.close()
        return took

    took = asyncio.run(loop())
    return {"csv": read - start, "loop": took, "loop_idle": watch.seconds["idle"]}


if __name__ == "__main__":
    job, path, ledger, endpoint = sys.argv[1:]
    measured = {"campaign": _campaign, "bare": _bare}[job](path, ledger, endpoint)
    sys.stdout.write(json.dumps({**measured, "peak": peak()}))

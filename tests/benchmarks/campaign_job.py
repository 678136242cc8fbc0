"""Runs one campaign, or one bare loop, in a process that holds nothing else in memory."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

_TEXT = "您的账单已出，请及时查看【签名】"
SIZE = 500
CONCURRENCY = 32


def peak() -> float:
    """Return the peak memory of this process in MiB; getrusage would include the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _campaign(path: str, ledger_url: str, endpoint: str) -> dict[str, float]:
    start = time.perf_counter()
    from yunxin_soap import Client
    from yunxin_soap.campaign import Csv, Ledger, State

    imported = time.perf_counter()
    with Ledger(ledger_url) as ledger:
        plan = ledger.plan("a", Csv(path), _TEXT, channel=37)
        planned = time.perf_counter()
        with Client("demo", "demo", endpoint=endpoint) as client:
            status = ledger.run("a", client, concurrency=CONCURRENCY)
        done = time.perf_counter()
    assert status.numbers[State.ACCEPTED] == plan.numbers, status
    return {"import": imported - start, "plan": planned - imported, "run": done - planned}


def _bare(path: str, _ledger_url: str, endpoint: str) -> dict[str, float]:
    import aiohttp

    from yunxin_soap.redact import Redactor
    from yunxin_soap.wire.codec import Codec, Fields
    from yunxin_soap.wsdl import load

    start = time.perf_counter()
    with Path(path).open(newline="") as file:
        numbers = [row[1] for row in csv.reader(file)][1:]
    read = time.perf_counter()
    protocol = Codec(load(), "soap", urlsplit(endpoint).path, Redactor("demo"))
    parts = (numbers[at : at + SIZE] for at in range(0, len(numbers), SIZE))
    requests = [
        protocol.encode(Fields("demo", "demo", ",".join(part), _TEXT, "37", "")) for part in parts
    ]

    async def loop() -> float:
        pending = iter(requests)
        async with aiohttp.ClientSession() as session:

            async def send() -> None:
                for each in pending:
                    async with session.post(
                        endpoint, data=each.body, headers=each.headers
                    ) as response:
                        assert b"sendMesExtResult" in await response.read()

            began = time.perf_counter()
            await asyncio.gather(*(send() for _ in range(CONCURRENCY)))
            return time.perf_counter() - began

    return {"csv": read - start, "loop": asyncio.run(loop())}


if __name__ == "__main__":
    job, path, ledger, endpoint = sys.argv[1:]
    measured = {"campaign": _campaign, "bare": _bare}[job](path, ledger, endpoint)
    sys.stdout.write(json.dumps({**measured, "peak": peak()}))

"""One campaign, or one bare loop, in a process that has nothing else in its memory."""

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
IN_FLIGHT = 32


def peak() -> float:
    """Return the peak memory of this process, in MiB; getrusage counts the parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _campaign(path: str, where: str, url: str) -> dict[str, float]:
    start = time.perf_counter()
    from yunxin_soap import AsyncClient
    from yunxin_soap.campaign import Csv, Ledger, State

    imported = time.perf_counter()
    with Ledger(where) as ledger:
        plan = ledger.plan("a", Csv(path), _TEXT, channel=37)
        planned = time.perf_counter()
        client = AsyncClient("demo", "demo", endpoint=url)
        status = ledger.run("a", client, concurrency=IN_FLIGHT)
        done = time.perf_counter()
    assert status.numbers[State.ACCEPTED] == plan.numbers, status
    return {"import": imported - start, "plan": planned - imported, "run": done - planned}


def _bare(path: str, _where: str, url: str) -> dict[str, float]:
    import aiohttp

    from yunxin_soap.redact import Redactor
    from yunxin_soap.wire.codec import Codec, Fields
    from yunxin_soap.wsdl import load

    start = time.perf_counter()
    with Path(path).open(newline="") as file:
        listed = [row[1] for row in csv.reader(file)][1:]
    read = time.perf_counter()
    protocol = Codec(load(), "soap", urlsplit(url).path, Redactor("demo"))
    parts = (listed[at : at + SIZE] for at in range(0, len(listed), SIZE))
    requests = [
        protocol.encode(Fields("demo", "demo", ",".join(part), _TEXT, "37", "")) for part in parts
    ]

    async def loop() -> float:
        waiting = iter(requests)
        async with aiohttp.ClientSession() as session:

            async def send() -> None:
                for each in waiting:
                    async with session.post(url, data=each.body, headers=each.headers) as answer:
                        assert b"sendMesExtResult" in await answer.read()

            began = time.perf_counter()
            await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
            return time.perf_counter() - began

    return {"csv": read - start, "loop": asyncio.run(loop())}


if __name__ == "__main__":
    job, path, where, url = sys.argv[1:]
    measured = {"campaign": _campaign, "bare": _bare}[job](path, where, url)
    sys.stdout.write(json.dumps({**measured, "peak": peak()}))

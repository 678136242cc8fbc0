"""Measures the sandbox's throughput beside a bare aiohttp handler, and its memory afterwards."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.contenders import Load

CONNECTIONS = 32
_BARE = """
import asyncio
from aiohttp import web

async def main():
    async def handler(request):
        await request.read()
        return web.Response(text="ok")
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/api/MsgSend.asmx", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True)
class ServerResult:
    """The measurements of one server."""

    microseconds: float
    """Median for one submission to one number, over `CONNECTIONS` connections at once."""
    memory_mib: float | None
    """Resident memory at the end; None where the system does not show it."""


def measure_servers(*, rounds: int, submissions: int) -> dict[str, ServerResult]:
    """Send that many submissions to each server, spread over the rounds."""
    command = [sys.executable, "-m", "yunxin_soap", "sandbox", "--port", "0"]
    with TemporaryDirectory() as folder:
        commands = {
            "a bare aiohttp handler": [sys.executable, "-c", _BARE],
            "the sandbox": command,
            "the sandbox, with --record": [*command, "--record", str(Path(folder) / "record")],
        }
        return _measure(commands, rounds, submissions)


def _measure(
    commands: dict[str, list[str]], rounds: int, submissions: int
) -> dict[str, ServerResult]:
    turn = max(submissions // rounds // CONNECTIONS, 1)
    found = {}
    with _running(commands) as servers:
        times: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(rounds):
            for name, (_, url) in servers.items():
                start = time.perf_counter()
                asyncio.run(_send(url, turn))
                times[name].append((time.perf_counter() - start) / (turn * CONNECTIONS))
        for name, (process, _) in servers.items():
            micro = statistics.median(times[name]) * 1e6
            found[name] = ServerResult(micro, _resident(process.pid))
    return found


@contextmanager
def _running(
    commands: dict[str, list[str]],
) -> Iterator[dict[str, tuple[subprocess.Popen[str], str]]]:
    servers: dict[str, tuple[subprocess.Popen[str], str]] = {}
    try:
        for name, command in commands.items():
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            url = process.stdout.readline().rpartition(" ")[2].strip()
            servers[name] = process, url
        yield servers
    finally:
        for process, _ in servers.values():
            process.terminate()
            process.communicate()


async def _send(url: str, count: int) -> None:
    """Send the same bytes on each connection, again after each response."""
    load = Load(url, 1)
    request = load.ready_bytes("soap")

    async def send_on_one_connection() -> None:
        reader, writer = await asyncio.open_connection(*load.address)
        for _ in range(count):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head[:15]:
                raise RuntimeError(f"{head!r}")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(send_on_one_connection() for _ in range(CONNECTIONS)))


def _resident(pid: int) -> float | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024

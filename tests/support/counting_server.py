"""A server in a process of its own that counts how often it processed each message.

The process of the tests then holds the sockets, threads and memory of the client alone. Each
message says how the server treats it; see `message`.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, cast

from tests.support.wire_samples import http_response, result_response

Treatment = Literal["accept", "close", "reset", "cut", "busy", "surplus"]
TREATMENTS: tuple[Treatment, ...] = ("accept", "close", "reset", "cut", "busy", "surplus")
"""What the server does with a request that it has processed.

It accepts it with the message's own batch number, or closes or resets the connection without a
response, cuts the response short, says 503, or sends more than the response.
"""
ACCEPTING: tuple[Treatment, ...] = ("accept", "surplus")
"""The treatments after which the client has a receipt."""

_FIRST_BATCH_NO = 10**18
_MESSAGE = re.compile(rb"no(\d+)(accept|close|reset|cut|busy|surplus)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def message(number: int, treatment: Treatment = "accept") -> str:
    """Return a message with a number of its own, which says how the server treats it."""
    return f"no{number}{treatment}【签名】"


def batch_no(number: int) -> str:
    """Return the batch number with which the server accepts the message of that number."""
    return str(_FIRST_BATCH_NO + number)


@dataclass
class Counts:
    """What the server counted."""

    processed: int = 0
    """How many different messages it processed."""
    repeated: list[int] = field(default_factory=list)
    """The numbers of the messages that it processed more than once."""
    connections: int = 0
    """How many connections it accepted."""
    most_connections: int = 0
    """How many of them were open at once."""
    refused: int = 0
    """How many it closed at once, because there were too many."""


class CountingServer:
    """The handle of a running server.

    Args:
        process: the server's process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.url = f"http://127.0.0.1:{int(process.stdout.readline())}/api/MsgSend.asmx"

    def counts(self) -> Counts:
        """Ask the server what it has counted so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Counts(**json.loads(self._process.stdout.readline()))


@contextmanager
def counting_server(protocol: str, max_connections: int = 10_000) -> Iterator[CountingServer]:
    """Run a server in a process of its own.

    Args:
        protocol: the protocol of its responses.
        max_connections: how many connections it serves at once. It closes any other at once.
    """
    command = [sys.executable, "-m", __name__, protocol, str(max_connections)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        try:
            yield CountingServer(process)
        finally:
            process.stdin.close()


# --- in the process of the server


class _Server:
    def __init__(self, protocol: str, max_connections: int) -> None:
        self.protocol, self.max_connections = protocol, max_connections
        self.messages: Counter[int] = Counter()
        self.open = self.connections = self.most_connections = self.refused = 0

    def counts(self) -> dict[str, object]:
        repeated = [number for number, times in self.messages.items() if times > 1]
        return {
            "processed": len(self.messages),
            "repeated": repeated,
            "connections": self.connections,
            "most_connections": self.most_connections,
            "refused": self.refused,
        }


class _Connection(asyncio.Protocol):
    def __init__(self, server: _Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        server = self._server
        server.open += 1
        server.connections += 1
        if server.open > server.max_connections:
            server.refused += 1
            self._transport.abort()
        else:
            server.most_connections = max(server.most_connections, server.open)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open -= 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        left = int(length[1]) if length else 0
        if not end or len(rest) < left:
            return
        found = _MESSAGE.search(self._received)
        assert found is not None
        self._received = rest[left:]
        self._server.messages[int(found[1])] += 1
        self._treat(int(found[1]), found[2].decode())

    def _treat(self, number: int, treatment: str) -> None:
        response = result_response(self._server.protocol, batch_no(number))
        if treatment == "accept":
            self._transport.write(response)
        elif treatment == "surplus":
            self._transport.write(response * 2)
        elif treatment == "busy":
            self._transport.write(http_response("", "503 Service Unavailable"))
        elif treatment == "reset":
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            if treatment == "cut":
                self._transport.write(response[:-9])
            self._transport.close()


async def _serve(protocol: str, max_connections: int) -> None:
    server = _Server(protocol, max_connections)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: _Connection(server), "127.0.0.1", 0, backlog=max_connections
    )
    _tell(listener.sockets[0].getsockname()[1])
    # Serve, and answer each line, until the parent closes standard input.
    while await loop.run_in_executor(None, sys.stdin.readline):
        _tell(server.counts())


def _tell(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))

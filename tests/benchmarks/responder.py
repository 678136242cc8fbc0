"""A minimal server in a process of its own, to which every contender sends.

It reads no more of a request than HTTP needs. Its responses are those of the sandbox, prepared at
the start, so that the benchmark measures the client.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from multidict import CIMultiDict

from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.redact import Redactor
from yunxin_soap.sandbox.asmx import handler as asmx
from yunxin_soap.wire.codec import Codec, Fields
from yunxin_soap.wsdl import load

BATCH_NO = "2114355899380234221"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SOAP12 = re.compile(rb"\r\ncontent-type: *application/soap\+xml", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)


def responses() -> dict[str, bytes]:
    """Return the complete response for each protocol, head and body."""
    fields = Fields("demo", "demo", "13900000000", "您好【签名】", "37", "")
    prepared: dict[str, bytes] = {}
    for protocol in PROTOCOLS:
        request = Codec(load(), protocol, asmx.PATH, Redactor("demo")).encode(fields)
        response = asmx.handle(
            asmx.HttpRequest(
                method=request.method,
                target=f"{request.path}?{request.query}".encode(),
                headers=CIMultiDict(request.headers),
                body=request.body or b"",
            ),
            lambda fields, protocol: BATCH_NO,
        )
        head = (
            f"HTTP/1.1 {response.status} OK\r\nCache-Control: private, max-age=0\r\n"
            f"Content-Type: {response.content_type}\r\nServer: Microsoft-IIS/10.0\r\n"
            "X-AspNet-Version: 4.0.30319\r\nX-Powered-By: ASP.NET\r\n"
            "Date: Mon, 05 Oct 2026 08:00:00 GMT\r\n"
            f"Content-Length: {len(response.body)}\r\n\r\n"
        )
        prepared[protocol] = head.encode() + response.body
    return prepared


class _Connection(asyncio.Protocol):
    def __init__(self, prepared: dict[str, bytes], delay: float) -> None:
        self._responses, self._delay = prepared, delay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = _LENGTH.search(head)
            left = int(length[1]) if length else 0
            if len(rest) < left:
                if _CONTINUE.search(head) and not rest:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self._received = rest[left:]
            response = self._responses[_protocol(head)]
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, response)
            else:
                self._transport.write(response)


def _protocol(head: bytes) -> str:
    if head.startswith(b"GET"):
        return "http-get"
    if b"/sendMesExt" in head.partition(b"\r\n")[0]:
        return "http-post"
    return "soap12" if _SOAP12.search(head) else "soap"


async def _serve(delay: float) -> None:
    prepared = responses()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(prepared, delay), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # Serve until the parent closes standard input.
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def responder(delay: float = 0.0) -> Iterator[str]:
    """Run a responder in a process of its own, and yield the address of its service.

    Args:
        delay: seconds until it responds.
    """
    command = [sys.executable, "-m", "tests.benchmarks.responder", str(delay)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            if not port.isdigit():
                raise RuntimeError("the responder did not start")
            yield f"http://127.0.0.1:{port}{asmx.PATH}"
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))

"""What a fault does to an answer and to its connection."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

from yunxin_soap.sandbox.asmx import pages
from yunxin_soap.sandbox.asmx.handler import HTML, HttpResponse
from yunxin_soap.sandbox.faults.model import Fault, Kind

_TITLES = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}


def changed(answer: HttpResponse, fault: Fault) -> HttpResponse:
    """Return the answer that goes out in place of the right one."""
    if fault.kind is Kind.CONTENT_TYPE:
        return HttpResponse(answer.status, "text/plain; charset=utf-8", answer.body)
    if fault.kind is Kind.HTML:
        title = _TITLES.get(fault.status, "Error")
        return HttpResponse(fault.status, HTML, pages.error_page(fault.status, title))
    if fault.kind is Kind.GARBLE:
        noise = random.Random(fault.seed).randbytes(len(answer.body))  # noqa: S311 - noise
        return HttpResponse(answer.status, answer.content_type, noise, answer.headers)
    return answer


def leave_unanswered(fault: Fault, transport: asyncio.BaseTransport) -> None:
    """End a connection with no answer, or leave it open if the fault is to hang."""
    if fault.kind is Kind.RESET:
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:  # so that it ends with RST
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
    elif fault.kind is Kind.CLOSE:
        transport.close()


async def carry_out(
    fault: Fault, answer: HttpResponse, transport: asyncio.Transport | None
) -> bool:
    """Do to the connection what the fault asks for; False if the answer is to go out as it is.

    It is cancelled when the connection ends.

    Args:
        fault: what is to go wrong.
        answer: what would go out.
        transport: the connection's; None if it has ended.
    """
    if fault.kind is Kind.DELAY:
        await asyncio.sleep(fault.seconds)
        return False
    if transport is None:
        return True
    if fault.kind in (Kind.CLOSE, Kind.RESET, Kind.HANG):
        leave_unanswered(fault, transport)
        if fault.kind is Kind.HANG:
            await asyncio.Event().wait()
    elif fault.kind is Kind.CUT:
        raw = _raw(answer)
        transport.write(raw[: -(len(answer.body) // 2) or None])
        transport.close()
    elif fault.kind is Kind.TRICKLE:
        for byte in _raw(answer):
            transport.write(bytes([byte]))
            await asyncio.sleep(fault.seconds)
        transport.close()
    else:
        return False
    return True


def _raw(answer: HttpResponse) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} OK\r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n\r\n"
    )
    return head.encode() + answer.body

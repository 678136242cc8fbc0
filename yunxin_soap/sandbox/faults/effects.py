"""What a fault does to a response and to its connection."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

from yunxin_soap.sandbox.asmx import pages
from yunxin_soap.sandbox.asmx.handler import HTML, HttpResponse
from yunxin_soap.sandbox.faults.injector import TriggeredFault
from yunxin_soap.sandbox.faults.model import (
    CloseFault,
    ContentTypeFault,
    CutFault,
    DelayFault,
    Fault,
    GarbleFault,
    HangFault,
    HtmlFault,
    ResetFault,
    TrickleFault,
)

_TITLES = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}


def apply_to_response(response: HttpResponse, fault: Fault) -> HttpResponse:
    """Return the response that is sent instead of the right one."""
    if isinstance(fault, ContentTypeFault):
        return HttpResponse(response.status, "text/plain; charset=utf-8", response.body)
    if isinstance(fault, HtmlFault):
        title = _TITLES.get(fault.status, "Error")
        return HttpResponse(fault.status, HTML, pages.error_page(fault.status, title))
    if isinstance(fault, GarbleFault):
        noise = random.Random(fault.seed).randbytes(len(response.body))  # noqa: S311 - noise
        return HttpResponse(response.status, response.content_type, noise, response.headers)
    return response


def end_without_response(fault: Fault, transport: asyncio.BaseTransport) -> None:
    """Close or reset a connection without a response; a `HangFault` leaves it open."""
    if isinstance(fault, ResetFault):
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            # Closing a socket that lingers for 0 seconds sends RST.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
    elif isinstance(fault, CloseFault):
        transport.close()


async def apply_to_connection(
    triggered: TriggeredFault, response: HttpResponse, transport: asyncio.Transport | None
) -> bool:
    """Do to the connection what the fault asks for.

    The caller cancels this coroutine when the connection ends.

    Args:
        triggered: the fault.
        response: the response that would be sent.
        transport: the connection's transport; None if the connection has ended.

    Returns:
        Whether the connection is done with. If not, send the response.
    """
    fault = triggered.fault
    if isinstance(fault, DelayFault):
        await asyncio.sleep(triggered.seconds)
        return False
    if transport is None:
        return True
    if isinstance(fault, CloseFault | ResetFault | HangFault):
        end_without_response(fault, transport)
        if isinstance(fault, HangFault):
            await asyncio.Event().wait()
    elif isinstance(fault, CutFault):
        wire = _serialize(response)
        transport.write(wire[: -(len(response.body) // 2) or None])
        transport.close()
    elif isinstance(fault, TrickleFault):
        for byte in _serialize(response):
            transport.write(bytes([byte]))
            await asyncio.sleep(triggered.seconds)
        transport.close()
    else:
        return False
    return True


def _serialize(response: HttpResponse) -> bytes:
    head = (
        f"HTTP/1.1 {response.status} OK\r\nContent-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n\r\n"
    )
    return head.encode() + response.body

"""Exchanges without a network: bytes in pieces, and how the exchange ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from yunxin_soap.transport.http11 import Exchange

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class End(NamedTuple):
    """How an exchange ended."""

    response: tuple[int, str, bytes] | None
    broken: str | None
    status: int | None
    reusable: bool


def run(pieces: Iterable[bytes], *, closed: bool = True) -> End:
    """Give the pieces to a new exchange, and say how it ended.

    Args:
        pieces: the bytes, as they arrive.
        closed: whether the connection ends after them.
    """
    exchange = Exchange(GET)
    ended = surplus = False
    for piece in filter(None, pieces):
        if ended:
            surplus = True
        else:
            ended = exchange.receive(piece)
    if not ended and closed:
        assert exchange.receive(b"")
    assert (exchange.response is None) or (exchange.broken is None)
    found = exchange.response
    return End(
        None if found is None else (found.status, found.content_type, found.body),
        exchange.broken,
        exchange.status,
        # A shell does not use a connection again on which more bytes arrived.
        exchange.reusable and not surplus,
    )


def bytewise(content: bytes) -> list[bytes]:
    """Return content in pieces of one byte."""
    return [content[index : index + 1] for index in range(len(content))]

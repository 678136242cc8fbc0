"""Responses that hypothesis makes of valid ones: bytes, lines and pieces changed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

from hypothesis import strategies as st

from tests.support.outcome_table import chunked, encoded, head, raw, sized, unframed
from tests.support.wire_samples import http_response, result_response, soap_fault
from yunxin_soap.operation import PROTOCOLS

WHOLE: dict[str, Callable[[str], bytes]] = {
    "length": lambda protocol: sized(raw(protocol)),
    "chunks": lambda protocol: chunked(raw(protocol)),
    "gzip": lambda protocol: encoded(gzip.compress(raw(protocol), mtime=0), "gzip"),
    "deflate": lambda protocol: encoded(zlib.compress(raw(protocol)), "deflate"),
    "gzip in chunks": lambda protocol: chunked(
        gzip.compress(raw(protocol), mtime=0), "Content-Encoding: gzip"
    ),
    "gzip, chunked": lambda protocol: chunked(
        gzip.compress(raw(protocol), mtime=0), coding="gzip, chunked"
    ),
    "trailers": lambda protocol: chunked(raw(protocol), end=b"0\r\nX: y\r\n\r\n"),
    "a 100 and a 103 first": lambda protocol: (
        head(start="HTTP/1.1 100 Continue")
        + head("Link: </a>", start="HTTP/1.1 103 Early Hints")
        + sized(raw(protocol))
    ),
    "the length twice": lambda protocol: sized(
        raw(protocol), f"Content-Length: {len(raw(protocol))}"
    ),
    "a code": lambda protocol: result_response(protocol, "-7"),
}
"""Valid responses that end by themselves, for a protocol."""

ENDED_BY_CLOSE: dict[str, Callable[[str], bytes]] = {
    "until the close": lambda protocol: unframed(raw(protocol)),
    "HTTP/1.0": lambda protocol: unframed(raw(protocol), start="HTTP/1.0 200 OK"),
    "gzip until the close": lambda protocol: unframed(
        gzip.compress(raw(protocol), mtime=0), "Content-Encoding: gzip"
    ),
}
"""Valid responses that end with the connection, for a protocol."""

_OTHERS: dict[str, Callable[[str], bytes]] = {
    "a fault": lambda protocol: http_response(soap_fault(protocol, "Server"), "500 Error"),
    "a 404": lambda _: http_response("<h1>No</h1>", "404 Not Found"),
    "a 204": lambda _: head(start="HTTP/1.1 204 No Content"),
    "a 101": lambda _: head("Upgrade: h2c", "Connection: upgrade", start="HTTP/1.1 101 Switch"),
}
_LINES = (
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Content-Encoding: gzip",
    b"Content-Encoding: br",
    b"Content-Encoding: identity",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Upgrade: h2c",
    b"Content-Type: text/html",
    b" folded",
    b"nothing",
    b"",
)
_BYTES = b"\0\t\n\r :;,-+0159AFafxX<>\x7f\x80\xff"


@st.composite
def mutated_responses(draw: st.DrawFn, protocol: str | None = None) -> bytes:
    """Return a valid response, or two in a row, with up to four changes.

    Args:
        draw: hypothesis gives it.
        protocol: the protocol. Default: any of the four.
    """
    chosen = draw(st.sampled_from(tuple(PROTOCOLS))) if protocol is None else protocol
    samples = {**WHOLE, **ENDED_BY_CLOSE, **_OTHERS}
    names = draw(st.lists(st.sampled_from(sorted(samples)), min_size=1, max_size=2))
    content = b"".join(samples[name](chosen) for name in names)
    changes = (_change_byte, _insert_byte, _remove, _change_lines, _add_line, _cut)
    for _ in range(draw(st.integers(0, 4))):
        content = draw(st.sampled_from(changes))(draw, content)
    return content


def _place(draw: st.DrawFn, content: bytes) -> int:
    """Return a place, more often in the head than in the body."""
    last = len(content)
    head_end = max(content.find(b"\r\n\r\n") + 4, 0)
    return draw(st.one_of(st.integers(0, min(head_end, last)), st.integers(0, last)))


def _byte(draw: st.DrawFn) -> bytes:
    return bytes([draw(st.one_of(st.sampled_from(_BYTES), st.integers(0, 255)))])


def _change_byte(draw: st.DrawFn, content: bytes) -> bytes:
    place = _place(draw, content)
    return content[:place] + _byte(draw) + content[place + 1 :]


def _insert_byte(draw: st.DrawFn, content: bytes) -> bytes:
    place = _place(draw, content)
    return content[:place] + _byte(draw) + content[place:]


def _remove(draw: st.DrawFn, content: bytes) -> bytes:
    place = _place(draw, content)
    return content[:place] + content[place + draw(st.integers(1, 9)) :]


def _change_lines(draw: st.DrawFn, content: bytes) -> bytes:
    """Remove, repeat or move a header line."""
    start, end, body = content.partition(b"\r\n\r\n")
    lines = start.split(b"\r\n")
    index = draw(st.integers(0, len(lines) - 1))
    copies = draw(st.integers(0, 2))
    line = lines.pop(index)
    place = draw(st.integers(0, len(lines)))
    lines[place:place] = [line] * copies
    return b"\r\n".join(lines) + end + body


def _add_line(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    place = draw(st.integers(1, min(len(lines), 12)))
    lines.insert(place, draw(st.sampled_from(_LINES)))
    return b"\r\n".join(lines)


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: _place(draw, content)]


def places(content: bytes) -> st.SearchStrategy[list[int]]:
    """Return places to split content at, in any order."""
    return st.lists(st.integers(0, len(content)), max_size=6)

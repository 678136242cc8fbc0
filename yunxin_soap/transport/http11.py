"""One HTTP/1.1 exchange as a state machine without I/O.

An `Exchange` gets the bytes of a request, and then the bytes that are received. It says when the
response is complete or broken, and whether the connection may carry another request. httptools
(llhttp) parses the heads and the chunks strictly, without any of its lenient modes.

`RequestEncoder` writes the requests of one endpoint.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from yunxin_soap.clock import lease_clock
from yunxin_soap.errors import SendError, invalid_request
from yunxin_soap.sentences import Sentence
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.failures import (
    CLOSED_EARLY,
    CUT_SHORT,
    HEAD_TOO_LARGE,
    NOT_DECODED,
    NOT_HTTP,
    TOO_LARGE,
    Expired,
    exchange_failed,
)
from yunxin_soap.transport.limits import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES, MAX_WIRE_BYTES

_T = TypeVar("_T")
Steps = Generator["bytes | memoryview", bytes, _T]
"""A conversation without I/O.

It yields bytes to send, perhaps none, and gets the bytes that are received next; ``b""`` is the end
of the connection. A request is yielded as a `memoryview`, whose ``repr`` shows no password.
"""

# llhttp also accepts other protocols, other versions, a status below 100 and NUL in the reason.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
# The blanks around a value are stripped afterwards: a pattern for them would take quadratic time.
_HEADER = re.compile(
    rb"\r\n(content-length|content-type|content-encoding|transfer-encoding):([^\r\n]*)",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"\r\ncontent-length:([^\r\n]*)", re.IGNORECASE)
_ZLIB_WINDOWS = {b"gzip": (31,), b"x-gzip": (31,), b"deflate": (15, -15)}
"""The window bits for `zlib`. Some servers send deflate without the header of zlib."""
_MAX_CODINGS = 4
"""Encodings of one body, one inside the other."""
_MAX_GZIP_MEMBERS = 16


class _BadResponse(Exception):
    """A response is not valid HTTP or cannot be decoded; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# --- the head


@dataclass(frozen=True)
class Head:
    """What the head of a response says about its body and its connection."""

    status: int
    content_type: str
    length: int | None
    """Bytes of the body; None if chunks or the end of the connection delimit it."""
    chunked: bool
    codings: tuple[bytes, ...]
    """The encodings of the body, in the order in which the server applied them."""
    keeps_alive: bool
    """Whether the server keeps the connection open after the response."""

    @property
    def is_decodable(self) -> bool:
        """Whether all encodings of the body are known."""
        return len(self.codings) <= _MAX_CODINGS and all(
            coding in _ZLIB_WINDOWS for coding in self.codings
        )

    @property
    def is_usual(self) -> bool:
        """Whether it is that of a 200 with a plain body, after which the connection is kept."""
        return (
            self.status == 200
            and self.keeps_alive
            and not self.codings
            and self.length is not None
            and 0 < self.length <= MAX_RESPONSE_BYTES
        )


def parse_head(head: bytes) -> Head:
    """Parse a complete head, from the status line to the blank line.

    Raises:
        _BadResponse: it is not valid HTTP/1.0 or 1.1.
    """
    parser = _parse_strictly(head)
    content_type = b""
    lists: dict[bytes, bytes] = {}
    for name, value in _HEADER.findall(head):
        key, value = name.lower(), value.strip(b" \t")
        if key == b"content-type":
            content_type = content_type or value
        else:
            lists[key] = lists[key] + b"," + value if key in lists else value
    status = parser.get_status_code()
    transfer_codings = _tokens(lists.get(b"transfer-encoding", b""))
    chunked = transfer_codings[-1:] == [b"chunked"]
    if chunked:
        del transfer_codings[-1]
    codings = [*_tokens(lists.get(b"content-encoding", b"")), *transfer_codings]
    codings = [coding for coding in codings if coding != b"identity"]
    length = (
        # The parser limits the value, but not its zeros, of which Python accepts only 4,300.
        int(lists[b"content-length"].partition(b",")[0].lstrip(b"0") or b"0")
        if b"content-length" in lists
        else None
    )
    if status in (204, 304):
        length, chunked, codings = 0, False, []
    return Head(
        status=status,
        content_type=content_type.decode("latin-1"),
        length=length,
        chunked=chunked,
        codings=tuple(codings),
        keeps_alive=head.startswith(b"HTTP/1.1 ") and parser.should_keep_alive(),
    )


def _parse_strictly(head: bytes) -> HttpResponseParser:
    """Feed a complete head to a new parser, which raises for everything that is not valid."""
    if not _STATUS_LINE.match(head):
        raise _BadResponse(NOT_HTTP)
    parser = HttpResponseParser(_IgnoreEvents())
    try:
        parser.feed_data(head)
    except (HttpParserError, HttpParserUpgrade):  # the latter for a 101, which nobody asked for
        return _parse_strictly(_without_repeated_length(head))
    return parser


def _without_repeated_length(head: bytes) -> bytes:
    """Return the head with one of several equal lengths, which RFC 9110 lets a recipient accept.

    Raises:
        _BadResponse: the lengths differ, or there is only one.
    """
    lengths = [value.strip(b" \t") for value in _LENGTH.findall(head)]
    if len(lengths) < 2 or len(set(lengths)) > 1:
        raise _BadResponse(NOT_HTTP)
    return _LENGTH.sub(b"", head, count=len(lengths) - 1)


def _check_repeated_length(start: bytes) -> None:
    """Check the start of a head, of which the parser does not accept all.

    Raises:
        _BadResponse: a repeated length is not the cause, or not the only one.
    """
    if start.lower().count(b"\r\ncontent-length") < 2:
        raise _BadResponse(NOT_HTTP)
    lines = start[: start.rfind(b"\r\n") + 2]  # the rest of the last line may still come
    if len(_LENGTH.findall(lines)) > 1:
        lines = _without_repeated_length(lines)
    try:
        # Without the start of another line, the parser would not look at the value of the last one.
        HttpResponseParser(_IgnoreEvents()).feed_data(lines + b"X")
    except HttpParserError:
        raise _BadResponse(NOT_HTTP) from None


def _tokens(value: bytes) -> list[bytes]:
    return [token for each in value.lower().split(b",") if (token := each.strip(b" \t"))]


class _IgnoreEvents:
    """The callbacks of a parser of which only the verdict is needed."""


# --- the body


class _ChunkedBody:
    """Reads a body in chunks. ``complete`` becomes true at its end."""

    def __init__(self, head: bytes) -> None:
        self.content = bytearray()
        self.complete = False
        self.surplus = False
        self._tail = b""
        self._parser = HttpResponseParser(self)
        self._parser.feed_data(head)

    def feed(self, data: bytes) -> None:
        """Read received bytes.

        Raises:
            _BadResponse: the chunks are not valid.
        """
        self._tail = (self._tail + data)[-7:]
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):  # the latter for a 101 after the body
            if not self.complete:
                raise _BadResponse(NOT_HTTP) from None
            self.surplus = True

    @property
    def ended_exactly(self) -> bool:
        """Whether the last chunk was the plain one, and not one byte came after it."""
        return self.complete and not self.surplus and self._tail == b"\r\n0\r\n\r\n"

    def on_message_begin(self) -> None:
        """Note the start of another message. httptools calls this."""
        self.surplus = self.complete

    def on_body(self, content: bytes) -> None:
        """Keep a part of the body. httptools calls this."""
        if not self.complete:
            self.content += content

    def on_message_complete(self) -> None:
        """Note the end of the body. httptools calls this."""
        self.complete = True


def _decode(body: bytes, codings: tuple[bytes, ...]) -> bytes:
    """Return the body without its encodings.

    Raises:
        _BadResponse: it cannot be decoded, or becomes larger than `MAX_RESPONSE_BYTES`.
    """
    if not body or not codings:
        return body  # a server may announce an encoding for a body that it does not have
    for coding in reversed(codings):
        body = _inflate(body, coding)
    return body


def _inflate(data: bytes, coding: bytes) -> bytes:
    output = b""
    for _ in range(1 if coding == b"deflate" else _MAX_GZIP_MEMBERS):
        piece, data = _inflate_member(data, coding, MAX_RESPONSE_BYTES + 1 - len(output))
        output += piece
        if len(output) > MAX_RESPONSE_BYTES:
            raise _BadResponse(TOO_LARGE)
        if not data:
            return output
    raise _BadResponse(NOT_DECODED)


def _inflate_member(data: bytes, coding: bytes, max_length: int) -> tuple[bytes, bytes]:
    """Return up to ``max_length`` decoded bytes, and the bytes after the end of the stream."""
    for window in _ZLIB_WINDOWS[coding]:
        decoder = zlib.decompressobj(window)
        try:
            output = decoder.decompress(data, max_length)
        except zlib.error:
            continue
        if decoder.eof or len(output) == max_length:
            return output, decoder.unused_data
        break
    raise _BadResponse(NOT_DECODED)


# --- the exchange


_NO_HEAD = b"\r\n", Head(200, "", -1, False, (), False)
"""A head that no response has."""


class Exchange:
    """Sends one request and reads its response. Does no I/O.

    Args:
        request: the bytes of the request.
        is_connect: whether it is a CONNECT, whose response ends with its head.
        valid_until: the clock's time from which on it must not begin; None for no such time.
        clock: returns the time in seconds, for ``valid_until``.
    """

    # Most exchanges end with their first bytes, so most attributes keep these defaults.
    may_have_left = False
    """Whether bytes of the request may have been sent."""
    response: Response | None = None
    """The complete response."""
    broken: str | None = None
    """Why there will be no complete response; a sentence of `failures`."""
    status: int | None = None
    """The status of the response, once its head is complete."""
    reusable = False
    """Whether the connection may carry another request."""
    surplus = False
    """Whether bytes came after the end of the response."""
    _wire_bytes = 0
    _head_bytes: bytes | bytearray = b""
    _body: bytes | bytearray = b""
    _head: Head | None = None
    _probe: HttpResponseParser | None = None
    _length_repeats = False
    """Whether the head has, as far as it was checked, one mistake: equal lengths."""
    _chunks: _ChunkedBody | None = None

    usual_head: ClassVar[tuple[bytes, Head]] = _NO_HEAD
    """The last usual head. Threads may replace it at any time."""

    def __init__(
        self,
        request: bytes,
        *,
        is_connect: bool = False,
        valid_until: float | None = None,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        self._request = request
        self._is_connect = is_connect
        self._valid_until, self._clock = valid_until, clock

    def __repr__(self) -> str:
        """Omit the request and the response."""
        return f"<Exchange status={self.status} broken={self.broken!r}>"

    def begin(self) -> memoryview:
        """Return the bytes of the request. From now on they may have been sent.

        Call it right before they are sent: a process can be suspended at any line.

        Raises:
            Expired: the request is no longer valid. Nothing of it was sent.
        """
        if self._valid_until is not None and self._clock() >= self._valid_until:
            raise Expired
        self.may_have_left = True
        return memoryview(self._request)

    def failure(self, error: BaseException | None, timeout: float) -> SendError:
        """Return the error for an end without a complete response.

        Args:
            error: what ended the exchange; None if the response itself is broken.
            timeout: the seconds that the exchange had.
        """
        return exchange_failed(
            error,
            may_have_left=self.may_have_left,
            broken=self.broken,
            http_status=self.status,
            timeout=timeout,
        )

    def steps(self) -> Steps[None]:
        """Send the request and read the response, until `response` or `broken` is set.

        Raises:
            Expired: the request is no longer valid. Nothing of it was sent.
        """
        ended = self.receive((yield self.begin()))
        while not ended:
            ended = self.receive((yield b""))

    def receive(self, data: bytes) -> bool:
        """Process received bytes.

        Args:
            data: the bytes; ``b""`` at the end of the connection.

        Returns:
            Whether the exchange has ended: `response` or `broken` is set.
        """
        if not self._wire_bytes and self._receive_whole(data):
            return True
        if not data:
            self._receive_end()
            return True
        room = MAX_WIRE_BYTES - self._wire_bytes
        self._wire_bytes += len(data)
        rest = data if len(data) <= room else data[:room]
        try:
            while rest and self.response is None:
                rest = self._receive_head(rest) if self._head is None else self._receive_body(rest)
            if self.response is None:
                if len(data) > room:
                    raise _BadResponse(TOO_LARGE)
                return False
        except _BadResponse as error:
            self.broken = error.reason
            return True
        if rest or len(data) > room:
            self.surplus = True
            self.reusable = False
        return True

    def _receive_whole(self, data: bytes) -> bool:
        """Process a response that came as one piece, as nearly all do; return whether it did.

        Responses of the same second usually have the same head, so it is parsed once.
        """
        if self._is_connect:
            return False
        head_bytes, head = Exchange.usual_head
        if not data.startswith(head_bytes):
            head_bytes = data[: data.find(b"\r\n\r\n") + 4]
            try:
                head = parse_head(head_bytes)
            except _BadResponse:
                return False
            if not head.is_usual or len(head_bytes) > MAX_HEAD_BYTES:
                return False
            Exchange.usual_head = head_bytes, head
        body = data[len(head_bytes) :]
        if len(body) != head.length:
            return False
        self.status, self.reusable = 200, True
        self.response = Response(200, head.content_type, body)
        return True

    def _receive_head(self, data: bytes) -> bytes:
        """Process bytes of one or more heads, and return those after the final one."""
        start = 0
        if self._head_bytes:
            checked = len(self._head_bytes)
            self._head_bytes += data
            end = self._head_bytes.find(b"\r\n\r\n", max(0, checked - 3)) + 4
            if not 4 <= end <= MAX_HEAD_BYTES:
                self._probe_head(checked)
                return b""
            data, self._head_bytes = bytes(self._head_bytes), b""
            self._begin_body(data[:end])
            start = end
        while self._head is None and start < len(data):
            if data[start] in b"\r\n":  # RFC 9112 lets blank lines precede a status line
                start += 1
                continue
            end = data.find(b"\r\n\r\n", start) + 4
            if not 4 <= end <= start + MAX_HEAD_BYTES:
                self._head_bytes = bytearray(data[start:])
                self._probe_head(0)
                return b""
            self._begin_body(data[start:end])
            start = end
        return data[start:]

    def _probe_head(self, checked: int) -> None:
        """Check the start of a head, so that nobody waits for the rest of one that is not valid."""
        if self._probe is None:
            self._probe = HttpResponseParser(_IgnoreEvents())
        piece = bytes(self._head_bytes[checked:MAX_HEAD_BYTES])
        try:
            self._probe.feed_data(piece)
        except HttpParserError:
            # The same lines need no second look: for each byte, it would take a minute.
            if not self._length_repeats or b"\n" in piece:
                _check_repeated_length(bytes(self._head_bytes[:MAX_HEAD_BYTES]))
                self._length_repeats = True
        if len(self._head_bytes) > MAX_HEAD_BYTES:
            raise _BadResponse(HEAD_TOO_LARGE)

    def _begin_body(self, head_bytes: bytes) -> None:
        head = parse_head(head_bytes)
        self._probe, self._length_repeats = None, False
        if head.status < 200:
            return  # an interim response
        self._head, self.status = head, head.status
        if self._is_connect:
            self.response = Response(head.status, head.content_type, b"")
        elif head.codings and not head.is_decodable:
            raise _BadResponse(NOT_DECODED)
        elif head.chunked:
            self._chunks = _ChunkedBody(head_bytes)
        elif head.length == 0:
            self._finish(b"")
        elif head.length is not None and head.length > (
            MAX_WIRE_BYTES if head.codings else MAX_RESPONSE_BYTES
        ):
            raise _BadResponse(TOO_LARGE)

    def _receive_body(self, data: bytes) -> bytes:
        """Process bytes of the body, and return those after it."""
        assert self._head is not None
        if self._chunks is not None:
            self._chunks.feed(data)
            if self._chunks.complete:
                self._finish(bytes(self._chunks.content))
            return b""
        length = self._head.length
        if not self._body and length is not None and len(data) >= length:
            self._finish(data[:length])
            return data[length:]
        end = len(data) if length is None else length - len(self._body)
        if not self._body:
            self._body = bytearray()
        self._body += data[:end]
        if len(self._body) == length:
            self._finish(bytes(self._body))
        return data[end:]

    def _receive_end(self) -> None:
        """Process the end of the connection, which also ends a body that nothing else delimits."""
        if self._head is None:
            self.broken = CUT_SHORT if self._head_bytes else CLOSED_EARLY
        elif self._chunks is not None or self._head.length is not None:
            self.broken = CUT_SHORT
        else:
            try:
                self._finish(bytes(self._body))
            except _BadResponse as error:
                self.broken = error.reason

    def _finish(self, body: bytes) -> None:
        """Decode a whole body."""
        assert self._head is not None
        content = _decode(body, self._head.codings)
        if len(content) > MAX_RESPONSE_BYTES:
            raise _BadResponse(TOO_LARGE)
        self._end(self._head, body, content)

    def _end(self, head: Head, body: bytes, content: bytes) -> None:
        """End with a complete response, of which ``content`` is the decoded body."""
        self.response = Response(head.status, head.content_type, content)
        # Only a 200 with a body is surely the final response. A 504 comes from a proxy that gave up
        # while the gateway still works on the request: if the true response comes later, the next
        # request must not meet it.
        self.reusable = (
            head.status == 200
            and head.keeps_alive
            and body != b""
            and (
                self._chunks.ended_exactly if self._chunks is not None else head.length is not None
            )
        )


# --- the request


class RequestEncoder:
    """Writes the requests of one endpoint.

    Args:
        host: the value of the ``Host`` header.
        origin: what precedes the path in the request line: empty, or the origin for a proxy.
        headers: the headers of each request.
    """

    def __init__(self, host: str, origin: str, headers: Mapping[str, str]) -> None:
        self._origin = origin
        self._headers = {"Host": host, "Accept-Encoding": "identity", **headers}
        self._cached = ("", "", headers, b"", b"", b"")
        """Method, path and headers of the last request; its bytes around a query, and joined."""

    def encode(self, request: Request) -> bytes:
        """Return the bytes of a request.

        Raises:
            InvalidRequest: the path or a header contains a character that HTTP cannot carry.
        """
        method, path, headers, start, lines, both = self._cached
        if headers is not request.headers or path != request.path or method != request.method:
            start, lines = self._start_line(request), self._header_lines(request.headers)
            both = start + lines
            self._cached = request.method, request.path, request.headers, start, lines, both
        if request.query:
            both = b"%b?%b%b" % (start, request.query.encode("ascii"), lines)
        body = request.body
        if body is None:
            return both + b"\r\n"
        return b"%bContent-Length: %d\r\n\r\n%b" % (both, len(body), body)

    def _start_line(self, request: Request) -> bytes:
        """Return the request line up to the path."""
        path = _to_ascii(request.path, "The path")
        if b" " in path:
            raise invalid_request(
                "The path contains a space, which HTTP cannot carry: fix the endpoint."
            )
        return b"%b %b%b" % (request.method.encode("ascii"), self._origin.encode("ascii"), path)

    def _header_lines(self, headers: Mapping[str, str]) -> bytes:
        """Return the end of the request line, and the headers."""
        return b" HTTP/1.1\r\n" + b"".join(
            b"%b: %b\r\n" % (_to_ascii(name, "A header"), _to_ascii(value, f"The header {name}"))
            for name, value in {**self._headers, **headers}.items()
        )


def _to_ascii(text: str, name: str) -> bytes:
    if not text.isascii() or not text.isprintable():
        raise invalid_request(
            Sentence("{name} contains a character that HTTP cannot carry: remove it.", name=name)
        )
    return text.encode("ascii")

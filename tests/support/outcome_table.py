"""The outcome table: responses as raw bytes, and how a submission ends that gets them.

Each row is a response, what the server does after it, and the end of the submission: its outcome,
the words and the HTTP status of the error, the excerpt, and whether the connection is used again.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.support.exchange_lane import After, Observed, Reply
from tests.support.wire_samples import (
    BATCH_NO,
    HTML,
    PLAIN,
    XML,
    http_response,
    result_response,
    result_xml,
    soap_fault,
)
from yunxin_soap import Outcome
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.transport import failures

IMPATIENT_SECONDS = 0.3
"""The timeout of the rows that must run into it."""

SOAP = ("soap", "soap12")
FORMS = ("http-get", "http-post")
KIB = 1 << 10
MIB = 1 << 20


# --- how a row ends


@dataclass(frozen=True)
class Expected:
    """How every client must end."""

    outcome: Outcome
    words: str
    """A part of the error's text, or the batch number."""
    http_status: int | None = None
    excerpt: str | None = None
    """The start of the excerpt; None if the error has none."""
    reused: bool = False

    def fits(self, observed: Observed) -> bool:
        """Return whether the exchange ended like this."""
        return (
            observed.outcome is self.outcome
            and self.words in observed.text
            and observed.http_status == self.http_status
            and (observed.excerpt is None) == (self.excerpt is None)
            and (observed.excerpt or "").startswith(self.excerpt or "")
            and observed.reused is self.reused
        )


ACCEPTED = Expected(Outcome.ACCEPTED, BATCH_NO, reused=True)
ACCEPTED_ONCE = replace(ACCEPTED, reused=False)
"""Accepted, and the connection is closed."""


def broken(reason: str, status: int | None = None) -> Expected:
    """Return the outcome of a response that the transport cannot read.

    Args:
        reason: one of the sentences of `failures`.
        status: the HTTP status, if the head had arrived.
    """
    return Expected(Outcome.UNKNOWN, f"may have reached the gateway, but {reason}.", status)


def timed_out(status: int | None = None) -> Expected:
    """Return the outcome of a response that is not complete in time."""
    return broken(f"no complete response came within {IMPATIENT_SECONDS:g} s", status)


def unknown(
    words: str, status: int = 200, excerpt: str = "", *, reused: bool | None = None
) -> Expected:
    """Return the outcome of a whole response that says nothing certain.

    Args:
        words: a part of the error's text.
        status: the HTTP status.
        excerpt: the start of the body.
        reused: whether the connection is kept. Default: after a 200.
    """
    kept = status == 200 if reused is None else reused
    return Expected(Outcome.UNKNOWN, words, status, excerpt, kept)


def rejected(status: int) -> Expected:
    """Return the outcome of a status that a server gives before it runs the service."""
    return Expected(Outcome.REJECTED, f"HTTP status {status}", status)


NOT_XML = "not readable XML"
DECLARATION = "<?xml"


# --- building responses

Build = Callable[[str], bytes]


def raw(protocol: str) -> bytes:
    """Return the body of a good response."""
    return result_xml(protocol).encode()


def head(*lines: str | bytes, start: str | bytes = "HTTP/1.1 200 OK") -> bytes:
    """Return a head from its lines."""
    encoded = [line.encode() if isinstance(line, str) else line for line in (start, *lines)]
    return b"".join(line + b"\r\n" for line in encoded) + b"\r\n"


def sized(content: bytes, *lines: str | bytes, start: str | bytes = "HTTP/1.1 200 OK") -> bytes:
    """Return a response with a Content-Length."""
    return head(f"Content-Type: {XML}", f"Content-Length: {len(content)}", *lines, start=start) + (
        content
    )


def with_lines(*lines: str | bytes, start: str | bytes = "HTTP/1.1 200 OK") -> Build:
    """Return good responses with further header lines, or with another status line."""
    return lambda protocol: sized(raw(protocol), *lines, start=start)


def with_length(value: str | bytes, *more: str | bytes, name: str = "Content-Length") -> Build:
    """Return good responses whose Content-Length is ``value``; ``%d`` stands for the true one."""

    def build(protocol: str) -> bytes:
        content = raw(protocol)
        template = value.encode() if isinstance(value, str) else value
        line = name.encode() + b": " + template.replace(b"%d", b"%d" % len(content))
        return head(line, *more) + content

    return build


def in_chunks(content: bytes, size: int = 100) -> bytes:
    """Return the chunks of a body, without the last one."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def chunked(
    content: bytes,
    *lines: str | bytes,
    end: bytes = b"0\r\n\r\n",
    size: int = 100,
    coding: str = "chunked",
    start: str | bytes = "HTTP/1.1 200 OK",
) -> bytes:
    """Return a response in chunks."""
    return (
        head(f"Transfer-Encoding: {coding}", *lines, start=start) + in_chunks(content, size) + (end)
    )


def chunks_of(write: Callable[[bytes], bytes]) -> Build:
    """Return chunked responses whose chunks ``write`` writes."""
    return lambda protocol: chunked(b"", end=write(raw(protocol)))


def unframed(content: bytes, *lines: str, start: str = "HTTP/1.1 200 OK") -> bytes:
    """Return a response that ends with the connection."""
    return head(f"Content-Type: {XML}", *lines, start=start) + content


def encoded(content: bytes, encoding: str) -> bytes:
    """Return a response with a Content-Encoding."""
    return sized(content, f"Content-Encoding: {encoding}")


def compressed_often(content: bytes, times: int) -> bytes:
    """Return a response that is compressed several times."""
    for _ in range(times):
        content = gzip.compress(content)
    return encoded(content, ", ".join(["gzip"] * times))


def raw_deflate(content: bytes) -> bytes:
    """Compress without zlib's header, as some servers understand "deflate"."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(content) + compressor.flush()


def padded(content: bytes, size: int) -> bytes:
    """Return a document followed by white space, ``size`` bytes long."""
    return content + b" " * (size - len(content))


def head_of(size: int, header: int) -> Build:
    """Return good responses whose head has ``size`` bytes, in header lines of ``header`` bytes."""

    def build(protocol: str) -> bytes:
        content = raw(protocol)
        fixed = head(f"Content-Length: {len(content)}")
        left = size - len(fixed)
        lines = []
        while left:
            # The last line takes what is left: no line can be shorter than ``X:``.
            length = header if left >= header + 8 else left
            lines.append(b"X:" + b"y" * (length - 4))
            left -= length
        return head(f"Content-Length: {len(content)}", *lines) + content

    return build


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Row:
    """One response, what the server does after it, and how the submission ends."""

    build: Build
    expected: Expected
    after: After = After.READ_ON
    later: Build = field(default=lambda _: b"")
    """What the server sends once the client has its outcome."""
    protocols: tuple[str, ...] = tuple(PROTOCOLS)

    def reply(self, protocol: str) -> Reply:
        """Return what the server does."""
        return Reply(self.build(protocol), self.after, later=self.later(protocol))


NOT_HTTP = broken(failures.NOT_HTTP)
HEAD_TOO_LARGE = broken(failures.HEAD_TOO_LARGE)
BAD_BODY = broken(failures.NOT_HTTP, 200)
CUT = broken(failures.CUT_SHORT, 200)
TOO_LARGE = broken(failures.TOO_LARGE, 200)
NOT_DECODED = broken(failures.NOT_DECODED, 200)

LENGTHS = {
    "the length": Row(with_length("%d"), ACCEPTED),
    "the length in small letters": Row(with_length("%d", name="content-length"), ACCEPTED),
    "the length in capitals": Row(with_length("%d", name="CONTENT-LENGTH"), ACCEPTED),
    "blanks around the length": Row(with_length("  %d \t"), ACCEPTED),
    "zeros before the length": Row(with_length("000%d"), ACCEPTED),
    "the length twice": Row(
        lambda protocol: sized(raw(protocol), f"Content-Length: {len(raw(protocol))}"), ACCEPTED
    ),
    "the length twice, spelled differently": Row(
        lambda protocol: sized(raw(protocol), f"content-LENGTH:{len(raw(protocol))} "), ACCEPTED
    ),
    "the length three times": Row(
        lambda protocol: sized(raw(protocol), *[f"Content-Length: {len(raw(protocol))}"] * 2),
        ACCEPTED,
    ),
    "two lengths": Row(with_lines("Content-Length: 7"), NOT_HTTP),
    "two lengths, spelled differently": Row(with_lines("content-length: 7"), NOT_HTTP),
    "a length and no length": Row(with_lines("Content-Length:"), NOT_HTTP),
    "a plus": Row(with_length("+%d"), NOT_HTTP),
    "a minus": Row(with_length("-%d"), NOT_HTTP),
    "an underscore": Row(with_length("5_0"), NOT_HTTP),
    "hexadecimal": Row(with_length("0x5"), NOT_HTTP),
    "a fraction": Row(with_length("5.0"), NOT_HTTP),
    "an exponent": Row(with_length("1e2"), NOT_HTTP),
    "a list of two": Row(with_length("5,5"), NOT_HTTP),
    "a list of the length": Row(with_length("%d, %d"), NOT_HTTP),
    "two numbers": Row(with_length("5 5"), NOT_HTTP),
    "full-width digits": Row(with_length("\uff15"), NOT_HTTP),
    "no length": Row(with_length(""), NOT_HTTP),
    "a word": Row(with_length("many"), NOT_HTTP),
    "NUL in the length": Row(with_length("%d\0"), NOT_HTTP),
    "a length of 30 digits": Row(with_length("9" * 30), NOT_HTTP),
    "a length of 64 bits and one": Row(with_length(str(2**64)), NOT_HTTP),
    "a length of 1 MiB and 1": Row(with_length(str(MIB + 1)), TOO_LARGE),
    "a length of 2 MiB of gzip": Row(
        with_length(str(2 * MIB), "Content-Encoding: gzip"), timed_out(200)
    ),
    "a length of 2 MiB and 1 of gzip": Row(
        with_length(str(2 * MIB + 1), "Content-Encoding: gzip"), TOO_LARGE
    ),
    "a length of 63 bits": Row(with_length(str(2**63 - 1)), TOO_LARGE),
    "a length of 0 and a body": Row(with_length("0"), unknown(NOT_XML, reused=False)),
    "a length too short": Row(
        lambda protocol: http_response(raw(protocol), length=len(raw(protocol)) - 10),
        unknown(NOT_XML, 200, DECLARATION, reused=False),
    ),
    "a length too short by white space": Row(
        lambda protocol: http_response(raw(protocol) + b"\r\n", length=len(raw(protocol))),
        ACCEPTED_ONCE,
    ),
    "a length too long, closed": Row(
        lambda protocol: http_response(raw(protocol), length=len(raw(protocol)) + 1),
        CUT,
        After.CLOSE,
    ),
    "a length too long, kept open": Row(
        lambda protocol: http_response(raw(protocol), length=len(raw(protocol)) + 1),
        timed_out(200),
    ),
    "chunks and the length": Row(
        lambda protocol: chunked(raw(protocol), f"Content-Length: {len(raw(protocol))}"), NOT_HTTP
    ),
    "the length and chunks": Row(with_lines("Transfer-Encoding: chunked"), NOT_HTTP),
    "the length and identity": Row(with_lines("Transfer-Encoding: identity"), NOT_HTTP),
    "chunks and a length of 0": Row(
        lambda protocol: chunked(raw(protocol), "content-length: 0"), NOT_HTTP
    ),
    "a blank before the colon of the length": Row(
        with_length("%d", name="Content-Length "), NOT_HTTP
    ),
    "a blank before the colon of the chunks": Row(
        lambda protocol: head("Transfer-Encoding : chunked") + in_chunks(raw(protocol)), NOT_HTTP
    ),
}

HEADS = {
    "a header of 9 KB": Row(with_lines("X: " + "y" * 9000), ACCEPTED),
    "headers of 9 KB": Row(with_lines(*["X: " + "y" * 90] * 100), ACCEPTED),
    "200 headers": Row(with_lines(*["A: b"] * 200), ACCEPTED),
    "a head of 64 KiB less 1": Row(head_of(64 * KIB - 1, 64 * KIB), ACCEPTED),
    "a head of 64 KiB less 1, short lines": Row(head_of(64 * KIB - 1, 80), ACCEPTED),
    "a head of 64 KiB": Row(head_of(64 * KIB, 80), ACCEPTED),
    "a head of 64 KiB and 1": Row(head_of(64 * KIB + 1, 64 * KIB), HEAD_TOO_LARGE),
    "a head of 64 KiB and 1, short lines": Row(head_of(64 * KIB + 1, 80), HEAD_TOO_LARGE),
    "a head of 1 MiB": Row(head_of(MIB, 80), HEAD_TOO_LARGE),
    "a blank before a colon": Row(with_lines("X : y"), NOT_HTTP),
    "a tab before a colon": Row(with_lines("X\t: y"), NOT_HTTP),
    "a value with 60 KB of blanks": Row(with_lines("X: a" + " " * 60_000 + "b"), ACCEPTED),
    "an encoding with 60 KB of blanks": Row(
        with_lines("Content-Encoding: a" + " " * 60_000 + "b"), NOT_DECODED
    ),
    "a length with 60 KB of blanks": Row(with_length("%d" + " " * 60_000), ACCEPTED),
    "no blank after a colon": Row(with_lines("X:y"), ACCEPTED),
    "blanks and tabs around a value": Row(with_lines("X: \t y \t "), ACCEPTED),
    "an empty value": Row(with_lines("X:"), ACCEPTED),
    "a colon in a value": Row(with_lines("X: y: z"), ACCEPTED),
    "no colon": Row(with_lines("nothing"), NOT_HTTP),
    "no name": Row(with_lines(": y"), NOT_HTTP),
    "a blank in a name": Row(with_lines("X Y: z"), NOT_HTTP),
    "a bracket in a name": Row(with_lines("X(Y: z"), NOT_HTTP),
    "Chinese in a name": Row(with_lines("名: z"), NOT_HTTP),
    "Chinese in a value": Row(with_lines("X: 值"), ACCEPTED),
    "a byte of no text in a value": Row(with_lines(b"X: \xff\xfe\x80"), ACCEPTED),
    "NUL in a value": Row(with_lines("X: a\0b"), NOT_HTTP),
    "NUL in a name": Row(with_lines("X\0: ab"), NOT_HTTP),
    "a control character in a value": Row(with_lines("X: a\x01b"), NOT_HTTP),
    "DEL in a value": Row(with_lines("X: a\x7fb"), NOT_HTTP),
    "a folded line": Row(with_lines("X: a\r\n b"), NOT_HTTP),
    "a line folded by a tab": Row(with_lines("X: a\r\n\tb"), NOT_HTTP),
    "a folded length": Row(with_length("%d\r\n 0"), NOT_HTTP),
    "a folded value that begins empty": Row(with_lines("X:\r\n b"), NOT_HTTP),
    "a first header that is folded": Row(
        lambda protocol: head(" X: y", f"Content-Length: {len(raw(protocol))}") + raw(protocol),
        NOT_HTTP,
    ),
    "LF alone at all ends": Row(
        lambda protocol: (
            head(f"Content-Length: {len(raw(protocol))}").replace(b"\r", b"") + raw(protocol)
        ),
        NOT_HTTP,
    ),
    "LF alone after the status line": Row(
        lambda protocol: sized(raw(protocol)).replace(b"\r\n", b"\n", 1), NOT_HTTP
    ),
    "LF alone after a header": Row(
        lambda protocol: sized(raw(protocol)).replace(b"8\r\n", b"8\n", 1), NOT_HTTP
    ),
    "LF alone at the end of the head": Row(
        lambda protocol: sized(raw(protocol)).replace(b"\r\n\r\n", b"\r\n\n", 1), NOT_HTTP
    ),
    "CR alone in a value": Row(with_lines("X: a\rb"), NOT_HTTP),
    "CR alone after the status line": Row(
        lambda protocol: sized(raw(protocol)).replace(b"\r\n", b"\r", 1), NOT_HTTP
    ),
    "CR CR LF": Row(with_lines("X: a\r"), NOT_HTTP),
    "no Content-Type": Row(with_length("%d"), ACCEPTED),
    "two Content-Types": Row(with_lines(f"Content-Type: {XML}"), ACCEPTED),
    "a page and XML as Content-Types": Row(
        lambda protocol: http_response(raw(protocol), "200 OK", HTML, f"Content-Type: {XML}"),
        unknown(NOT_XML, 200, DECLARATION),
    ),
    "a page": Row(
        lambda _: http_response("<h1>Log in</h1>", "200 OK", HTML),
        unknown(NOT_XML, 200, "<h1>Log in</h1>"),
    ),
}

STATUS_LINES = {
    "blank line first": Row(lambda protocol: b"\r\n" + sized(raw(protocol)), ACCEPTED),
    "blank lines first": Row(lambda protocol: b"\r\n\r\n\n" + sized(raw(protocol)), ACCEPTED),
    "a blank first": Row(lambda protocol: b" " + sized(raw(protocol)), NOT_HTTP),
    "a byte order mark first": Row(
        lambda protocol: b"\xef\xbb\xbf" + sized(raw(protocol)), NOT_HTTP
    ),
    "a letter first": Row(lambda protocol: b"X" + sized(raw(protocol)), NOT_HTTP),
    "small letters": Row(with_lines(start="http/1.1 200 OK"), NOT_HTTP),
    "ICY": Row(with_lines(start="ICY 200 OK"), NOT_HTTP),
    "RTSP": Row(with_lines(start="RTSP/1.1 200 OK"), NOT_HTTP),
    "ICE": Row(with_lines(start="ICE/1.1 200 OK"), NOT_HTTP),
    "HTTPS": Row(with_lines(start="HTTPS/1.1 200 OK"), NOT_HTTP),
    "SSH": Row(lambda _: b"SSH-2.0-OpenSSH_9.6\r\n", NOT_HTTP),
    "TLS": Row(lambda _: b"\x15\x03\x01\x00\x02\x02\x16", NOT_HTTP),
    "a request": Row(lambda _: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", NOT_HTTP),
    "all bytes": Row(lambda _: bytes(range(256)), NOT_HTTP),
    "a bare document": Row(raw, NOT_HTTP),
    "HTTP/1.0": Row(with_lines(start="HTTP/1.0 200 OK"), ACCEPTED_ONCE),
    "HTTP/1.0 with keep-alive": Row(
        with_lines("Connection: keep-alive", start="HTTP/1.0 200 OK"), ACCEPTED_ONCE
    ),
    "HTTP/1.0 in chunks": Row(
        lambda protocol: chunked(raw(protocol), start="HTTP/1.0 200 OK"), ACCEPTED_ONCE
    ),
    "HTTP/0.9": Row(with_lines(start="HTTP/0.9 200 OK"), NOT_HTTP),
    "HTTP/1.9": Row(with_lines(start="HTTP/1.9 200 OK"), NOT_HTTP),
    "HTTP/1.2": Row(with_lines(start="HTTP/1.2 200 OK"), NOT_HTTP),
    "HTTP/2.0": Row(with_lines(start="HTTP/2.0 200 OK"), NOT_HTTP),
    "HTTP/2": Row(with_lines(start="HTTP/2 200 OK"), NOT_HTTP),
    "HTTP/9.9": Row(with_lines(start="HTTP/9.9 200 OK"), NOT_HTTP),
    "HTTP/11": Row(with_lines(start="HTTP/11 200 OK"), NOT_HTTP),
    "HTTP/1.10": Row(with_lines(start="HTTP/1.10 200 OK"), NOT_HTTP),
    "no reason": Row(with_lines(start="HTTP/1.1 200"), ACCEPTED),
    "an empty reason": Row(with_lines(start="HTTP/1.1 200 "), ACCEPTED),
    "a reason of another status": Row(with_lines(start="HTTP/1.1 200 404 Not Found"), ACCEPTED),
    "a reason in Chinese": Row(with_lines(start="HTTP/1.1 200 成功"), ACCEPTED),
    "a reason of no text": Row(with_lines(start=b"HTTP/1.1 200 \xff\xfe"), ACCEPTED),
    "a long reason": Row(with_lines(start="HTTP/1.1 200 " + "x" * 9000), ACCEPTED),
    "NUL in the reason": Row(with_lines(start="HTTP/1.1 200 O\0K"), NOT_HTTP),
    "a status of 2 digits": Row(with_lines(start="HTTP/1.1 20 OK"), NOT_HTTP),
    "the status 99": Row(with_lines(start="HTTP/1.1 99 OK"), NOT_HTTP),
    "the status 099": Row(with_lines(start="HTTP/1.1 099 OK"), NOT_HTTP),
    "the status 000": Row(with_lines(start="HTTP/1.1 000 OK"), NOT_HTTP),
    "the status 099 before a 200": Row(
        lambda protocol: head(start="HTTP/1.1 099 Early") + sized(raw(protocol)), NOT_HTTP
    ),
    "a control character in the reason": Row(with_lines(start="HTTP/1.1 200 O\x01K"), NOT_HTTP),
    "a status of 4 digits": Row(with_lines(start="HTTP/1.1 2000 OK"), NOT_HTTP),
    "the status 1000": Row(with_lines(start="HTTP/1.1 1000 OK"), NOT_HTTP),
    "a status with a plus": Row(with_lines(start="HTTP/1.1 +20 OK"), NOT_HTTP),
    "a status that is no number": Row(with_lines(start="HTTP/1.1 2x0 OK"), NOT_HTTP),
    "no status": Row(with_lines(start="HTTP/1.1"), NOT_HTTP),
    "no blank after the status": Row(with_lines(start="HTTP/1.1 200OK"), NOT_HTTP),
    "two blanks before the status": Row(with_lines(start="HTTP/1.1  200 OK"), NOT_HTTP),
    "a tab before the status": Row(with_lines(start="HTTP/1.1\t200 OK"), NOT_HTTP),
}


def empty(status: int | str, *lines: str, content: bytes = b"") -> Build:
    """Return responses with a status and no XML."""
    return lambda _: sized(content, *lines, start=f"HTTP/1.1 {status} Reason")


def bodiless(status: int) -> Build:
    """Return responses of a head alone."""
    return lambda _: head(start=f"HTTP/1.1 {status} Reason")


BEFORE_THE_SERVICE = (400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 426, 429, 431)
"""The statuses that a server gives before it runs the service."""
OTHER_STATUSES = (
    *(201, 202, 203, 205, 206, 207, 226, 299, 300, 301, 302, 303, 305, 307, 308, 399),
    *(402, 406, 408, 409, 410, 412, 416, 418, 421, 422, 423, 425, 428, 430, 432, 444, 451, 460),
    *(494, 499, 500, 501, 502, 503, 504, 505, 511, 520, 599, 600, 700, 999),
)

STATUSES = {
    **{f"{status}": Row(empty(status), rejected(status)) for status in BEFORE_THE_SERVICE},
    **{
        f"{status}": Row(empty(status), unknown(f"HTTP status {status}", status))
        for status in OTHER_STATUSES
    },
    **{
        f"{status}, and a page of its own": Row(
            empty(status, content=b"<h1>No</h1>"), replace(rejected(status), reused=False)
        )
        for status in (400, 404, 407)
    },
    "a 201 with a batch number": Row(
        with_lines(start="HTTP/1.1 201 Created"), unknown("HTTP status 201", 201, DECLARATION)
    ),
    "a 500 with a batch number": Row(
        with_lines(start="HTTP/1.1 500 Error"), unknown("HTTP status 500", 500, DECLARATION)
    ),
    "a 302": Row(
        empty(302, "Location: http://127.0.0.1:9/"),
        unknown("HTTP status 302, and redirects are not followed", 302),
    ),
    "a 204": Row(bodiless(204), unknown("HTTP status 204", 204)),
    "a 204 with the length 0": Row(empty(204), unknown("HTTP status 204", 204)),
    "a 204 with a body": Row(
        with_lines(start="HTTP/1.1 204 No Content"), unknown("HTTP status 204", 204)
    ),
    "a 304": Row(bodiless(304), unknown("HTTP status 304", 304)),
    "a 304 with a body": Row(
        with_lines(start="HTTP/1.1 304 Not Modified"), unknown("HTTP status 304", 304)
    ),
    "a 304 that tells a length": Row(
        lambda _: head("Content-Length: 999", start="HTTP/1.1 304 Not Modified"),
        unknown("HTTP status 304", 304),
    ),
    "a 205 with a body": Row(
        with_lines(start="HTTP/1.1 205 Reset Content"),
        unknown("HTTP status 205", 205, DECLARATION),
    ),
    "a 200 with nothing": Row(empty(200), unknown(NOT_XML, reused=False)),
    "a 200 with an empty chunk": Row(lambda _: chunked(b""), unknown(NOT_XML, reused=False)),
    "a 200 with an empty gzip": Row(
        lambda _: encoded(gzip.compress(b""), "gzip"), unknown(NOT_XML)
    ),
    "a 200 with a blank": Row(empty(200, content=b" "), unknown(NOT_XML, 200)),
    "a 404 until the close": Row(
        lambda _: unframed(b"<h1>No</h1>", start="HTTP/1.1 404 Not Found"),
        rejected(404),
        After.CLOSE,
    ),
    "a 404 cut short": Row(
        lambda _: http_response("<h1>", "404 Not Found", HTML, length=9),
        broken(failures.CUT_SHORT, 404),
        After.CLOSE,
    ),
    "a 404 that does not end": Row(
        lambda _: http_response("<h1>", "404 Not Found", HTML, length=9), timed_out(404)
    ),
    "a 404 with an encoding of its own": Row(
        lambda _: http_response("<h1>", "404 Not Found", HTML, "Content-Encoding: br"),
        broken(failures.NOT_DECODED, 404),
    ),
    "a Client fault": Row(
        lambda protocol: http_response(
            soap_fault(protocol, "Client" if protocol == "soap" else "Sender"), "500 Error"
        ),
        Expected(Outcome.REJECTED, 'fault ("It broke.")', 500),
        protocols=SOAP,
    ),
    "a Server fault": Row(
        lambda protocol: http_response(
            soap_fault(protocol, "Server" if protocol == "soap" else "Receiver"), "500 Error"
        ),
        unknown('fault ("It broke.")', 500, DECLARATION),
        protocols=SOAP,
    ),
    "a missing parameter": Row(
        lambda _: http_response("Missing parameter: ExeNo.\r\n", "500 Error", PLAIN),
        Expected(Outcome.REJECTED, "Missing parameter: ExeNo", 500),
        protocols=FORMS,
    ),
    "the code -7": Row(
        lambda protocol: result_response(protocol, "-7"),
        Expected(Outcome.REJECTED, "-7", reused=True),
    ),
    "an empty result": Row(
        lambda protocol: result_response(protocol, ""),
        Expected(Outcome.UNKNOWN, "an empty result", None, "", reused=True),
    ),
}

EARLY = {
    "a 100 first": Row(lambda protocol: CONTINUE + sized(raw(protocol)), ACCEPTED),
    "a 102 first": Row(
        lambda protocol: head(start="HTTP/1.1 102 Processing") + sized(raw(protocol)), ACCEPTED
    ),
    "a 103 first": Row(
        lambda protocol: (
            head("Link: </a>", start="HTTP/1.1 103 Early Hints") + sized(raw(protocol))
        ),
        ACCEPTED,
    ),
    "a 199 first": Row(
        lambda protocol: head(start="HTTP/1.1 199 Something") + sized(raw(protocol)), ACCEPTED
    ),
    "a 100, a 102 and a 103 first": Row(
        lambda protocol: (
            CONTINUE
            + head(start="HTTP/1.1 102 Processing")
            + head("Link: </a>", start="HTTP/1.1 103 Early Hints")
            + sized(raw(protocol))
        ),
        ACCEPTED,
    ),
    "a 100 of HTTP/1.0 first": Row(
        lambda protocol: head(start="HTTP/1.0 100 Continue") + sized(raw(protocol)), ACCEPTED
    ),
    "1,000 times a 100 first": Row(
        lambda protocol: CONTINUE * 1000 + sized(raw(protocol)), ACCEPTED
    ),
    "a 100 before chunks": Row(lambda protocol: CONTINUE + chunked(raw(protocol)), ACCEPTED),
    "a 100 before a 404": Row(
        lambda _: CONTINUE + http_response("", "404 Not Found"), rejected(404)
    ),
    "a 100 with a length": Row(
        lambda protocol: (
            head("Content-Length: 0", start="HTTP/1.1 100 Continue") + sized(raw(protocol))
        ),
        ACCEPTED,
    ),
    "a 100 that closes": Row(
        lambda protocol: (
            head("Connection: close", start="HTTP/1.1 100 Continue") + sized(raw(protocol))
        ),
        ACCEPTED,
    ),
    "2 MiB of 100s": Row(
        lambda protocol: CONTINUE * (2 * MIB // len(CONTINUE)) + sized(raw(protocol)),
        broken(failures.TOO_LARGE),
    ),
    "a 101": Row(
        lambda _: head("Upgrade: h2c", "Connection: upgrade", start="HTTP/1.1 101 Switching"),
        NOT_HTTP,
    ),
    "a 101 and a response": Row(
        lambda protocol: head(start="HTTP/1.1 101 Switching") + sized(raw(protocol)),
        NOT_HTTP,
    ),
    "a 100 and the end": Row(lambda _: CONTINUE, broken(failures.CLOSED_EARLY), After.CLOSE),
    "a 103 and a reset": Row(
        lambda _: head(start="HTTP/1.1 103 Early Hints"),
        broken(failures.CONNECTION_BROKE),
        After.RESET,
    ),
    "a 103 and nothing": Row(lambda _: head(start="HTTP/1.1 103 Early Hints"), timed_out()),
    "a 200 that offers an upgrade": Row(
        with_lines("Upgrade: h2c", "Connection: upgrade"), ACCEPTED
    ),
}

CHUNKS = {
    "chunks": Row(lambda protocol: chunked(raw(protocol)), ACCEPTED),
    "a single chunk": Row(lambda protocol: chunked(raw(protocol), size=9999), ACCEPTED),
    "chunks of 1 byte": Row(lambda protocol: chunked(raw(protocol), size=1), ACCEPTED),
    "Chunked": Row(lambda protocol: chunked(raw(protocol), coding="CHUNKED"), ACCEPTED),
    "chunks in capitals": Row(
        chunks_of(lambda content: b"%X\r\n%b\r\n0\r\n\r\n" % (len(content), content)), ACCEPTED
    ),
    "zeros before a size": Row(
        chunks_of(lambda content: b"000%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)), ACCEPTED
    ),
    "a blank after a size": Row(
        chunks_of(lambda content: b"%x \r\n%b\r\n0\r\n\r\n" % (len(content), content)), BAD_BODY
    ),
    "a blank before a size": Row(
        chunks_of(lambda content: b" %x\r\n%b\r\n0\r\n\r\n" % (len(content), content)), BAD_BODY
    ),
    "extensions": Row(
        chunks_of(lambda content: b'%x;a;b=c;d="e;f"\r\n%b\r\n0\r\n\r\n' % (len(content), content)),
        ACCEPTED,
    ),
    "an extension of the last chunk": Row(
        lambda protocol: chunked(raw(protocol), end=b"0;a=b\r\n\r\n"), ACCEPTED_ONCE
    ),
    "zeros before the last size": Row(
        lambda protocol: chunked(raw(protocol), end=b"000\r\n\r\n"), ACCEPTED_ONCE
    ),
    "an extension without a name": Row(
        chunks_of(lambda content: b"%x;\r\n%b\r\n0\r\n\r\n" % (len(content), content)), BAD_BODY
    ),
    "NUL in an extension": Row(
        chunks_of(lambda content: b"%x;a=\0\r\n%b\r\n0\r\n\r\n" % (len(content), content)), BAD_BODY
    ),
    "trailers": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\nX: y\r\nZ: z\r\n\r\n"), ACCEPTED_ONCE
    ),
    "trailers of 70 KB": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\n" + b"X: y\r\n" * 12000 + b"\r\n"),
        ACCEPTED_ONCE,
    ),
    "a trailer with a length": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\nContent-Length: 5\r\n\r\n"), BAD_BODY
    ),
    "a trailer that closes": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\nConnection: close\r\n\r\n"),
        ACCEPTED_ONCE,
    ),
    "a trailer with an encoding": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\nContent-Encoding: br\r\n\r\n"),
        ACCEPTED_ONCE,
    ),
    "a trailer with a type": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\nContent-Type: text/html\r\n\r\n"),
        ACCEPTED_ONCE,
    ),
    "a trailer without a colon": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\nnothing\r\n\r\n"), BAD_BODY
    ),
    "a negative size": Row(chunks_of(lambda _: b"-1\r\n"), BAD_BODY),
    "a size with a plus": Row(chunks_of(lambda _: b"+1\r\n"), BAD_BODY),
    "a size with 0x": Row(chunks_of(lambda _: b"0x1\r\n"), BAD_BODY),
    "a size with an underscore": Row(chunks_of(lambda _: b"1_0\r\n"), BAD_BODY),
    "a size that is no number": Row(chunks_of(lambda _: b"zz\r\n"), BAD_BODY),
    "no size": Row(chunks_of(lambda _: b"\r\n"), BAD_BODY),
    "a size of 68 bits": Row(chunks_of(lambda _: b"F" * 17 + b"\r\n"), BAD_BODY),
    "a size of 64 bits": Row(chunks_of(lambda _: b"F" * 16 + b"\r\nabc"), timed_out(200)),
    "a size of 3 MiB": Row(chunks_of(lambda _: b"300000\r\nabc"), timed_out(200)),
    "LF alone after a size": Row(
        chunks_of(lambda content: b"%x\n%b\r\n0\r\n\r\n" % (len(content), content)), BAD_BODY
    ),
    "LF alone after a chunk": Row(
        chunks_of(lambda content: b"%x\r\n%b\n0\r\n\r\n" % (len(content), content)), BAD_BODY
    ),
    "LF alone at the end": Row(
        chunks_of(lambda content: b"%x\r\n%b\r\n0\r\n\n" % (len(content), content)), BAD_BODY
    ),
    "a chunk too long": Row(
        chunks_of(lambda content: b"%x\r\n%bX\r\n0\r\n\r\n" % (len(content), content)), BAD_BODY
    ),
    "chunks cut short": Row(lambda protocol: chunked(raw(protocol), end=b""), CUT, After.CLOSE),
    "a chunk cut short": Row(
        lambda protocol: chunked(raw(protocol), end=b"ff\r\nabc"), CUT, After.CLOSE
    ),
    "a size cut short": Row(lambda protocol: chunked(raw(protocol), end=b"f"), CUT, After.CLOSE),
    "chunks without the last CR LF": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\n"), CUT, After.CLOSE
    ),
    "chunks without the last LF": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\n\r"), CUT, After.CLOSE
    ),
    "chunks that do not end": Row(
        lambda protocol: chunked(raw(protocol), end=b"0\r\n"), timed_out(200)
    ),
    "chunks and a reset": Row(
        lambda protocol: chunked(raw(protocol), end=b""),
        broken(failures.CONNECTION_BROKE, 200),
        After.RESET,
    ),
    "gzip, chunked": Row(
        lambda protocol: chunked(gzip.compress(raw(protocol)), coding="gzip, chunked"), ACCEPTED
    ),
    "gzip and chunked on two lines": Row(
        lambda protocol: chunked(
            gzip.compress(raw(protocol)), "Transfer-Encoding: chunked", coding="gzip"
        ),
        ACCEPTED,
    ),
    "gzip, chunked around gzip": Row(
        lambda protocol: chunked(
            gzip.compress(gzip.compress(raw(protocol))),
            "Content-Encoding: gzip",
            coding="gzip, chunked",
        ),
        ACCEPTED,
    ),
    "gzip, chunked of no gzip": Row(
        lambda protocol: chunked(raw(protocol), coding="gzip, chunked"), NOT_DECODED
    ),
    "gzip in chunks": Row(
        lambda protocol: chunked(gzip.compress(raw(protocol)), "Content-Encoding: gzip"), ACCEPTED
    ),
    "br, chunked": Row(lambda protocol: chunked(raw(protocol), coding="br, chunked"), NOT_DECODED),
    "chunked, chunked": Row(
        lambda protocol: chunked(
            in_chunks(raw(protocol)) + b"0\r\n\r\n", coding="chunked, chunked"
        ),
        NOT_DECODED,
    ),
    "chunked twice": Row(
        lambda protocol: chunked(raw(protocol), "Transfer-Encoding: chunked"), NOT_DECODED
    ),
    "chunked, gzip": Row(
        lambda protocol: chunked(raw(protocol), coding="chunked, gzip"), NOT_DECODED
    ),
    "gzip until the close": Row(
        lambda protocol: unframed(gzip.compress(raw(protocol)), "Transfer-Encoding: gzip"),
        ACCEPTED_ONCE,
        After.CLOSE,
    ),
    "an unknown coding": Row(
        lambda protocol: chunked(raw(protocol), coding="xchunked"), NOT_DECODED
    ),
    "no coding": Row(lambda protocol: chunked(raw(protocol), coding=""), NOT_HTTP),
    "chunked with a parameter": Row(
        lambda protocol: chunked(raw(protocol), coding="chunked;q=1"), NOT_DECODED
    ),
}

BOMB = gzip.compress(b" " * (16 * MIB))
EMPTY_GZIP = gzip.compress(b"")

ENCODINGS = {
    "gzip": Row(lambda protocol: encoded(gzip.compress(raw(protocol)), "gzip"), ACCEPTED),
    "GZIP": Row(lambda protocol: encoded(gzip.compress(raw(protocol)), "GZIP"), ACCEPTED),
    "x-gzip": Row(lambda protocol: encoded(gzip.compress(raw(protocol)), "x-gzip"), ACCEPTED),
    "deflate of zlib": Row(
        lambda protocol: encoded(zlib.compress(raw(protocol)), "deflate"), ACCEPTED
    ),
    "raw deflate": Row(lambda protocol: encoded(raw_deflate(raw(protocol)), "deflate"), ACCEPTED),
    "identity": Row(lambda protocol: encoded(raw(protocol), "identity"), ACCEPTED),
    "an empty encoding": Row(lambda protocol: encoded(raw(protocol), ""), ACCEPTED),
    "gzip twice": Row(
        lambda protocol: encoded(gzip.compress(gzip.compress(raw(protocol))), "gzip, gzip"),
        ACCEPTED,
    ),
    "deflate, then gzip": Row(
        lambda protocol: encoded(gzip.compress(zlib.compress(raw(protocol))), "deflate, gzip"),
        ACCEPTED,
    ),
    "deflate and gzip on two lines": Row(
        lambda protocol: sized(
            gzip.compress(zlib.compress(raw(protocol))),
            "Content-Encoding: deflate",
            "Content-Encoding: gzip",
        ),
        ACCEPTED,
    ),
    "gzip of two members": Row(
        lambda protocol: encoded(
            gzip.compress(raw(protocol)[:50]) + gzip.compress(raw(protocol)[50:]), "gzip"
        ),
        ACCEPTED,
    ),
    "gzip until the close": Row(
        lambda protocol: unframed(gzip.compress(raw(protocol)), "Content-Encoding: gzip"),
        ACCEPTED_ONCE,
        After.CLOSE,
    ),
    "br": Row(lambda protocol: encoded(raw(protocol), "br"), NOT_DECODED),
    "zstd": Row(lambda protocol: encoded(raw(protocol), "zstd"), NOT_DECODED),
    "an unknown encoding": Row(lambda protocol: encoded(raw(protocol), "x-none"), NOT_DECODED),
    "gzip, then an unknown encoding": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol)), "gzip, x-none"), NOT_DECODED
    ),
    "four encodings": Row(lambda protocol: compressed_often(raw(protocol), 4), ACCEPTED),
    "five encodings": Row(lambda protocol: compressed_often(raw(protocol), 5), NOT_DECODED),
    "gzip of 16 members": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol)) + EMPTY_GZIP * 15, "gzip"), ACCEPTED
    ),
    "gzip of 17 members": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol)) + EMPTY_GZIP * 16, "gzip"),
        NOT_DECODED,
    ),
    "deflate of two streams": Row(
        lambda protocol: encoded(
            zlib.compress(raw(protocol)[:50]) + zlib.compress(raw(protocol)[50:]), "deflate"
        ),
        NOT_DECODED,
    ),
    "not gzip": Row(lambda protocol: encoded(raw(protocol), "gzip"), NOT_DECODED),
    "not deflate": Row(lambda protocol: encoded(raw(protocol), "deflate"), NOT_DECODED),
    "gzip broken": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol))[:20] + b"\xff" * 200, "gzip"),
        NOT_DECODED,
    ),
    "gzip with a wrong checksum": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol))[:-8] + b"\xff" * 8, "gzip"),
        NOT_DECODED,
    ),
    "gzip cut short": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol))[:60], "gzip"), NOT_DECODED
    ),
    "gzip without its checksum": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol))[:-8], "gzip"), NOT_DECODED
    ),
    "deflate cut short": Row(
        lambda protocol: encoded(zlib.compress(raw(protocol))[:-4], "deflate"), NOT_DECODED
    ),
    "gzip and junk": Row(
        lambda protocol: encoded(gzip.compress(raw(protocol)) + b"junk", "gzip"), NOT_DECODED
    ),
    "deflate and junk": Row(
        lambda protocol: encoded(zlib.compress(raw(protocol)) + b"junk", "deflate"), NOT_DECODED
    ),
    "gzip cut with the connection": Row(
        lambda protocol: unframed(gzip.compress(raw(protocol))[:-9], "Content-Encoding: gzip"),
        NOT_DECODED,
        After.CLOSE,
    ),
    "1 MiB": Row(lambda protocol: sized(padded(raw(protocol), MIB)), ACCEPTED),
    "1 MiB and 1": Row(lambda protocol: sized(padded(raw(protocol), MIB + 1)), TOO_LARGE),
    "1 MiB once decoded": Row(
        lambda protocol: encoded(gzip.compress(padded(raw(protocol), MIB)), "gzip"), ACCEPTED
    ),
    "1 MiB and 1 once decoded": Row(
        lambda protocol: encoded(gzip.compress(padded(raw(protocol), MIB + 1)), "gzip"), TOO_LARGE
    ),
    "a bomb": Row(lambda _: encoded(BOMB, "gzip"), TOO_LARGE),
    "a bomb in a bomb": Row(lambda _: encoded(gzip.compress(BOMB), "gzip, gzip"), TOO_LARGE),
    "a bomb in chunks": Row(
        lambda _: chunked(BOMB, "Content-Encoding: gzip", size=1000), TOO_LARGE
    ),
    "a bomb of deflate": Row(
        lambda _: encoded(zlib.compress(b" " * (16 * MIB)), "deflate"), TOO_LARGE
    ),
    "a bomb of raw deflate": Row(
        lambda _: encoded(raw_deflate(b" " * (16 * MIB)), "deflate"), TOO_LARGE
    ),
    "chunks of 1 byte, 2 MiB as received": Row(
        lambda protocol: chunked(padded(raw(protocol), 400_000), size=1), TOO_LARGE
    ),
    "1 MiB and 1 until the close": Row(
        lambda protocol: unframed(padded(raw(protocol), MIB + 1)), TOO_LARGE, After.CLOSE
    ),
    "1 MiB until the close": Row(
        lambda protocol: unframed(padded(raw(protocol), MIB)), ACCEPTED_ONCE, After.CLOSE
    ),
}

ENDS = {
    "closed after it": Row(with_lines(), ACCEPTED_ONCE, After.CLOSE),
    "reset after it": Row(with_lines(), ACCEPTED_ONCE, After.RESET),
    "Connection: close": Row(with_lines("Connection: close"), ACCEPTED_ONCE),
    "connection: CLOSE": Row(with_lines("connection: CLOSE"), ACCEPTED_ONCE),
    "Connection: close, x": Row(with_lines("Connection: close, x"), ACCEPTED_ONCE),
    "Connection: x, close": Row(with_lines("Connection: x, close"), ACCEPTED_ONCE),
    "Connection: keep-alive, close": Row(
        with_lines("Connection: keep-alive", "Connection: close"), ACCEPTED_ONCE
    ),
    "Connection: keep-alive": Row(with_lines("Connection: keep-alive"), ACCEPTED),
    "Connection: closed": Row(with_lines("Connection: closed"), ACCEPTED),
    "Proxy-Connection: close": Row(with_lines("Proxy-Connection: close"), ACCEPTED_ONCE),
    "Connection: close in chunks": Row(
        lambda protocol: chunked(raw(protocol), "Connection: close"), ACCEPTED_ONCE
    ),
    "until the close": Row(lambda protocol: unframed(raw(protocol)), ACCEPTED_ONCE, After.CLOSE),
    "until the close, HTTP/1.0": Row(
        lambda protocol: unframed(raw(protocol), start="HTTP/1.0 200 OK"),
        ACCEPTED_ONCE,
        After.CLOSE,
    ),
    "until the close, and it resets": Row(
        lambda protocol: unframed(raw(protocol)),
        broken(failures.CONNECTION_BROKE, 200),
        After.RESET,
    ),
    "until the close, and it does not": Row(
        lambda protocol: unframed(raw(protocol)), timed_out(200)
    ),
    "until the close, XML cut short": Row(
        lambda protocol: unframed(raw(protocol)[:-9]),
        unknown(NOT_XML, 200, DECLARATION, reused=False),
        After.CLOSE,
    ),
    "until the close, nothing": Row(
        lambda _: unframed(b""), unknown(NOT_XML, reused=False), After.CLOSE
    ),
    "closed": Row(lambda _: b"", broken(failures.CLOSED_EARLY), After.CLOSE),
    "reset": Row(lambda _: b"", broken(failures.CONNECTION_BROKE), After.RESET),
    "nothing": Row(lambda _: b"", timed_out()),
    "a blank line and the end": Row(lambda _: b"\r\n", broken(failures.CLOSED_EARLY), After.CLOSE),
    "a letter and the end": Row(lambda _: b"H", broken(failures.CUT_SHORT), After.CLOSE),
    "half a status line and the end": Row(
        lambda _: b"HTTP/1.1 2", broken(failures.CUT_SHORT), After.CLOSE
    ),
    "a status line and the end": Row(
        lambda _: b"HTTP/1.1 200 OK\r\n", broken(failures.CUT_SHORT), After.CLOSE
    ),
    "half a head and the end": Row(
        lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nA",
        broken(failures.CUT_SHORT),
        After.CLOSE,
    ),
    "half a head and a reset": Row(
        lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nA",
        broken(failures.CONNECTION_BROKE),
        After.RESET,
    ),
    "half a head and nothing": Row(
        lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nA", timed_out()
    ),
    "a head without the last LF": Row(
        lambda protocol: head(f"Content-Length: {len(raw(protocol))}")[:-1],
        broken(failures.CUT_SHORT),
        After.CLOSE,
    ),
    "half a body and the end": Row(lambda protocol: sized(raw(protocol))[:-9], CUT, After.CLOSE),
    "half a body and a reset": Row(
        lambda protocol: sized(raw(protocol))[:-9],
        broken(failures.CONNECTION_BROKE, 200),
        After.RESET,
    ),
    "half a body and nothing": Row(lambda protocol: sized(raw(protocol))[:-9], timed_out(200)),
    "a head and the end": Row(
        lambda protocol: head(f"Content-Length: {len(raw(protocol))}"), CUT, After.CLOSE
    ),
    "a byte more": Row(lambda protocol: sized(raw(protocol)) + b"\n", ACCEPTED_ONCE),
    "a blank line more": Row(lambda protocol: sized(raw(protocol)) + b"\r\n", ACCEPTED_ONCE),
    "a response more": Row(
        lambda protocol: sized(raw(protocol)) + result_response(protocol, "-7"), ACCEPTED_ONCE
    ),
    "half a response more": Row(
        lambda protocol: sized(raw(protocol)) + b"HTTP/1.1 200 OK\r\nX: ", ACCEPTED_ONCE
    ),
    "a response more, Connection: close": Row(
        lambda protocol: sized(raw(protocol), "Connection: close") + result_response(protocol),
        ACCEPTED_ONCE,
    ),
    "a response more after chunks": Row(
        lambda protocol: chunked(raw(protocol)) + result_response(protocol, "-7"), ACCEPTED_ONCE
    ),
    "a 101 more after chunks": Row(
        lambda protocol: (
            chunked(raw(protocol))
            + head("Upgrade: h2c", "Connection: upgrade", start="HTTP/1.1 101 Switching")
        ),
        ACCEPTED_ONCE,
    ),
    "a last chunk more": Row(lambda protocol: chunked(raw(protocol)) + b"0\r\n\r\n", ACCEPTED_ONCE),
    "a CR LF more after chunks": Row(
        lambda protocol: chunked(raw(protocol)) + b"\r\n", ACCEPTED_ONCE
    ),
    "a byte more after chunks": Row(lambda protocol: chunked(raw(protocol)) + b"\n", ACCEPTED_ONCE),
    "a response more after a 404": Row(
        lambda protocol: http_response("", "404 Not Found") + result_response(protocol),
        rejected(404),
    ),
    "2 MiB more": Row(lambda protocol: sized(raw(protocol)) + b"x" * (2 * MIB), ACCEPTED_ONCE),
    "a byte more, later": Row(with_lines(), ACCEPTED_ONCE, later=lambda _: b"\n"),
    "a response more, later": Row(
        with_lines(), ACCEPTED_ONCE, later=lambda protocol: result_response(protocol, "-7")
    ),
    "a response more after chunks, later": Row(
        lambda protocol: chunked(raw(protocol)),
        ACCEPTED_ONCE,
        later=lambda protocol: result_response(protocol, "-7"),
    ),
    "a timeout of the server, later": Row(
        with_lines(),
        ACCEPTED_ONCE,
        later=lambda _: http_response("", "408 Request Timeout", HTML, "Connection: close"),
    ),
    "a response after an empty one, later": Row(
        empty(200), unknown(NOT_XML, reused=False), later=result_response
    ),
    "a response after a 504, later": Row(
        empty(504), unknown("HTTP status 504", 504), later=result_response
    ),
}

TABLE = {
    f"{group}: {name}": row
    for group, rows in {
        "length": LENGTHS,
        "head": HEADS,
        "status line": STATUS_LINES,
        "status": STATUSES,
        "early": EARLY,
        "chunks": CHUNKS,
        "encoding": ENCODINGS,
        "end": ENDS,
    }.items()
    for name, row in rows.items()
}

"""Every answer that a server can give, good and bad, ends in the one outcome that is true of it.

Each case counts what the server processed: one request, whatever came back.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from tests.support.scripted_server import (
    BATCH_NO,
    NUMBERS,
    Blocking,
    Caller,
    Connection,
    Script,
    Server,
    answer,
    fault,
    page,
    replying,
    xml,
)
from yunxin_soap import OutcomeUnknown, Rejected, wsdl
from yunxin_soap.errors import ConfigurationRejected
from yunxin_soap.redact import Redactor
from yunxin_soap.transport.limits import MAX_RESPONSE_BYTES
from yunxin_soap.wire.codec import Codec, Fields

HTML = "text/html; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
XML = "text/xml; charset=utf-8"


def raw(protocol: str) -> bytes:
    return xml(protocol).encode()


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {XML}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        + end
    )


def unframed(content: bytes, version: str = "1.1") -> bytes:
    """An answer that ends where the connection does."""
    return f"HTTP/{version} 200 OK\r\nContent-Type: {XML}\r\n\r\n".encode() + content


def compressed(content: bytes, encoding: str = "gzip") -> bytes:
    return page(content, "200 OK", XML, f"Content-Encoding: {encoding}")


Answer = Callable[[str], bytes]

ACCEPTED: dict[str, Answer] = {
    "plain": answer,
    "gzip": lambda port: compressed(gzip.compress(raw(port))),
    "chunked": lambda port: chunked(raw(port)[:100], raw(port)[100:]),
    "ended by the close": lambda port: unframed(raw(port)),
    "HTTP/1.0": lambda port: unframed(raw(port), "1.0"),
    "100 Continue before it": lambda port: b"HTTP/1.1 100 Continue\r\n\r\n" + answer(port),
    "byte order mark": lambda port: page(b"\xef\xbb\xbf" + raw(port)),
    "header names in small letters": lambda port: (
        b"HTTP/1.1 200 OK\r\ncontent-length:%d\r\ncontent-type:text/xml\r\n\r\n" % len(raw(port))
        + raw(port)
    ),
    "no Content-Type": lambda port: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw(port)) + raw(port)
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_batch_number_is_accepted(protocol: str, name: str) -> None:
    with (
        Server(replying(ACCEPTED[name](protocol), hang_up=True)) as server,
        Caller(server, protocol) as caller,
    ):
        assert caller.accepted().protocol == protocol
    assert len(server.requests) == 1


def test_the_request_arrives_as_the_protocol_made_it(protocol: str) -> None:
    with Server(replying(answer(protocol))) as server, Caller(server, protocol) as caller:
        caller.accepted()
    settings = caller.client.settings
    codec = Codec(
        wsdl.load(), settings.protocol, settings.endpoint.path, Redactor(settings.user_pass)
    )
    numbers = ",".join(NUMBERS)
    made = codec.encode(
        Fields(settings.user_code, settings.user_pass, numbers, "您好【签名】", "37", "")
    )
    (received,) = server.requests
    assert received.method == made.method
    assert received.target == made.path + (f"?{made.query}" if made.query else "")
    assert received.body == (made.body or b"")
    assert {name.lower(): value for name, value in made.headers.items()}.items() <= (
        received.headers.items()
    )
    assert received.headers["user-agent"].startswith("yunxin_soap/")
    assert received.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("status", "header"),
    [
        ("400 Bad Request", "Vary: *"),
        ("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"'),
        ("403 Forbidden", "Vary: *"),
        ("404 Not Found", "Vary: *"),
        ("408 Request Timeout", "Vary: *"),
        ("413 Content Too Large", "Retry-After: 0"),
        ("415 Unsupported Media Type", "Vary: *"),
        ("429 Too Many Requests", "Retry-After: 0"),
    ],
)
def test_a_status_of_4xx_is_rejected(protocol: str, status: str, header: str) -> None:
    content = page("", status, HTML, header)
    with Server(replying(content)) as server, Caller(server, protocol) as caller:
        error = caller.fails(ConfigurationRejected)
    assert error.http_status == int(status[:3])
    assert error.code is None
    assert status[:3] in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("protocol", "code"),
    [("soap", "Client"), ("soap", "Client.Authentication"), ("soap12", "Sender")],
)
def test_a_fault_that_blames_the_client_is_rejected(protocol: str, code: str) -> None:
    content = page(fault(protocol, code, "Possible mistake."), "500 Internal Server Error")
    with Server(replying(content)) as server, Caller(server, protocol) as caller:
        error = caller.fails(ConfigurationRejected)
    assert "Possible mistake." in str(error)
    assert error.http_status == 500
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["http-get", "http-post"])
def test_what_asp_net_refuses_before_the_method_is_rejected(protocol: str) -> None:
    content = page("Missing parameter: ExeNo.\r\n", "500 Internal Server Error", PLAIN)
    with Server(replying(content)) as server, Caller(server, protocol) as caller:
        error = caller.fails(ConfigurationRejected)
    assert "Missing parameter: ExeNo" in error.description_zh
    assert len(server.requests) == 1


def test_a_documented_code_is_rejected(protocol: str) -> None:
    with (
        Server(replying(answer(protocol, "-1"))) as server,
        Caller(server, protocol) as caller,
        pytest.raises(Rejected) as caught,
    ):
        caller.send()
    assert (caught.value.code, caught.value.safe_to_resend) == (-1, False)
    assert len(server.requests) == 1


def with_document_type(port: str, declaration: str, result: str) -> bytes:
    head, _, rest = xml(port, result).partition("?>")
    return page(f"{head}?>{declaration}{rest}")


# What came back, and a piece of what the error says of it.
UNKNOWN: dict[str, tuple[str, Answer]] = {
    "500, a page": ("HTTP status 500", lambda _: page("<h1>Error</h1>", "500 Error", HTML)),
    "500, nothing": ("HTTP status 500", lambda _: page("", "500 Error", HTML)),
    "500, a good answer": ("HTTP status 500", lambda port: page(xml(port), "500 Error")),
    "500, the method's own words": (
        "HTTP status 500",
        lambda _: page("Deadlock.\r\n", "500 Error", PLAIN),
    ),
    "500, missing in an HTML page": (
        "HTTP status 500",
        lambda _: page("Missing parameter: ExeNo.", "500 Error", HTML),
    ),
    "502, a page": ("HTTP status 502", lambda _: page("<h1>Bad</h1>", "502 Bad Gateway", HTML)),
    "503, come again at once": (
        "HTTP status 503",
        lambda _: page("", "503 Unavailable", HTML, "Retry-After: 0"),
    ),
    "504": ("HTTP status 504", lambda _: page("", "504 Gateway Timeout", HTML)),
    "201, a good answer": ("HTTP status 201", lambda port: page(xml(port), "201 Created")),
    "202": ("HTTP status 202", lambda _: page("", "202 Accepted")),
    "204": ("HTTP status 204", lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304": ("HTTP status 304", lambda _: b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "103, nothing": ("HTTP status 103", lambda _: b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a page": ("not readable XML", lambda _: page("<h1>Log in</h1>", "200 OK", HTML)),
    "a good answer called a page": (
        "not readable XML",
        lambda port: page(xml(port), "200 OK", HTML),
    ),
    "nothing": ("not readable XML", lambda _: page("")),
    "XML cut short": ("not readable XML", lambda port: page(raw(port)[:-9])),
    "cut with the connection": ("not readable XML", lambda port: unframed(raw(port)[:-9])),
    "another document": ("not a response of sendMesExt", lambda _: page("<string>1</string>")),
    "document type": (
        "not readable XML",
        lambda port: with_document_type(port, "<!DOCTYPE string>", BATCH_NO),
    ),
    "entity of its own": (
        "not readable XML",
        lambda port: with_document_type(
            port, f"<!DOCTYPE string [<!ENTITY no '{BATCH_NO}'>]>", "&no;"
        ),
    ),
    "entity from a file": (
        "not readable XML",
        lambda port: with_document_type(
            port, "<!DOCTYPE string [<!ENTITY no SYSTEM 'file:///etc/hostname'>]>", "&no;"
        ),
    ),
    "an empty result": ("an empty result", lambda port: answer(port, "")),
    "text": ("'OK'", lambda port: answer(port, "OK")),
    "zero": ("'0'", lambda port: answer(port, "0")),
    "a length too long": (
        "cut short",
        lambda port: page(raw(port), length=len(raw(port)) + 10),
    ),
    "a length too short": (
        "not readable XML",
        lambda port: page(raw(port), length=len(raw(port)) - 10),
    ),
    "two lengths": (
        "not valid HTTP",
        lambda port: page(raw(port), "200 OK", XML, "Content-Length: 7"),
    ),
    "chunks cut short": ("cut short", lambda port: chunked(raw(port), end=b"")),
    "a chunk cut short": ("cut short", lambda port: chunked(raw(port), end=b"ff\r\nabc")),
    "chunks of no length": ("cut short", lambda port: chunked(raw(port), end=b"zz\r\n\r\n")),
    "headers cut short": ("cut short", lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nA"),
    "too many headers": (
        "not valid HTTP",
        lambda port: page(xml(port), "200 OK", XML, *["A: b"] * 200),
    ),
    "a header too long": (
        "not valid HTTP",
        lambda port: page(xml(port), "200 OK", XML, "A: " + "b" * 70000),
    ),
    "another protocol": ("not valid HTTP", lambda _: b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a version from the future": ("not valid HTTP", lambda _: b"HTTP/9.9 200 OK\r\n\r\n"),
    "bytes": ("not valid HTTP", lambda _: bytes(range(256))),
    "not gzip": ("content encoding", lambda port: compressed(raw(port))),
    "gzip broken": (
        "content encoding",
        lambda port: compressed(gzip.compress(raw(port))[:20] + b"\xff" * 200),
    ),
    "gzip cut short": ("not readable XML", lambda port: compressed(gzip.compress(raw(port))[:60])),
    "an unknown encoding": ("not readable XML", lambda _: compressed(b"\x00\x01", "x-none")),
    "too long": ("more than 1048576 bytes", lambda _: page(b" " * (MAX_RESPONSE_BYTES + 1))),
    "too long, once unpacked": (
        "more than 1048576 bytes",
        lambda _: compressed(gzip.compress(b" " * 2**24)),
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_anything_else_is_unknown(protocol: str, name: str) -> None:
    words, content = UNKNOWN[name]
    with (
        Server(replying(content(protocol), hang_up=True)) as server,
        Caller(server, protocol) as caller,
    ):
        error = caller.fails(OutcomeUnknown)
    # aiohttp tells some of these apart in its own way.
    assert words in str(error) or isinstance(caller.client, Blocking)
    assert "whether the SMS was sent is unknown" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("protocol", "code"),
    [
        ("soap", "Server"),
        ("soap", "MustUnderstand"),
        ("soap", "VersionMismatch"),
        ("soap", "Server.Client"),
        ("soap12", "Receiver"),
        ("soap12", "MustUnderstand"),
    ],
)
@pytest.mark.parametrize("status", ["500 Internal Server Error", "200 OK"])
def test_a_fault_that_blames_the_server_is_unknown(protocol: str, code: str, status: str) -> None:
    with (
        Server(replying(page(fault(protocol, code), status))) as server,
        Caller(server, protocol) as caller,
    ):
        error = caller.fails(OutcomeUnknown)
    assert f"SOAP {code.partition('.')[0]} fault: It broke" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["soap", "soap12"])
def test_words_of_the_http_ports_count_for_nothing_on_a_soap_port(protocol: str) -> None:
    content = page("Missing parameter: ExeNo.\r\n", "500 Internal Server Error", PLAIN)
    with Server(replying(content)) as server, Caller(server, protocol) as caller:
        assert caller.fails(OutcomeUnknown).http_status == 500
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary"])
def test_no_redirect_is_followed(protocol: str, status: str) -> None:
    with Server(replying(answer(protocol))) as elsewhere:
        moved = page(xml(protocol), status, XML, f"Location: {elsewhere.url}")
        with Server(replying(moved)) as server, Caller(server, protocol) as caller:
            error = caller.fails(OutcomeUnknown)
    assert error.http_status == int(status[:3])
    assert len(server.requests) == 1
    assert elsewhere.connections == 0


def endlessly(head: bytes, piece: bytes, sent: list[int]) -> Script:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(head)
        while True:
            connection.send(piece)
            sent.append(len(piece))

    return script


@pytest.mark.parametrize(
    ("head", "piece", "words"),
    [
        (unframed(b""), b" " * 65536, "more than 1048576 bytes"),
        (chunked(end=b""), b"10000\r\n" + b" " * 65536 + b"\r\n", "more than 1048576 bytes"),
        (page(b"", length=10**12), b" " * 65536, "more than 1048576 bytes"),
        (chunked(end=b"-1\r\n"), b" " * 65536, ""),  # aiohttp reads no such chunk
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1000, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n", b"b" * 65536, "not valid HTTP"),
        (b"", b"b" * 65536, "not valid HTTP"),
    ],
    ids=["body", "chunks", "length", "negative chunk", "headers", "header", "status line"],
)
def test_an_endless_answer_is_refused(protocol: str, head: bytes, piece: bytes, words: str) -> None:
    sent: list[int] = []
    with (
        Server(endlessly(head, piece, sent)) as server,
        Caller(server, protocol) as caller,
    ):
        error = caller.fails(OutcomeUnknown)
        server.wait_until_ended(1)
    assert words in str(error)
    assert len(server.requests) == 1
    assert sum(sent) < 64 * MAX_RESPONSE_BYTES  # the kernel's buffers, and little more


@pytest.mark.parametrize("protocol", ["soap", "http-get"])
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (unframed(b""), b" "),
        (page(b"", length=10**6), b" "),
        (chunked(end=b""), b"1\r\n \r\n"),
        (page(b"", "200 OK", XML, "Content-Encoding: gzip", length=10**6), gzip.compress(b" ")),
    ],
    ids=["status line", "header", "100 Continue", "body", "length", "chunks", "gzip"],
)
def test_a_trickle_is_bounded_as_a_whole(protocol: str, head: bytes, piece: bytes) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(head)
        while not connection.ended.wait(0.02):  # each piece comes well within the timeout
            connection.send(piece)

    with Server(script) as server, Caller(server, protocol, timeout=0.3) as caller:
        error = caller.fails(OutcomeUnknown)
    assert "within 0.3 s" in str(error)
    assert len(server.requests) == 1


def test_a_refusal_before_the_whole_request_was_read_is_understood() -> None:
    def script(connection: Connection) -> None:
        connection.wait_for_bytes()
        connection.send(page("", "413 Request Entity Too Large"))

    with (
        Server(script) as server,
        Caller(server) as caller,
        pytest.raises(ConfigurationRejected, match="413"),
    ):
        caller.send("x" * (16 << 20))
    assert server.connections == 1

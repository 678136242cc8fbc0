"""Every response that a server can give, good or bad, ends in the right outcome.

Each test counts the requests that the server read: one, whatever came back.
"""

from __future__ import annotations

import gzip
import html
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable

import pytest

from tests.support import client_matrix
from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import (
    BOTH_CLIENTS,
    send_request,
)
from tests.support.scripted_server import Connection, Script, ScriptedServer, reply_with
from tests.support.secret_detector import NUMBERS, PASSWORD, assert_no_secret
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
from yunxin_soap import OutcomeUnknown, Rejected, wsdl
from yunxin_soap.errors import ConfigurationRejected
from yunxin_soap.redact import Redactor
from yunxin_soap.settings import Settings
from yunxin_soap.transport.base import Request
from yunxin_soap.transport.http11 import Exchange
from yunxin_soap.transport.limits import MAX_RESPONSE_BYTES
from yunxin_soap.wire.codec import Codec, Fields


def raw(protocol: str) -> bytes:
    return result_xml(protocol).encode()


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {XML}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        + end
    )


def unframed(content: bytes, version: str = "1.1") -> bytes:
    """Return a response that ends with the connection."""
    return f"HTTP/{version} 200 OK\r\nContent-Type: {XML}\r\n\r\n".encode() + content


def compressed(content: bytes, encoding: str = "gzip") -> bytes:
    return http_response(content, "200 OK", XML, f"Content-Encoding: {encoding}")


BuildResponse = Callable[[str], bytes]

ACCEPTED: dict[str, BuildResponse] = {
    "plain": result_response,
    "gzip": lambda protocol: compressed(gzip.compress(raw(protocol))),
    "chunked": lambda protocol: chunked(raw(protocol)[:100], raw(protocol)[100:]),
    "ended by the close": lambda protocol: unframed(raw(protocol)),
    "HTTP/1.0": lambda protocol: unframed(raw(protocol), "1.0"),
    "100 Continue before it": lambda protocol: (
        b"HTTP/1.1 100 Continue\r\n\r\n" + result_response(protocol)
    ),
    "byte order mark": lambda protocol: http_response(b"\xef\xbb\xbf" + raw(protocol)),
    "white space before it": lambda protocol: http_response(b"\r\n " + raw(protocol)),
    "another charset": lambda protocol: http_response(
        result_xml(protocol).encode("utf-16-be"), "200 OK", "text/xml; charset=utf-16"
    ),
    "header names in small letters": lambda protocol: (
        b"HTTP/1.1 200 OK\r\ncontent-length:%d\r\ncontent-type:text/xml\r\n\r\n"
        % len(raw(protocol))
        + raw(protocol)
    ),
    "no Content-Type": lambda protocol: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw(protocol)) + raw(protocol)
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_response_with_batch_number_is_accepted(protocol: str, name: str) -> None:
    """A batch number is accepted, however the response is framed and encoded."""
    with (
        ScriptedServer(reply_with(ACCEPTED[name](protocol), then_close=True)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        assert checked.assert_accepted().protocol == protocol
    assert len(server.requests) == 1


def test_request_on_the_wire_is_what_the_codec_encoded(protocol: str) -> None:
    """The server receives the method, target, headers and body of the codec."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
    settings = checked.client.settings
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
        ("405 Method Not Allowed", "Allow: GET"),
        ("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="x"'),
        ("411 Length Required", "Vary: *"),
        ("413 Content Too Large", "Retry-After: 0"),
        ("414 URI Too Long", "Vary: *"),
        ("415 Unsupported Media Type", "Vary: *"),
        ("417 Expectation Failed", "Vary: *"),
        ("426 Upgrade Required", "Upgrade: TLS/1.2"),
        ("429 Too Many Requests", "Retry-After: 0"),
        ("431 Request Header Fields Too Large", "Vary: *"),
    ],
)
def test_status_that_precedes_the_service_is_rejected(
    protocol: str, status: str, header: str
) -> None:
    """A status that a server gives before it runs the service is rejected, and is named."""
    content = http_response("", status, HTML, header)
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server, protocol) as checked:
        error = checked.assert_fails(ConfigurationRejected)
    assert error.http_status == int(status[:3])
    assert error.code is None
    assert f"HTTP status {status[:3]}. No SMS was sent: " in str(error)
    assert error.retryable is (status[:3] == "429")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("protocol", "code"),
    [("soap", "Client"), ("soap", "Client.Authentication"), ("soap12", "Sender")],
)
def test_soap_fault_of_the_client_is_rejected(protocol: str, code: str) -> None:
    """A SOAP fault that blames the client is rejected."""
    content = http_response(
        soap_fault(protocol, code, "Possible mistake."), "500 Internal Server Error"
    )
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server, protocol) as checked:
        error = checked.assert_fails(ConfigurationRejected)
    assert "Possible mistake." in str(error)
    assert error.http_status == 500
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["soap", "soap12"])
def test_soap_fault_of_the_client_beside_a_result_is_unknown(protocol: str) -> None:
    """A SOAP fault that blames the client, with a result beside it, is unknown."""
    fault = soap_fault(protocol, "Client").partition("<soap:Body>")[2].partition("</soap:Body>")[0]
    content = http_response(result_xml(protocol).replace("</soap:Body>", f"{fault}</soap:Body>"))
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server, protocol) as checked:
        error = checked.assert_fails(OutcomeUnknown)
    assert "a SOAP fault beside other content" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["http-get", "http-post"])
def test_status_500_before_the_method_is_rejected(protocol: str) -> None:
    """An error that ASP.NET raises before it calls the method is rejected."""
    content = http_response("Missing parameter: ExeNo.\r\n", "500 Internal Server Error", PLAIN)
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server, protocol) as checked:
        error = checked.assert_fails(ConfigurationRejected)
    assert "Missing parameter: ExeNo" in error.description_zh
    assert len(server.requests) == 1


def test_result_minus_1_is_rejected_and_unsafe_to_resend(protocol: str) -> None:
    """The code -1 is rejected, but may have been raised after the SMS was queued."""
    with (
        ScriptedServer(reply_with(result_response(protocol, "-1"))) as server,
        CheckedClient(server, protocol) as checked,
        pytest.raises(Rejected) as caught,
    ):
        checked.send()
    assert (caught.value.code, caught.value.safe_to_resend) == (-1, False)
    assert len(server.requests) == 1


def with_document_type(protocol: str, declaration: str, result: str) -> bytes:
    head, _, rest = result_xml(protocol, result).partition("?>")
    return http_response(f"{head}?>{declaration}{rest}")


# Each response, and a part of the error's message.
UNKNOWN: dict[str, tuple[str, BuildResponse]] = {
    "408": ("HTTP status 408", lambda _: http_response("", "408 Request Timeout", HTML)),
    "409": ("HTTP status 409", lambda _: http_response("", "409 Conflict", HTML)),
    "418": ("HTTP status 418", lambda _: http_response("", "418 I'm a teapot", HTML)),
    "425": ("HTTP status 425", lambda _: http_response("", "425 Too Early", HTML)),
    "499": ("HTTP status 499", lambda _: http_response("", "499 Client Closed Request", HTML)),
    "408, rejected by SOAP": (
        "HTTP status 408",
        lambda protocol: http_response(soap_fault(protocol, "Client"), "408 Request Timeout"),
    ),
    "404, a good response": (
        "which contradict each other",
        lambda protocol: http_response(result_xml(protocol), "404 Not Found"),
    ),
    "429, a good response in a page": (
        "which contradict each other",
        lambda protocol: http_response(
            f"<p>{html.escape(result_xml(protocol))}", "429 Too Many Requests", HTML
        ),
    ),
    "400, a good response in UTF-16": (
        "which contradict each other",
        lambda protocol: http_response(
            result_xml(protocol).encode("utf-16"), "400 Bad Request", "text/xml"
        ),
    ),
    "a code and a batch number": (
        "'-3,2114355899380234221'",
        lambda protocol: result_response(protocol, f"-3,{BATCH_NO}"),
    ),
    "a result that is null": (
        "marked as null",
        lambda protocol: http_response(
            result_xml(protocol).replace(f">{BATCH_NO}", f' nil="true">{BATCH_NO}')
        ),
    ),
    "an unknown charset": (
        "not readable XML",
        lambda protocol: http_response(result_xml(protocol), "200 OK", "text/xml; charset=x-none"),
    ),
    "500, a page": (
        "HTTP status 500",
        lambda _: http_response("<h1>Error</h1>", "500 Error", HTML),
    ),
    "500, nothing": ("HTTP status 500", lambda _: http_response("", "500 Error", HTML)),
    "500, a good response": (
        "HTTP status 500",
        lambda protocol: http_response(result_xml(protocol), "500 Error"),
    ),
    "500, a message of the method": (
        "HTTP status 500",
        lambda _: http_response("Deadlock.\r\n", "500 Error", PLAIN),
    ),
    "500, missing parameter in an HTML page": (
        "HTTP status 500",
        lambda _: http_response("Missing parameter: ExeNo.", "500 Error", HTML),
    ),
    "502, a page": (
        "HTTP status 502",
        lambda _: http_response("<h1>Bad</h1>", "502 Bad Gateway", HTML),
    ),
    "503, retry at once": (
        "HTTP status 503",
        lambda _: http_response("", "503 Unavailable", HTML, "Retry-After: 0"),
    ),
    "504": ("HTTP status 504", lambda _: http_response("", "504 Gateway Timeout", HTML)),
    "201, a good response": (
        "HTTP status 201",
        lambda protocol: http_response(result_xml(protocol), "201 Created"),
    ),
    "202": ("HTTP status 202", lambda _: http_response("", "202 Accepted")),
    "204": ("HTTP status 204", lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304": ("HTTP status 304", lambda _: b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "103, nothing": ("before a response came", lambda _: b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a page": ("not readable XML", lambda _: http_response("<h1>Log in</h1>", "200 OK", HTML)),
    "a good response declared as a page": (
        "not readable XML",
        lambda protocol: http_response(result_xml(protocol), "200 OK", HTML),
    ),
    "nothing": ("not readable XML", lambda _: http_response("")),
    "XML cut short": ("not readable XML", lambda protocol: http_response(raw(protocol)[:-9])),
    "cut with the connection": ("not readable XML", lambda protocol: unframed(raw(protocol)[:-9])),
    "another document": (
        "not a response of sendMesExt",
        lambda _: http_response("<string>1</string>"),
    ),
    "document type": (
        "not readable XML",
        lambda protocol: with_document_type(protocol, "<!DOCTYPE string>", BATCH_NO),
    ),
    "entity of its own": (
        "not readable XML",
        lambda protocol: with_document_type(
            protocol, f"<!DOCTYPE string [<!ENTITY no '{BATCH_NO}'>]>", "&no;"
        ),
    ),
    "entity from a file": (
        "not readable XML",
        lambda protocol: with_document_type(
            protocol, "<!DOCTYPE string [<!ENTITY no SYSTEM 'file:///etc/hostname'>]>", "&no;"
        ),
    ),
    "an empty result": ("an empty result", lambda protocol: result_response(protocol, "")),
    "text": ("'OK'", lambda protocol: result_response(protocol, "OK")),
    "zero": ("'0'", lambda protocol: result_response(protocol, "0")),
    "a length too long": (
        "cut short",
        lambda protocol: http_response(raw(protocol), length=len(raw(protocol)) + 10),
    ),
    "a length too short": (
        "not readable XML",
        lambda protocol: http_response(raw(protocol), length=len(raw(protocol)) - 10),
    ),
    "two lengths": (
        "not valid HTTP",
        lambda protocol: http_response(raw(protocol), "200 OK", XML, "Content-Length: 7"),
    ),
    "chunks cut short": ("cut short", lambda protocol: chunked(raw(protocol), end=b"")),
    "a chunk cut short": ("cut short", lambda protocol: chunked(raw(protocol), end=b"ff\r\nabc")),
    "chunks of no length": (
        "not valid HTTP",
        lambda protocol: chunked(raw(protocol), end=b"zz\r\n\r\n"),
    ),
    "headers cut short": ("cut short", lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nA"),
    "a header too long": (
        "the head of the response has more than 65536 bytes",
        lambda protocol: http_response(result_xml(protocol), "200 OK", XML, "A: " + "b" * 70000),
    ),
    "another protocol": ("not valid HTTP", lambda _: b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a version from the future": ("not valid HTTP", lambda _: b"HTTP/9.9 200 OK\r\n\r\n"),
    "bytes": ("not valid HTTP", lambda _: bytes(range(256))),
    "not gzip": ("content encoding", lambda protocol: compressed(raw(protocol))),
    "gzip broken": (
        "content encoding",
        lambda protocol: compressed(gzip.compress(raw(protocol))[:20] + b"\xff" * 200),
    ),
    "gzip cut short": (
        "content encoding",
        lambda protocol: compressed(gzip.compress(raw(protocol))[:60]),
    ),
    "an unknown encoding": ("content encoding", lambda _: compressed(b"\x00\x01", "x-none")),
    "too long": (
        "more than 1048576 bytes",
        lambda _: http_response(b" " * (MAX_RESPONSE_BYTES + 1)),
    ),
    "too long, once unpacked": (
        "more than 1048576 bytes",
        lambda _: compressed(gzip.compress(b" " * 2**24)),
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_response_of_any_other_kind_is_unknown(protocol: str, name: str) -> None:
    """Every other response is unknown, and the request is sent once."""
    words, content = UNKNOWN[name]
    with (
        ScriptedServer(reply_with(content(protocol), then_close=True)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        error = checked.assert_fails(OutcomeUnknown)
    assert words in str(error)
    assert "It is unknown whether the SMS was sent." in str(error)
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
def test_soap_fault_of_the_server_is_unknown(protocol: str, code: str, status: str) -> None:
    """A SOAP fault that does not blame the client is unknown, with any status."""
    with (
        ScriptedServer(reply_with(http_response(soap_fault(protocol, code), status))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        error = checked.assert_fails(OutcomeUnknown)
    name = code.partition(".")[0]
    assert f'a SOAP {name} fault ("It broke."). It is unknown whether' in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["soap", "soap12"])
def test_status_500_with_form_error_over_soap_is_unknown(protocol: str) -> None:
    """A message of ASP.NET's form handler rejects nothing over SOAP."""
    content = http_response("Missing parameter: ExeNo.\r\n", "500 Internal Server Error", PLAIN)
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server, protocol) as checked:
        assert checked.assert_fails(OutcomeUnknown).http_status == 500
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary"])
def test_redirect_is_unknown_and_not_followed(protocol: str, status: str) -> None:
    """A redirect is unknown, and its target gets no connection."""
    with ScriptedServer(reply_with(result_response(protocol))) as elsewhere:
        moved = http_response(result_xml(protocol), status, XML, f"Location: {elsewhere.url}")
        with (
            ScriptedServer(reply_with(moved)) as server,
            CheckedClient(server, protocol) as checked,
        ):
            error = checked.assert_fails(OutcomeUnknown)
    assert error.http_status == int(status[:3])
    assert len(server.requests) == 1
    assert elsewhere.connections == 0


def test_response_with_the_same_length_twice_is_accepted(protocol: str) -> None:
    """Two equal Content-Length headers are one, and the connection is used again."""
    length = f"Content-Length: {len(raw(protocol))}"
    content = http_response(raw(protocol), "200 OK", XML, length)
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server, protocol) as checked:
        checked.assert_accepted()
        checked.assert_accepted()
    assert {request.connection for request in server.requests} == {1}


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "502 Bad Gateway"])
def test_response_that_breaks_off_names_its_status(protocol: str, status: str) -> None:
    """A response that breaks off is unknown, and the error has its HTTP status."""
    content = http_response(result_xml(protocol), status, length=9999)
    with (
        ScriptedServer(reply_with(content, then_close=True)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        assert checked.assert_fails(OutcomeUnknown).http_status == int(status[:3])
    assert len(server.requests) == 1


def test_response_before_a_reset_counts(protocol: str) -> None:
    """A complete response counts, even if the server resets the connection after it."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(result_response(protocol))
        connection.reset()

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        checked.assert_accepted()
    assert len(server.requests) == 1


_SENDING = """
import asyncio, sys
from yunxin_soap import AsyncClient, Client

arguments = dict(channel="37", endpoint=sys.argv[1], timeout=0.5)
if sys.argv[2] == "async":
    print(asyncio.run(AsyncClient("u", "p", **arguments).send("13900000000", "x【签名】")).batch_no)
else:
    print(Client("u", "p", **arguments).send("13900000000", "x【签名】").batch_no)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_response_that_came_while_the_process_was_stopped_counts(kind: str) -> None:
    """A process that was stopped for longer than its timeout reads the response that waits."""
    started = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        started.wait(20)
        os.kill(sending.pid, signal.SIGSTOP)
        connection.send(result_response("soap"))
        connection.ended.wait(0.7)  # longer than the timeout
        os.kill(sending.pid, signal.SIGCONT)
        connection.wait_until_closed()

    with ScriptedServer(script) as server:
        sending = subprocess.Popen(
            [sys.executable, "-c", _SENDING, server.url, kind], stdout=subprocess.PIPE, text=True
        )
        started.set()
        assert sending.communicate(timeout=30)[0] == f"{BATCH_NO}\n"
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_programming_error_in_the_exchange_is_the_cause(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A programming error is unknown and the cause, and no frame has the request's content."""

    def mistake(_exchange: Exchange, data: bytes) -> bool:
        return bool(data + None)  # type: ignore[operator]

    monkeypatch.setattr(Exchange, "receive", mistake)
    request = Request("POST", "/", {}, body=PASSWORD.encode())
    with ScriptedServer(reply_with(PASSWORD.encode())) as server:
        settings = Settings("user", PASSWORD, endpoint=server.url)
        with pytest.raises(OutcomeUnknown, match=r"broke \(TypeError\)") as caught:
            send_request(protocol, settings, request)
    error = caught.value
    assert isinstance(error.__cause__, TypeError)
    own = (__file__, client_matrix.__file__)
    for raised in (error, error.__cause__):
        for frame, _ in traceback.walk_tb(raised.__traceback__):
            if frame.f_code.co_filename not in own:
                assert_no_secret(repr(frame.f_locals))


def send_endlessly(head: bytes, piece: bytes, sent: list[int]) -> Script:
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
        (http_response(b"", length=10**12), b" " * 65536, "more than 1048576 bytes"),
        (chunked(end=b"-1\r\n"), b" " * 65536, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1000, "more than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n", b"b" * 65536, "more than 65536 bytes"),
        (b"", b"b" * 65536, "not valid HTTP"),
    ],
    ids=["body", "chunks", "length", "negative chunk", "headers", "header", "status line"],
)
def test_response_without_end_is_unknown(
    protocol: str, head: bytes, piece: bytes, words: str
) -> None:
    """A response without end is unknown, and the connection is closed early."""
    sent: list[int] = []
    with (
        ScriptedServer(send_endlessly(head, piece, sent)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        error = checked.assert_fails(OutcomeUnknown)
        server.wait_until_ended(1)
    assert words in str(error)
    assert len(server.requests) == 1
    assert sum(sent) < 64 * MAX_RESPONSE_BYTES  # the buffers of the kernel, and little more


@pytest.mark.parametrize("protocol", ["soap", "http-get"])
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (unframed(b""), b" "),
        (http_response(b"", length=10**6), b" "),
        (chunked(end=b""), b"1\r\n \r\n"),
        (
            http_response(b"", "200 OK", XML, "Content-Encoding: gzip", length=10**6),
            gzip.compress(b" "),
        ),
    ],
    ids=["status line", "header", "100 Continue", "body", "length", "chunks", "gzip"],
)
def test_response_in_small_pieces_has_one_timeout(protocol: str, head: bytes, piece: bytes) -> None:
    """A response in small pieces must be complete within one timeout."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(head)
        while not connection.ended.wait(0.02):  # well within the timeout
            connection.send(piece)

    with ScriptedServer(script) as server, CheckedClient(server, protocol, timeout=0.3) as checked:
        error = checked.assert_fails(OutcomeUnknown)
    assert "within 0.3 s" in str(error)
    assert len(server.requests) == 1


def test_status_413_before_the_request_is_read_is_rejected() -> None:
    """A server may reject a large request before it has read all of it."""

    def script(connection: Connection) -> None:
        connection.wait_for_bytes()
        connection.send(http_response("", "413 Request Entity Too Large"))

    with (
        ScriptedServer(script) as server,
        CheckedClient(server) as checked,
        pytest.raises(ConfigurationRejected, match="413"),
    ):
        checked.submit_large()
    assert server.connections == 1

"""Whatever a server echoes, password and numbers come back in no error, traceback or log line.

`Caller.fails` searches them all; here are the servers that make it hard.
"""

from __future__ import annotations

import gzip
import html
import http.client
import json
import re
from collections.abc import Callable
from urllib.parse import quote, unquote_plus

import pytest

from tests.support.scripted_server import (
    BATCH_NO,
    NUMBERS,
    PASSWORD,
    Caller,
    Connection,
    Received,
    Script,
    Server,
    answer,
    assert_no_secret,
    fault,
    logs_watched,
    page,
    replying,
    xml,
)
from yunxin_soap import ContentRejected, OutcomeUnknown, wsdl
from yunxin_soap.errors import ConfigurationRejected, SendError
from yunxin_soap.redact import Redactor
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.wire.codec import Codec, Fields

HTML = "text/html; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


def as_sent(request: Received) -> str:
    return f"{request.method} {request.target} {request.body.decode()}"


def echoing(answer_to: Callable[[Received], bytes]) -> Script:
    def script(connection: Connection) -> None:
        request = connection.read()
        assert request is not None
        connection.send(answer_to(request))

    return script


def fields_in(request: Received) -> str:
    return f"userPass={PASSWORD}&DesNo={','.join(NUMBERS)} in {request.method}"


def in_a_header(line: str) -> bytes:
    return f"HTTP/1.1 502 Bad\r\n{line}\r\nContent-Length: 0\r\n\r\n".encode()


ECHOES: dict[str, Callable[[str], bytes]] = {
    "page": lambda text: page(text, "502 Bad Gateway", HTML),
    "page called good": lambda text: page(f"<h1>{text}</h1>", "200 OK", HTML),
    "page, packed": lambda text: page(
        gzip.compress(text.encode()), "502 Bad Gateway", HTML, "Content-Encoding: gzip"
    ),
    "page cut short": lambda text: page(text, "502 Bad Gateway", HTML, length=99999),
    "page of many lines": lambda text: page(text.replace(" ", "\r\n"), "502 Bad", HTML),
    "plain text": lambda text: page(text, "500 Error", PLAIN),
    "status line": lambda text: text.encode() + b"\r\n\r\n",
    "version": lambda text: f"HTTP/{text}\r\n\r\n".encode(),
    "status": lambda text: f"HTTP/1.1 {text}\r\n\r\n".encode(),
    "reason": lambda text: f"HTTP/1.1 502 {text}\r\nContent-Length: 0\r\n\r\n".encode(),
    "header": lambda text: in_a_header(f"X-Request: {text}"),
    "content type": lambda text: in_a_header(f"Content-Type: {text}"),
    "location": lambda text: page("", "302 Found", HTML, f"Location: http://127.0.0.1/?{text}"),
    "no header": lambda text: in_a_header(text),
    "header's name": lambda text: in_a_header(f"{text}: 1"),
    "continued header": lambda text: in_a_header(f" {text}"),
    "content encoding": lambda text: page(
        b"\x1f\x8b", "200 OK", HTML, f"Content-Encoding: gzip,{text},gzip"
    ),
    "content length": lambda text: page("", "200 OK", HTML, f"Content-Length: {text}"),
    "length of a chunk": lambda text: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n".encode()
    ),
}


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", ECHOES)
def test_an_echo_of_the_request_gives_nothing_away(protocol: str, name: str) -> None:
    def answer_to(request: Received) -> bytes:
        return ECHOES[name](one_line(as_sent(request)))

    with Server(echoing(answer_to)) as server, Caller(server, protocol) as caller:
        error = caller.fails(OutcomeUnknown)
    assert len(server.requests) == 1
    if name.startswith("page") and "cut" not in name:
        assert error.excerpt is not None
        if protocol.startswith("http-"):
            assert "userPass=***" in error.excerpt
            assert "139****0000" in error.excerpt


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "percent": lambda text: quote(text, safe="=, "),
    "percent, in small letters": lambda text: re.sub(
        "%..", lambda found: found[0].lower(), quote(text, safe="=, ")
    ),
    "percent, some": lambda text: quote(text, safe="=, &"),
    "percent, twice": lambda text: quote(quote(text, safe="=, "), safe="=, "),
    "percent, all": lambda text: "".join(f"%{octet:02X}" for octet in text.encode()),
    "HTML": html.escape,
    "HTML, twice": lambda text: html.escape(html.escape(text)),
    "references": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "references in hexadecimal": lambda text: "".join(
        char if char.isascii() else f"&#x{ord(char):x};" for char in html.escape(text)
    ),
    "JSON": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in ASCII": json.dumps,
}


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("status", ["502 Bad Gateway", "404 Not Found"])
def test_no_spelling_of_the_password_passes(name: str, status: str) -> None:
    def answer_to(request: Received) -> bytes:
        spelt = SPELLINGS[name](f"userPass={PASSWORD}")
        return page(f"<p>You sent {spelt} {','.join(NUMBERS)}", status, HTML)

    with Server(echoing(answer_to)) as server, Caller(server, "http-get") as caller:
        error: SendError = caller.fails(
            OutcomeUnknown if status.startswith("5") else ConfigurationRejected
        )
    if isinstance(error, OutcomeUnknown):
        assert error.excerpt is not None
        assert "***" in error.excerpt
        assert "You sent" in error.excerpt


@pytest.mark.parametrize("code", ["Client", "Server"])
def test_a_fault_that_quotes_the_request(code: str) -> None:
    def answer_to(request: Received) -> bytes:
        return page(fault("soap", code, html.escape(fields_in(request))), "500 Error")

    with Server(echoing(answer_to)) as server, Caller(server) as caller:
        error = caller.fails(ConfigurationRejected if code == "Client" else OutcomeUnknown)
    assert "userPass=***&DesNo=139****0000,139****5678 in POST" in str(error)


def test_a_refusal_of_asp_net_that_quotes_the_request(protocol: str) -> None:
    def answer_to(request: Received) -> bytes:
        text = f'A potentially dangerous Request.Form value ("{fields_in(request)}") was detected.'
        return page(text, "500 Error", PLAIN)

    kind = ConfigurationRejected if protocol.startswith("http-") else OutcomeUnknown
    with Server(echoing(answer_to)) as server, Caller(server, protocol) as caller:
        caller.fails(kind)
    assert len(server.requests) == 1


def test_a_result_that_quotes_the_request(protocol: str) -> None:
    def answer_to(request: Received) -> bytes:
        return page(xml(protocol, html.escape(fields_in(request))))

    with Server(echoing(answer_to)) as server, Caller(server, protocol) as caller:
        error = caller.fails(OutcomeUnknown)
    assert "userPass=***" in str(error)


def test_blanks_in_a_password_do_not_hide_it() -> None:
    def answer_to(request: Received) -> bytes:
        return page(fault("soap", "Server", "You sent s3cr3t  pass word"), "500 Error")

    with Server(echoing(answer_to)) as server:
        caller = Caller(server, password="s3cr3t  pass word")
        with caller:
            error = caller.fails(OutcomeUnknown)
    assert "You sent ***" in str(error)


def test_the_typed_service_keeps_the_same_secrets(protocol: str) -> None:
    def answer_to(request: Received) -> bytes:
        return page(one_line(as_sent(request)), "502 Bad Gateway", HTML)

    with Server(echoing(answer_to)) as server, Caller(server, protocol) as caller:
        caller.fails(OutcomeUnknown, lambda: call_service(caller))
    assert len(server.requests) == 1


def call_service(caller: Caller) -> object:
    return caller.client.service.sendMesExt(
        userCode="user",
        userPass=PASSWORD,
        DesNo=",".join(NUMBERS),
        Msg="您好【签名】",
        Channel="37",
        ExeNo="",
    )


def test_the_typed_service_submits_at_most_once(protocol: str) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(answer(protocol))
        connection.read()

    with Server(script) as server, Caller(server, protocol) as caller:
        with logs_watched():
            assert call_service(caller) == BATCH_NO
        caller.fails(OutcomeUnknown, lambda: call_service(caller))
    assert [request.connection for request in server.requests] == [1, 1]


def test_a_password_of_the_call_alone_is_masked(protocol: str) -> None:
    """The typed service may be called with another account than the client's."""

    def answer_to(request: Received) -> bytes:
        return page(unquote_plus(one_line(as_sent(request))), "502 Bad Gateway", HTML)

    with Server(echoing(answer_to)) as server:
        caller = Caller(server, protocol, password="another")
        with caller:
            caller.fails(OutcomeUnknown, lambda: call_service(caller))


def test_http_client_prints_no_request(
    protocol: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with Server(replying(answer(protocol))) as server, Caller(server, protocol) as caller:
        caller.accepted()
    assert capfd.readouterr() == ("", "")


def test_logs_say_what_happened(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with Server(replying(answer(protocol))) as server, Caller(server, protocol) as caller:
        caller.accepted()
    ours = [record.getMessage() for record in caplog.records if record.name == "yunxin_soap"]
    assert len(ours) == 2
    assert "***" in ours[0]
    assert "139****0000 (2 numbers)" in ours[0]
    assert BATCH_NO in ours[1]
    assert_no_secret(caplog.text)


def test_a_banned_word_is_quoted_and_the_rest_is_not() -> None:
    with Server(replying(answer("soap", "-6:促销"))) as server, Caller(server) as caller:
        error = caller.fails(ContentRejected)
    assert error.keyword == "促销"


def test_no_repr_shows_a_secret() -> None:
    fields = Fields("user", PASSWORD, ",".join(NUMBERS), "您好【签名】", "37", "")
    with Caller("http://127.0.0.1:9/") as caller:
        settings = caller.client.settings
    request = Codec(wsdl.load(), "soap", "/", Redactor(PASSWORD)).encode(fields)
    shown = [repr(caller.client), repr(settings), repr(request)]
    assert b"s3cr3t" in (request.body or b"")
    assert_no_secret(
        *shown,
        repr(fields),
        str(fields),
        repr(Request("GET", "/", {}, query=f"userPass={PASSWORD}")),
        repr(Response(502, HTML, PASSWORD.encode())),
    )

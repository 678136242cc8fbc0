"""No error, traceback or log line shows a password or a number, whatever a server echoes.

`CheckedClient.assert_fails` searches them. The servers here echo in every possible place.
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

from tests.support.checked_client import CheckedClient
from tests.support.scripted_server import (
    Connection,
    ReceivedRequest,
    Script,
    ScriptedServer,
    reply_with,
)
from tests.support.secret_detector import (
    NUMBERS,
    PASSWORD,
    assert_no_secret,
    assert_no_secret_logged,
)
from tests.support.wire_samples import (
    BATCH_NO,
    HTML,
    PLAIN,
    http_response,
    result_response,
    result_xml,
    soap_fault,
)
from yunxin_soap import ContentRejected, OutcomeUnknown, wsdl
from yunxin_soap.errors import ConfigurationRejected, SendError
from yunxin_soap.redact import Redactor
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.wire.codec import Codec, Fields


def as_sent(request: ReceivedRequest) -> str:
    return f"{request.method} {request.target} {request.body.decode()}"


def echo_with(build_response: Callable[[ReceivedRequest], bytes]) -> Script:
    def script(connection: Connection) -> None:
        request = connection.read()
        assert request is not None
        connection.send(build_response(request))

    return script


def fields_in(request: ReceivedRequest) -> str:
    return f"userPass={PASSWORD}&DesNo={','.join(NUMBERS)} in {request.method}"


def in_a_header(line: str) -> bytes:
    return f"HTTP/1.1 502 Bad\r\n{line}\r\nContent-Length: 0\r\n\r\n".encode()


ECHOES: dict[str, Callable[[str], bytes]] = {
    "page": lambda text: http_response(text, "502 Bad Gateway", HTML),
    "page called good": lambda text: http_response(f"<h1>{text}</h1>", "200 OK", HTML),
    "page, packed": lambda text: http_response(
        gzip.compress(text.encode()), "502 Bad Gateway", HTML, "Content-Encoding: gzip"
    ),
    "page cut short": lambda text: http_response(text, "502 Bad Gateway", HTML, length=99999),
    "page of many lines": lambda text: http_response(text.replace(" ", "\r\n"), "502 Bad", HTML),
    "plain text": lambda text: http_response(text, "500 Error", PLAIN),
    "status line": lambda text: text.encode() + b"\r\n\r\n",
    "version": lambda text: f"HTTP/{text}\r\n\r\n".encode(),
    "status": lambda text: f"HTTP/1.1 {text}\r\n\r\n".encode(),
    "reason": lambda text: f"HTTP/1.1 502 {text}\r\nContent-Length: 0\r\n\r\n".encode(),
    "header": lambda text: in_a_header(f"X-Request: {text}"),
    "content type": lambda text: in_a_header(f"Content-Type: {text}"),
    "location": lambda text: http_response(
        "", "302 Found", HTML, f"Location: http://127.0.0.1/?{text}"
    ),
    "no header": lambda text: in_a_header(text),
    "header's name": lambda text: in_a_header(f"{text}: 1"),
    "continued header": lambda text: in_a_header(f" {text}"),
    "content encoding": lambda text: http_response(
        b"\x1f\x8b", "200 OK", HTML, f"Content-Encoding: gzip,{text},gzip"
    ),
    "content length": lambda text: http_response("", "200 OK", HTML, f"Content-Length: {text}"),
    "length of a chunk": lambda text: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n".encode()
    ),
}


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", ECHOES)
def test_echo_of_the_request_is_redacted(protocol: str, name: str) -> None:
    """A server echoes the request in any part of its response: no secret is shown."""

    def build_response(request: ReceivedRequest) -> bytes:
        return ECHOES[name](one_line(as_sent(request)))

    with (
        ScriptedServer(echo_with(build_response)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        error = checked.assert_fails(OutcomeUnknown)
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
def test_echo_of_the_password_is_redacted_in_every_spelling(name: str, status: str) -> None:
    """The password is masked in every spelling."""

    def build_response(request: ReceivedRequest) -> bytes:
        spelt = SPELLINGS[name](f"userPass={PASSWORD}")
        return http_response(f"<p>You sent {spelt} {','.join(NUMBERS)}", status, HTML)

    with (
        ScriptedServer(echo_with(build_response)) as server,
        CheckedClient(server, "http-get") as checked,
    ):
        error: SendError = checked.assert_fails(
            OutcomeUnknown if status.startswith("5") else ConfigurationRejected
        )
    if isinstance(error, OutcomeUnknown):
        assert error.excerpt is not None
        assert "***" in error.excerpt
        assert "You sent" in error.excerpt


@pytest.mark.parametrize("code", ["Client", "Server"])
def test_soap_fault_that_quotes_the_request_is_redacted(code: str) -> None:
    """A SOAP fault that quotes the request is masked."""

    def build_response(request: ReceivedRequest) -> bytes:
        return http_response(soap_fault("soap", code, html.escape(fields_in(request))), "500 Error")

    with ScriptedServer(echo_with(build_response)) as server, CheckedClient(server) as checked:
        error = checked.assert_fails(ConfigurationRejected if code == "Client" else OutcomeUnknown)
    assert "userPass=***&DesNo=139****0000,139****5678 in POST" in str(error)


def test_form_error_that_quotes_the_request_is_redacted(protocol: str) -> None:
    """ASP.NET's error for a dangerous value quotes it: it is masked."""

    def build_response(request: ReceivedRequest) -> bytes:
        text = f'A potentially dangerous Request.Form value ("{fields_in(request)}") was detected.'
        return http_response(text, "500 Error", PLAIN)

    kind = ConfigurationRejected if protocol.startswith("http-") else OutcomeUnknown
    with (
        ScriptedServer(echo_with(build_response)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_fails(kind)
    assert len(server.requests) == 1


def test_result_that_quotes_the_request_is_redacted(protocol: str) -> None:
    """A result that quotes the request is masked."""

    def build_response(request: ReceivedRequest) -> bytes:
        return http_response(result_xml(protocol, html.escape(fields_in(request))))

    with (
        ScriptedServer(echo_with(build_response)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        error = checked.assert_fails(OutcomeUnknown)
    assert "userPass=***" in str(error)


def test_password_with_two_blanks_is_redacted() -> None:
    """Joining the lines of a fault must not hide a password with two blanks."""

    def build_response(request: ReceivedRequest) -> bytes:
        return http_response(
            soap_fault("soap", "Server", "You sent s3cr3t  pass word"), "500 Error"
        )

    with ScriptedServer(echo_with(build_response)) as server:
        checked = CheckedClient(server, password="s3cr3t  pass word")
        with checked:
            error = checked.assert_fails(OutcomeUnknown)
    assert "You sent ***" in str(error)


def test_service_error_is_redacted(protocol: str) -> None:
    """``client.service`` masks the same secrets."""

    def build_response(request: ReceivedRequest) -> bytes:
        return http_response(one_line(as_sent(request)), "502 Bad Gateway", HTML)

    with (
        ScriptedServer(echo_with(build_response)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_fails(OutcomeUnknown, lambda: call_service(checked))
    assert len(server.requests) == 1


def call_service(checked: CheckedClient) -> object:
    return checked.client.service.sendMesExt(
        userCode="user",
        userPass=PASSWORD,
        DesNo=",".join(NUMBERS),
        Msg="您好【签名】",
        Channel="37",
        ExeNo="",
    )


def test_service_call_is_sent_at_most_once(protocol: str) -> None:
    """``client.service`` never sends a request again."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(result_response(protocol))
        connection.read()

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        with assert_no_secret_logged():
            assert call_service(checked) == BATCH_NO
        checked.assert_fails(OutcomeUnknown, lambda: call_service(checked))
    assert [request.connection for request in server.requests] == [1, 1]


def test_service_password_of_another_account_is_redacted(protocol: str) -> None:
    """``client.service`` may be called with another account: its password is masked."""

    def build_response(request: ReceivedRequest) -> bytes:
        return http_response(unquote_plus(one_line(as_sent(request))), "502 Bad Gateway", HTML)

    with ScriptedServer(echo_with(build_response)) as server:
        checked = CheckedClient(server, protocol, password="another")
        with checked:
            checked.assert_fails(OutcomeUnknown, lambda: call_service(checked))


def test_http_client_debug_level_prints_no_request(
    protocol: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A global debug level of ``http.client`` prints no request."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
    assert capfd.readouterr() == ("", "")


def test_log_shows_request_and_response_redacted(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """DEBUG shows request and response, with the password and the numbers masked.

    What is sent, and the response, which may quote it, are shown only if they are asked for.
    """
    caplog.set_level("DEBUG")
    for log_messages in (False, True):
        caplog.clear()
        with (
            ScriptedServer(reply_with(result_response(protocol))) as server,
            CheckedClient(server, protocol, log_messages=log_messages) as checked,
        ):
            checked.assert_accepted()
        ours = [record.getMessage() for record in caplog.records if record.name == "yunxin_soap"]
        assert len(ours) == 3
        assert "***" in ours[0]
        assert "139****0000 (2 numbers)" in ours[0]
        assert ("您好" in ours[0]) is log_messages
        assert ours[1].startswith("HTTP 200 (text/xml")
        assert (BATCH_NO in ours[1]) is log_messages
        assert BATCH_NO in ours[2]
        assert_no_secret(caplog.text)


def test_log_shows_a_content_type_short_and_printable(caplog: pytest.LogCaptureFixture) -> None:
    """A server cannot fill the log, or control a terminal, with its Content-Type."""
    caplog.set_level("DEBUG")
    content = http_response(result_xml("soap"), "200 OK", f"text/xml; x=\x85\xa0{'y' * 5000}")
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server) as checked:
        checked.assert_accepted()
    (line,) = (text for text in caplog.messages if text.startswith("HTTP 200"))
    assert "(text/xml; x=" in line
    assert "yyy…)" in line
    assert line.isprintable()
    assert len(line) < 1000


def test_banned_word_is_shown() -> None:
    """The banned word of -6 is shown as it is."""
    with (
        ScriptedServer(reply_with(result_response("soap", "-6:促销"))) as server,
        CheckedClient(server) as checked,
    ):
        error = checked.assert_fails(ContentRejected)
    assert error.keyword == "促销"


def test_banned_word_that_is_the_password_is_redacted(protocol: str) -> None:
    """A banned word that equals the password is masked."""
    content = result_response(protocol, f"-6:{html.escape(PASSWORD)}")
    with ScriptedServer(reply_with(content)) as server, CheckedClient(server, protocol) as checked:
        assert checked.assert_fails(ContentRejected).keyword == "***"


def test_repr_shows_no_secret() -> None:
    """No ``repr`` shows a secret."""
    fields = Fields("user", PASSWORD, ",".join(NUMBERS), "您好【签名】", "37", "")
    with CheckedClient("http://127.0.0.1:9/") as checked:
        settings = checked.client.settings
    request = Codec(wsdl.load(), "soap", "/", Redactor(PASSWORD)).encode(fields)
    shown = [repr(checked.client), repr(settings), repr(request)]
    assert b"s3cr3t" in (request.body or b"")
    assert_no_secret(
        *shown,
        repr(fields),
        str(fields),
        repr(Request("GET", "/", {}, query=f"userPass={PASSWORD}")),
        repr(Response(502, HTML, PASSWORD.encode())),
    )

"""No error keeps the password: not in its chain, nor in a local variable of a frame.

``pytest --showlocals``, ``traceback`` with ``capture_locals``, rich and error reporters print local
variables. `assert_no_secret_kept` prints them as these do, and searches the text.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import html
import io
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote_plus

import pytest
from rich.console import Console
from rich.traceback import Traceback

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import (
    BOTH_CLIENTS,
    BlockingAsyncClient,
    ClientVariant,
    client_class,
)
from tests.support.nested_pytest import run_pytest
from tests.support.scripted_server import (
    Connection,
    ReceivedRequest,
    Script,
    ScriptedServer,
    close_without_reading,
    proxy_url,
    read_then_close,
    read_then_hang,
    read_then_reset,
    reply_with,
    reset_without_reading,
)
from tests.support.secret_detector import (
    NUMBERS,
    PASSWORD,
    PROXY_AUTHORIZATION,
    PROXY_USER,
    assert_no_password,
    assert_no_secret_kept,
    assert_no_secret_logged,
    secrets_kept,
    strip_test_frames,
)
from tests.support.wire_samples import (
    HTML,
    PLAIN,
    XML,
    http_response,
    result_response,
    result_xml,
    soap_fault,
)
from yunxin_soap import AsyncClient, Client, ConfigurationError, NotSent, OutcomeUnknown, Settings
from yunxin_soap.errors import InvalidRequest, SendError
from yunxin_soap.operation import FIELDS
from yunxin_soap.transport.base import Request, Response

MESSAGE = "您好【签名】"


def error_of(run: Callable[..., object], *args: Any, **options: Any) -> Exception:
    """Return the error that a call raises, and check the logs."""
    with assert_no_secret_logged():
        try:
            run(*args, **options)
        except Exception as error:  # noqa: BLE001 - the caller checks its class
            return error
    raise AssertionError("It raised nothing.")


def check(error: BaseException, kind: type[BaseException]) -> None:
    assert isinstance(error, kind), repr(error)
    assert_no_secret_kept(error)


# --- failures of the exchange


def hang_in_the_body(connection: Connection) -> None:
    connection.read()
    connection.send(http_response("<a>", length=99))
    connection.wait_until_closed()


def answer(build: Callable[[str, str], bytes]) -> Callable[[str], Script]:
    """Return a script that answers a request with what ``build`` makes of its protocol and text."""

    def for_protocol(protocol: str) -> Script:
        def script(connection: Connection) -> None:
            request = connection.read()
            assert request is not None
            connection.send(build(protocol, text_of(request)))

        return script

    return for_protocol


def text_of(request: ReceivedRequest) -> str:
    """Return what a server may echo: the request as it came, and the password in plain text."""
    sent = f"{request.method} {request.target} {request.body.decode()} {PASSWORD}"
    return " ".join(sent.split())


def in_head(line: str, body: str = "") -> bytes:
    length = len(body.encode())
    return f"HTTP/1.1 502 Bad\r\n{line}\r\nContent-Length: {length}\r\n\r\n{body}".encode()


BROKEN: dict[str, Callable[[str], Script]] = {
    "closed early": lambda _: read_then_close,
    "closed unread": lambda _: close_without_reading,
    "reset": lambda _: read_then_reset,
    "reset unread": lambda _: reset_without_reading,
    "timeout": lambda _: read_then_hang,
    "timeout in the body": lambda _: hang_in_the_body,
    "cut": answer(lambda _, text: http_response(text, "200 OK", XML, length=9999)),
    "cut head": answer(lambda _, text: f"HTTP/1.1 200 OK\r\nX: {text}".encode()),
    "not HTTP": answer(lambda _, text: f"{text}\r\n\r\n".encode()),
    "not gzip": answer(
        lambda _, text: http_response(text, "200 OK", XML, "Content-Encoding: gzip")
    ),
    "cut gzip": answer(
        lambda _, text: http_response(
            gzip.compress(f"{text}{'y' * 9999}".encode())[:-9],
            "200 OK",
            XML,
            "Content-Encoding: gzip",
        )
    ),
    "unknown encoding": answer(
        lambda _, text: http_response(text, "200 OK", XML, f"Content-Encoding: {text}")
    ),
    "too large": answer(lambda _, text: http_response(text + "x" * (1 << 20))),
    "huge head": answer(lambda _, text: in_head(f"X: {text}{'x' * 200_000}")),
    "bad chunk": answer(
        lambda _, text: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n".encode()
    ),
    "bad length": answer(lambda _, text: in_head(f"Content-Length: {text}")),
    "echo in the version": answer(lambda _, text: f"HTTP/{text} 200 OK\r\n\r\n".encode()),
    "echo in the status": answer(lambda _, text: f"HTTP/1.1 {text}\r\n\r\n".encode()),
}
"""Scripts that end in an `OutcomeUnknown` of the transport, by protocol."""

ECHOES: dict[str, Callable[[str], Script]] = {
    "reason": answer(lambda _, text: f"HTTP/1.1 502 {text}\r\nContent-Length: 0\r\n\r\n".encode()),
    "header": answer(lambda _, text: in_head(f"X-Request: {text}")),
    "content type": answer(lambda _, text: in_head(f"Content-Type: {text}", text)),
    "location": answer(
        lambda _, text: http_response("", "302 Found", HTML, f"Location: http://127.0.0.1/?{text}")
    ),
    "plain 200": answer(lambda _, text: http_response(text)),
    "plain 500": answer(lambda _, text: http_response(text, "500 Error", PLAIN)),
    "missing parameter": answer(
        lambda _, text: http_response(f"Missing parameter: {text}.", "500 Error", PLAIN)
    ),
    "dangerous value": answer(
        lambda _, text: http_response(
            f'A potentially dangerous Request.Form value was detected: "{text}"',
            "500 Error",
            PLAIN,
        )
    ),
    "HTML 200": answer(lambda _, text: http_response(html.escape(text), "200 OK", HTML)),
    "HTML 404": answer(lambda _, text: http_response(html.escape(text), "404 Not Found", HTML)),
    "HTML 502": answer(lambda _, text: http_response(html.escape(text), "502 Bad", HTML)),
    "HTML 502, decoded": answer(
        lambda _, text: http_response(html.escape(unquote_plus(text)), "502 Bad", HTML)
    ),
    "UTF-16": answer(
        lambda _, text: http_response(text.encode("utf-16"), "502 Bad", "text/html; charset=utf-16")
    ),
    "not UTF-8": answer(lambda _, text: http_response(text.encode() + b"\xff", "502 Bad", HTML)),
    "packed": answer(
        lambda _, text: http_response(
            gzip.compress(text.encode()), "502 Bad", HTML, "Content-Encoding: gzip"
        )
    ),
    "Client fault": answer(
        lambda protocol, text: http_response(
            soap_fault(protocol, "Sender" if protocol == "soap12" else "Client", html.escape(text)),
            "500 Error",
        )
    ),
    "Server fault": answer(
        lambda protocol, text: http_response(
            soap_fault(
                protocol, "Receiver" if protocol == "soap12" else "Server", html.escape(text)
            ),
            "500 Error",
        )
    ),
    "fault's code": answer(
        lambda protocol, text: http_response(
            soap_fault(protocol, html.escape(text), "no"), "500 Error"
        )
    ),
    "tags": answer(lambda _, _text: http_response(f"<{PASSWORD}>&{PASSWORD};</x>")),
    "another element": answer(lambda _, text: http_response(f"<a><![CDATA[{text}]]></a>")),
    "result": answer(lambda protocol, text: http_response(result_xml(protocol, html.escape(text)))),
    "banned word": answer(
        lambda protocol, text: http_response(result_xml(protocol, f"-6:{html.escape(text)}"))
    ),
    "code with text": answer(
        lambda protocol, text: http_response(result_xml(protocol, f"-7 {html.escape(text)}"))
    ),
}
"""Scripts that echo the request in a whole response, by protocol."""


@pytest.mark.parametrize("name", BROKEN)
def test_broken_exchange_keeps_no_password(protocol: str, name: str) -> None:
    """Whatever breaks an exchange, its error keeps no password."""
    timeout = 0.1 if name.startswith("timeout") else 20.0
    with (
        ScriptedServer(BROKEN[name](protocol)) as server,
        CheckedClient(server, protocol, timeout=timeout) as checked,
    ):
        check(error_of(checked.send), OutcomeUnknown)
        check(error_of(lambda: call_service(checked)), OutcomeUnknown)


@pytest.mark.parametrize("name", ECHOES)
def test_echo_of_the_request_is_not_kept(protocol: str, name: str) -> None:
    """A response that echoes the request leaves no password in the error that it becomes."""
    with (
        ScriptedServer(ECHOES[name](protocol)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        check(error_of(checked.send), SendError)
        if name not in ("banned word", "code with text"):  # results of `service` as they are
            error = error_of(lambda: call_service(checked)) if name != "result" else None
            assert error is None or isinstance(error, SendError)
            assert error is None or not secrets_kept(error)


def test_refused_connection_keeps_no_password(protocol: str) -> None:
    """The error of a connection that could not be made keeps no password."""
    with (
        ScriptedServer(read_then_close, listening=False) as server,
        CheckedClient(server, protocol, retries=0) as checked,
    ):
        check(error_of(checked.send), NotSent)
        check(error_of(lambda: call_service(checked)), NotSent)


# --- mistakes of the caller


def call_service(checked: CheckedClient, *args: str, **fields: Any) -> object:
    """Call the operation of ``service`` with the right fields but for those given."""
    right = dict(zip(FIELDS, ("user", PASSWORD, ",".join(NUMBERS), MESSAGE, "37", ""), strict=True))
    operation: Callable[..., object] = checked.client.service.sendMesExt
    return operation(*args, **({} if args else right), **fields)


class NoText:
    """An argument that cannot be converted to a string."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        return "NoText()"


INVALID: dict[str, dict[str, Any]] = {
    "recipients": {"recipients": "123"},
    "recipients' type": {"recipients": 1.5},
    "message": {"message": ""},
    "message's type": {"message": None},
    "character": {"message": "\x00【签名】"},
    "channel": {"channel": "x"},
    "extension": {"extension": "x"},
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_request_keeps_no_password(protocol: str, name: str) -> None:
    """The error of an invalid argument keeps no password."""
    arguments = {"recipients": NUMBERS, "message": MESSAGE, **INVALID[name]}
    with CheckedClient("http://127.0.0.1:9/x", protocol) as checked:
        check(error_of(lambda: checked.client.send(**arguments)), InvalidRequest)
        check(error_of(lambda: checked.client.check(**arguments)), InvalidRequest)


@pytest.mark.parametrize("method", ["send", "check", "submit"])
def test_query_too_long_keeps_no_password(method: str, protocol: ClientVariant) -> None:
    """A query that is too long for an HTTP GET is not kept."""
    if protocol != "http-get":
        pytest.skip("only a GET has a limit")
    numbers = [f"139{count:08}" for count in range(300)]
    with CheckedClient("http://127.0.0.1:9/x", protocol) as checked:
        client = checked.client
        if method == "submit":
            check(error_of(lambda: submit(client, numbers)), InvalidRequest)
        else:
            check(error_of(lambda: getattr(client, method)(numbers, MESSAGE)), InvalidRequest)


def submit(client: Client | BlockingAsyncClient, numbers: list[str]) -> object:
    from yunxin_soap import Submission

    submission = Submission(tuple(numbers), MESSAGE, "37", "")
    return client.submit(submission)


def test_closed_client_keeps_no_password(protocol: str) -> None:
    """The error of a closed client keeps no password."""
    with CheckedClient("http://127.0.0.1:9/x", protocol) as checked:
        checked.client.close()
        check(error_of(checked.send), RuntimeError)
        check(error_of(lambda: call_service(checked)), RuntimeError)


@pytest.mark.parametrize("name", ["unknown", "seventh", "twice", "no text", *FIELDS])
def test_service_wrong_arguments_are_not_kept(protocol: str, name: str) -> None:
    """Wrong arguments of ``service`` are not kept, nor is a password in the wrong field."""
    with CheckedClient("http://127.0.0.1:9/x", protocol, retries=0) as checked:
        if name == "unknown":
            check(error_of(lambda: call_service(checked, userPas=PASSWORD)), TypeError)
        elif name == "seventh":
            check(error_of(lambda: call_service(checked, *[PASSWORD] * 7)), TypeError)
        elif name == "twice":
            check(error_of(lambda: call_service(checked, PASSWORD, userCode="x")), TypeError)
        elif name == "no text":
            service: Any = checked.client.service
            check(error_of(service.sendMesExt, "user", PASSWORD, "1", NoText()), ZeroDivisionError)
        else:
            bad = dict.fromkeys(FIELDS, "x") | {"userPass": PASSWORD}
            for value in (PASSWORD, f"{PASSWORD}\x00"):
                kind = InvalidRequest if "\x00" in value else NotSent
                fields = bad | {name: value}
                check(error_of(checked.client.service.sendMesExt, **fields), kind)


def test_service_unknown_operation_is_not_kept(protocol: str) -> None:
    """An operation that the WSDL does not have ends in an error without the password."""
    with CheckedClient("http://127.0.0.1:9/x", protocol) as checked:
        service: Any = checked.client.service
        check(error_of(lambda: service.sendMesExt2(userPass=PASSWORD)), AttributeError)


# --- a caller's own transport


class Group(Exception):
    """Several errors at once, as `ExceptionGroup` of later Pythons."""

    def __init__(self, exceptions: list[OSError]) -> None:
        super().__init__()
        self.exceptions = exceptions


class OwnTransport:
    """A transport with a programming error, or that fails as the contract says."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def send(self, request: Request) -> Response:
        """Fail with the request in a local variable."""
        content = (request.query + (request.body or b"").decode()).encode()
        self._fail(content)

    def _fail(self, octets: bytes) -> NoReturn:
        text = octets.decode()
        if self._kind == "programming error":
            raise KeyError(len(text))
        if self._kind == "quoting error":
            raise ValueError(text, octets, len(text))
        if self._kind == "group":
            raise Group([self._lost(text), OSError(text)])
        raise OutcomeUnknown("It broke.") from self._lost(text)

    def _lost(self, text: str) -> OSError:
        try:
            raise OSError(len(text))
        except OSError as error:
            return error

    def close(self) -> None:
        """Do nothing."""


class AsyncOwnTransport(OwnTransport):
    """The same for `AsyncClient`."""

    async def send(self, request: Request) -> Response:  # type: ignore[override]
        """Fail with the request in a local variable."""
        return super().send(request)

    async def close(self) -> None:  # type: ignore[override]
        """Do nothing."""


@pytest.mark.parametrize("kind", ["programming error", "quoting error", "group", "unknown"])
def test_own_transport_frames_are_cleared(protocol: ClientVariant, kind: str) -> None:
    """An error in a caller's transport keeps its lines, and no request in its variables."""
    transport: Any = (AsyncOwnTransport if protocol.is_async else OwnTransport)(kind)
    options: Any = {"channel": 37, "protocol": str(protocol), "transport": transport}
    expected: dict[str, type[Exception]] = {
        "programming error": KeyError,
        "quoting error": ValueError,
        "group": Group,
        "unknown": OutcomeUnknown,
    }
    with client_class(protocol)("user", PASSWORD, **options) as client:
        for run in (
            lambda: client.send(NUMBERS, MESSAGE),
            lambda: client.service.sendMesExt(userPass=PASSWORD, Msg=MESSAGE),
        ):
            error = error_of(run)
            check(error, expected[kind])
            assert "_fail" in [each.name for each in traceback.extract_tb(error.__traceback__)]


# --- asyncio


def test_cancelled_send_keeps_no_password(protocol: ClientVariant) -> None:
    """A cancelled task's error, and its cause, keep no password."""
    if not protocol.is_async:
        pytest.skip("a thread cannot be cancelled")

    async def run(server: ScriptedServer) -> BaseException:
        async with AsyncClient(
            "user",
            PASSWORD,
            channel=37,
            endpoint=server.url,
            protocol=str(protocol),  # type: ignore[arg-type]
        ) as client:
            task = asyncio.ensure_future(client.send(NUMBERS, MESSAGE))
            await asyncio.to_thread(server.wait_for_requests, 1)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as error:
                return error
        raise AssertionError

    with ScriptedServer(read_then_hang) as server:
        check(asyncio.run(run(server)), asyncio.CancelledError)


def test_other_event_loop_keeps_no_password(protocol: ClientVariant) -> None:
    """The error of a client that another event loop uses keeps no password."""
    if not protocol.is_async:
        pytest.skip("a Client has no loop")

    async def use(client: AsyncClient) -> BaseException | None:
        try:
            await client.send(NUMBERS, MESSAGE)
        except RuntimeError as error:
            return error
        return None

    with ScriptedServer(lambda connection: reply_forever(connection, protocol)) as server:
        client = AsyncClient(
            "user",
            PASSWORD,
            channel=37,
            endpoint=server.url,
            protocol=str(protocol),  # type: ignore[arg-type]
        )

        async def first() -> tuple[BaseException | None, BaseException | None]:
            worked = await use(client)
            other = await asyncio.to_thread(asyncio.run, use(client))
            await client.close()
            return worked, other

        worked, other = asyncio.run(first())
    assert worked is None
    assert other is not None
    check(other, RuntimeError)


def reply_forever(connection: Connection, protocol: str) -> None:
    while connection.read() is not None:
        connection.send(result_response(protocol))


# --- settings and the WSDL


SETTINGS_ERRORS: dict[str, dict[str, Any]] = {
    "password's type": {"user_pass": PASSWORD.encode()},
    "password in a list": {"user_pass": [PASSWORD]},
    "password's character": {"user_pass": f"{PASSWORD}\x00"},
    "password that GET rejects": {"user_pass": f"{PASSWORD}<b", "protocol": "http-get"},
    "no user code": {"user_code": ""},
    "timeout": {"timeout": "soon"},
    "protocol": {"protocol": "smtp"},
    "endpoint with a password": {"endpoint": f"http://u:{PASSWORD}@h/x"},
    "endpoint with a query": {"endpoint": f"http://h/x?userPass={PASSWORD}"},
    "endpoint that is no address": {"endpoint": f"http://u:{PASSWORD}@[h"},
    "endpoint's type": {"endpoint": 5},
    "proxy that is no address": {"proxy": f"http://u:{PASSWORD}@[h"},
    "proxy's scheme": {"proxy": f"socks5://u:{PASSWORD}@h:1"},
    "pattern": {"recipient_pattern": "("},
    "large pattern": {"recipient_pattern": "a{99999999999}"},
    "channel": {"channel": "x"},
    "total timeout": {"total_timeout": 1},
    "unknown": {"chanel": 37},
    "no WSDL": {"wsdl": "/nonexistent.wsdl"},
    "TLS": {"verify": "/nonexistent.pem", "endpoint": "https://h/x"},
}
BUILDERS: dict[str, Callable[..., object]] = {
    "Settings": Settings,
    "Settings.from_env": lambda **arguments: Settings.from_env({}, **arguments),
    "Client": Client,
    "Client.from_env": Client.from_env,
    "AsyncClient": lambda **arguments: asyncio.run(AsyncClient(**arguments).check("1", "")),
    "AsyncClient.from_env": lambda **arguments: asyncio.run(
        AsyncClient.from_env(**arguments).check("1", "")
    ),
}


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("name", SETTINGS_ERRORS)
def test_settings_error_keeps_no_password(builder: str, name: str) -> None:
    """A wrong setting keeps no password, whichever setting it is."""
    arguments = {
        "user_code": "user",
        "user_pass": PASSWORD,
        "proxy": "http://user:pr0xy%40s3cr3t@127.0.0.1:9",
        **SETTINGS_ERRORS[name],
    }
    if builder.startswith("Settings") and name in ("no WSDL", "TLS"):
        pytest.skip("settings do not open files")
    kind = TypeError if name == "unknown" else ConfigurationError
    check(error_of(lambda: BUILDERS[builder](**arguments)), kind)


@pytest.mark.parametrize("builder", [Client, AsyncClient, Settings])
@pytest.mark.parametrize(
    "wrong",
    [{"YUNXIN_TIMEOUT": "soon"}, {"YUNXIN_PROTOCOL": "smtp"}, {"YUNXIN_USER_CODE": ""}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_from_env_error_keeps_no_password(
    builder: type[Client | AsyncClient | Settings],
    wrong: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment itself is no local variable of a frame that an error keeps."""
    environ = {
        "YUNXIN_USER_CODE": "user",
        "YUNXIN_USER_PASS": PASSWORD,
        "YUNXIN_PROXY": "http://user:pr0xy%40s3cr3t@127.0.0.1:9",
        **wrong,
    }
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    if builder is Settings:
        check(error_of(Settings.from_env, os.environ), ConfigurationError)
    else:
        check(error_of(builder.from_env), ConfigurationError)


def test_wsdl_error_keeps_no_password(protocol: ClientVariant, tmp_path: Path) -> None:
    """A WSDL that does not fit keeps no password in the error."""
    for content in ("no XML", "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/'/>"):
        path = tmp_path / f"{len(content)}.wsdl"
        path.write_text(content)
        error = error_of(CheckedClient, "http://h/x", protocol, wsdl=path)
        check(error, ConfigurationError)


# --- a proxy's own password


def proxy_spellings(proxy: ScriptedServer) -> str:
    """Return the ways in which a proxy may echo its own password."""
    return " ".join(
        [
            "You sent",
            PROXY_AUTHORIZATION,
            proxy_url(proxy, PROXY_USER),
            "user:pr0xy@s3cr3t",
            "pr0xy@s3cr3t",
            "pr0xy%40s3cr3t",
            "<p>pr0xy&#64;s3cr3t</p>",
            json.dumps({"auth": PROXY_AUTHORIZATION}),
            base64.b64encode(b"pr0xy@s3cr3t").decode(),
            base64.b64encode(PROXY_AUTHORIZATION.encode()).decode(),
            quote(PROXY_AUTHORIZATION, safe=""),
        ]
    )


PROXY_RESPONSES: dict[str, Callable[[str, str], bytes]] = {
    "407": lambda _, text: http_response(text, "407 Denied", HTML),
    "407, reason and header": lambda _, text: (
        f"HTTP/1.1 407 {text}\r\nX: {text}\r\nContent-Length: 0\r\n\r\n".encode()
    ),
    "502": lambda _, text: http_response(text, "502 Bad", HTML),
    "200": lambda _, text: http_response(text, "200 OK", HTML),
    "content type": lambda _, text: in_head(f"Content-Type: {text}"),
    "cut": lambda _, text: http_response(text, "502 Bad", HTML, length=9999),
    "not HTTP": lambda _, text: f"{text}\r\n\r\n".encode(),
    "fault": lambda protocol, text: http_response(
        soap_fault(protocol, "Server", html.escape(text)), "500 Error"
    ),
    "result": lambda protocol, text: http_response(result_xml(protocol, html.escape(text))),
    "banned word": lambda protocol, text: http_response(
        result_xml(protocol, f"-6:{html.escape(text)}")
    ),
}
"""What a proxy may answer to a request, or to CONNECT, by protocol and the text that it echoes."""


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("response", PROXY_RESPONSES)
def test_proxy_that_echoes_its_password_is_redacted(
    protocol: str, response: str, scheme: str
) -> None:
    """A proxy echoes its own password, to a request or to CONNECT: it is shown nowhere."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(PROXY_RESPONSES[response](protocol, proxy_spellings(proxy)))

    with (
        ScriptedServer(script) as proxy,
        CheckedClient(
            f"{scheme}://sms.example/x", protocol, proxy=proxy_url(proxy, PROXY_USER), retries=0
        ) as checked,
    ):
        error = error_of(checked.send)
    check(error, SendError)
    if response == "502" and scheme == "http":
        assert isinstance(error, OutcomeUnknown)
        assert error.excerpt is not None
        assert error.excerpt.startswith("You sent Basic *** http://")
        assert error.excerpt.count("***") == 10


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy"])
@pytest.mark.parametrize("status", ["407 Denied", "502 Bad"])
def test_environment_proxy_that_echoes_its_password_is_redacted(
    protocol: str, variable: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds for a proxy of the environment."""
    content = http_response(f"You sent {PROXY_AUTHORIZATION}, pr0xy@s3cr3t", status, HTML)
    with ScriptedServer(reply_with(content)) as proxy:
        monkeypatch.setenv(variable, proxy_url(proxy, PROXY_USER))
        endpoint = f"{variable.removesuffix('_proxy')}://sms.example/x"
        with CheckedClient(endpoint, protocol, trust_env=True, retries=0) as checked:
            error = error_of(checked.send)
    check(error, SendError)
    if isinstance(error, OutcomeUnknown):
        assert error.excerpt == "You sent Basic ***, ***"


@pytest.mark.parametrize("name", ["closed early", "reset", "timeout"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_broken_proxy_keeps_no_password(protocol: str, name: str, scheme: str) -> None:
    """An error of a proxy that breaks keeps no password, neither its own nor the account's."""
    timeout = 0.1 if name.startswith("timeout") else 20.0
    with ScriptedServer(BROKEN[name](protocol)) as proxy:
        options: dict[str, Any] = {"timeout": timeout, "connect_timeout": timeout, "retries": 0}
        options |= {"proxy": proxy_url(proxy, PROXY_USER)}
        with CheckedClient(f"{scheme}://sms.example/x", protocol, **options) as checked:
            check(error_of(checked.send), NotSent if scheme == "https" else OutcomeUnknown)


def test_refused_proxy_keeps_no_password(protocol: str) -> None:
    """The error of a proxy that refuses connections keeps no password."""
    with (
        ScriptedServer(read_then_close, listening=False) as proxy,
        CheckedClient(
            "http://sms.example/x", protocol, proxy=proxy_url(proxy, PROXY_USER), retries=0
        ) as checked,
    ):
        check(error_of(checked.send), NotSent)


@pytest.mark.parametrize(
    ("user", "echo", "shown"),
    [
        ("user:5", "HTTP 500 for user:5, 5, dXNlcjo1", "HTTP 500 for ***, ***, ***"),
        ("token", "HTTP 500 for token, dG9rZW4=", "HTTP 500 for ***, ***"),
        ("user:", "HTTP 500 for user, u", "HTTP 500 for ***, u"),
        ("user:%ff%fe!!", "HTTP 500 for %FF%FE!!, dXNlcjr//iEh", "HTTP 500 for ***, ***"),
    ],
)
@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_unusual_proxy_password_is_redacted(
    protocol: str, user: str, echo: str, shown: str
) -> None:
    """A short password masks no other text; a user name without a password may be a token."""
    with (
        ScriptedServer(reply_with(http_response(echo, "502 Bad", HTML))) as proxy,
        CheckedClient("http://sms.example/x", protocol, proxy=proxy_url(proxy, user)) as checked,
    ):
        error = error_of(checked.send)
    assert isinstance(error, OutcomeUnknown)
    assert error.excerpt == shown


def test_wsdl_error_does_not_quote_an_earlier_response(protocol: str, tmp_path: Path) -> None:
    """lxml shows its log with each error: a response that is no XML must not stay in it."""
    path = tmp_path / "broken.wsdl"
    path.write_text("no XML")
    with (
        ScriptedServer(reply_with(http_response("<a><s3cr3t></a>"))) as server,
        CheckedClient(server, protocol, password="s3cr3t") as checked,
    ):
        check(error_of(checked.send), OutcomeUnknown)
    check(error_of(CheckedClient, "http://h/x", protocol, wsdl=path), ConfigurationError)


# --- real tools


def shown_by_traceback(error: BaseException) -> str:
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(report.format())


def shown_by_rich(error: BaseException) -> str:
    output = io.StringIO()
    console = Console(file=output, width=10_000)
    shown = Traceback.from_exception(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        locals_max_length=100,
        locals_max_string=None,  # type: ignore[arg-type]
        locals_hide_sunder=False,
        locals_hide_dunder=False,
    )
    console.print(shown)
    return output.getvalue()


@pytest.mark.parametrize("show", [shown_by_traceback, shown_by_rich])
@pytest.mark.parametrize("name", ["cut", "not gzip", "timeout", "HTML 404", "result"])
def test_traceback_with_local_variables_shows_no_password(
    protocol: str, name: str, show: Callable[[BaseException], str]
) -> None:
    """``capture_locals`` and rich print no password."""
    with (
        ScriptedServer({**BROKEN, **ECHOES}[name](protocol)) as server,
        CheckedClient(server, protocol, timeout=0.1 if name == "timeout" else 20) as checked,
    ):
        error = strip_test_frames(error_of(checked.send))
    text = show(error)
    assert "submission =" in text
    assert_no_password(text)


SHOWLOCALS = """
import asyncio, os, pytest
from yunxin_soap import AsyncClient, Client, ConfigurationError

NUMBERS = [f"139{count:08}" for count in range(300)]

@pytest.mark.parametrize("protocol", ["soap", "soap12", "http-get", "http-post"])
@pytest.mark.parametrize("numbers", [NUMBERS[:1], NUMBERS], ids=["one", "many"])
def test_send(protocol, numbers):
    with Client.from_env(protocol=protocol) as client:
        client.send(numbers, "hello【sign】")

@pytest.mark.parametrize("protocol", ["soap", "soap12", "http-get", "http-post"])
@pytest.mark.parametrize("numbers", [NUMBERS[:1], NUMBERS], ids=["one", "many"])
def test_send_async(protocol, numbers):
    async def send():
        async with AsyncClient.from_env(protocol=protocol) as client:
            await client.send(numbers, "hello【sign】")
    asyncio.run(send())

@pytest.mark.parametrize("protocol", ["soap", "http-get"])
def test_service(protocol):
    with Client.from_env(protocol=protocol) as client:
        client.service.sendMesExt(userPass=os.environ["YUNXIN_USER_PASS"])

@pytest.mark.parametrize("name", ["timeout", "signature", "nonsense"])
def test_settings(name):
    Client.from_env(**{name: "【】"})
"""


@pytest.mark.parametrize("option", ["-v", "-vvv"])
def test_pytest_showlocals_shows_no_password(tmp_path: Path, option: str) -> None:
    """``pytest --showlocals`` of a user's failing tests prints no password."""
    (tmp_path / "test_user.py").write_text(SHOWLOCALS)
    with ScriptedServer(BROKEN["cut"]("soap")) as server:
        output = run_pytest(
            tmp_path,
            "--showlocals",
            "--tb=long",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            option,
            status=1,
            YUNXIN_USER_CODE="user",
            YUNXIN_USER_PASS=PASSWORD,
            YUNXIN_CHANNEL="37",
            YUNXIN_ENDPOINT=server.url,
        )
    assert "21 failed" in output
    assert "submission = " in output
    assert_no_password(output)

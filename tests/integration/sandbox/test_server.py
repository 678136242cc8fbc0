"""The HTTP server under the ASMX behaviour, over real sockets."""

from __future__ import annotations

import contextlib
import gzip
import logging
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asmx_requests import ACTION, FORM, GOOD, HTML, SOAP_XML, TEXT, XML, envelope
from tests.support.raw_http import Reply, connected, exchange, reply_to, written
from yunxin_soap.sandbox import Sandbox, ServerLimits
from yunxin_soap.sandbox.arrivals.models import Outcome
from yunxin_soap.sandbox.asmx.handler import MAX_REQUEST, PATH
from yunxin_soap.sandbox.faults.model import Fault
from yunxin_soap.sandbox.server.app import is_host

OPERATION = f"{PATH}/sendMesExt"
BODY = envelope().encode()
SOAP = {"Content_Type": XML, "SOAPAction": ACTION}
TOO_LONG = "Maximum request length exceeded."


@pytest.fixture
def own() -> Iterator[Sandbox]:
    """A new sandbox: requests of earlier tests can still arrive at a shared one."""
    with Sandbox() as sandbox:
        yield sandbox


def _messages(sandbox: Sandbox) -> list[str]:
    return [each.message for each in sandbox.inbox]


def _accepted(sandbox: Sandbox, reply: Reply) -> bool:
    (submission,) = sandbox.inbox
    assert reply.status == 200
    assert str(submission.batch_no).encode() in reply.body
    return submission.message == GOOD["Msg"]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    ("target", "status"), [(PATH, 405), (f"{PATH}?WSDL", 405), (OPERATION, 500)]
)
def test_server_unsupported_method_gets_an_error_page(
    sandbox: Sandbox, method: str, target: str, status: int
) -> None:
    """Other methods get an error page; HEAD gets no body."""
    reply = exchange(sandbox, written(method, target))

    assert (reply.status, reply.content_type) == (status, HTML)
    assert bool(reply.body) == (method != "HEAD")


RESPONSES = [
    ("GET", f"{PATH}?WSDL", 200, XML),
    ("GET", f"{OPERATION}?{urlencode(GOOD)}", 200, XML),
    ("GET", f"{OPERATION}", 500, TEXT),
    ("GET", "/nothing", 404, HTML),
    ("OPTIONS", "*", 404, HTML),
    ("POST", PATH, 500, SOAP_XML),
]


@pytest.mark.parametrize(("method", "target", "status", "content_type"), RESPONSES)
def test_server_every_response_has_a_content_length(
    sandbox: Sandbox, method: str, target: str, status: int, content_type: str
) -> None:
    """Every response has a Content-Length, and only successes a Cache-Control."""
    reply = exchange(sandbox, written(method, target))

    assert (reply.status, reply.content_type) == (status, content_type)
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert reply.headers["Transfer-Encoding"] is None
    assert (reply.headers["Cache-Control"] == "private, max-age=0") == (status == 200)


@pytest.mark.parametrize("host", [None, "a b", 'a"<', "\xe6\xff", "[::1%?]", "[]"])
def test_server_invalid_host_gets_400(sandbox: Sandbox, host: str | None) -> None:
    """A missing or invalid Host header is a 400."""
    for target in (f"{PATH}?WSDL", f"{PATH}?op=sendMesExt", "/", "/api/v1/arrivals"):
        reply = exchange(sandbox, written("GET", target, Host=host))

        assert (reply.status, reply.content_type) == (400, HTML)


@given(
    st.one_of(
        st.text(), st.from_regex(r"\A\[[0-9a-f:%.a-z?/@\]#]*\](:[0-9]*)?\Z"), st.ip_addresses()
    )
)
def test_is_host_accepts_only_what_a_url_can_hold(host: object) -> None:
    """No accepted Host header breaks the URL that is made of it."""
    text = str(host)
    if is_host(text):
        parts = urlsplit(f"http://{text}{PATH}?WSDL")
        assert (parts.path, parts.query) == (PATH, "WSDL")
        assert (parts.hostname or "") in text.lower()


def test_server_http_1_0_needs_no_host(sandbox: Sandbox) -> None:
    """HTTP/1.0 has no Host header."""
    reply = exchange(sandbox, written("POST", PATH, BODY, "1.0", Host=None, **SOAP))

    assert _accepted(sandbox, reply)


def test_server_chunked_body_is_accepted(sandbox: Sandbox) -> None:
    """A chunked body is read."""
    pieces = [BODY[:1], BODY[1:100], BODY[100:]]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    head = written("POST", PATH, Transfer_Encoding="chunked", **SOAP)

    assert _accepted(sandbox, exchange(sandbox, head + chunks))


def test_server_invalid_chunks_get_400(sandbox: Sandbox) -> None:
    """Invalid chunks are a 400."""
    head = written("POST", PATH, Transfer_Encoding="chunked", **SOAP)

    reply = exchange(sandbox, head + b"zz\r\n")

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not sandbox.inbox


def test_server_expect_100_continue_is_honoured(sandbox: Sandbox) -> None:
    """The interim response comes before the body."""
    length = str(len(BODY))
    head = written("POST", PATH, Expect="100-continue", Content_Length=length, **SOAP)

    with connected(sandbox) as connection:
        connection.sendall(head)
        interim = b""
        while not interim.endswith(b"\r\n\r\n"):
            interim += connection.recv(1)
        connection.sendall(BODY)
        reply = reply_to(connection, b"POST")

    assert interim.startswith(b"HTTP/1.1 100 ")
    assert _accepted(sandbox, reply)


def test_server_raw_bytes_in_a_query_are_decoded(sandbox: Sandbox) -> None:
    """Raw UTF-8 in a query is decoded; raw GBK becomes U+FFFD."""
    fields = urlencode(GOOD | {"Msg": ""})

    raw = fields.replace("Msg=", f"Msg={'您好【签名】'}").encode()
    reply = exchange(sandbox, written("GET", OPERATION.encode() + b"?" + raw))
    in_gbk = exchange(sandbox, written("GET", OPERATION.encode() + b"?Msg=\xc4\xfa&" + raw))

    assert reply.status == 200
    assert _messages(sandbox) == ["您好【签名】", "\ufffd\ufffd,您好【签名】"]
    assert in_gbk.status == 200


def test_server_raw_bytes_in_a_form_are_decoded(sandbox: Sandbox) -> None:
    """Raw UTF-8 in a form is decoded."""
    raw = urlencode(GOOD | {"Msg": ""}).replace("Msg=", "Msg=您好【签名】").encode()

    reply = exchange(sandbox, written("POST", OPERATION, raw, Content_Type=FORM))

    assert reply.status == 200
    assert _messages(sandbox) == ["您好【签名】"]


def test_server_form_after_100_continue_is_no_request_line(sandbox: Sandbox) -> None:
    """A form that begins like a request line is not escaped."""
    form = "GET /您好=x&".encode() + urlencode(GOOD).encode()
    request = written("POST", OPERATION, form, Content_Type=FORM, Expect="100-continue")
    head, body = request[: -len(form)], request[-len(form) :]
    with connected(sandbox) as connection:
        connection.sendall(head)
        # So the server receives the form in a piece of its own.
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        reply = reply_to(connection, b"POST")
    assert _accepted(sandbox, reply)


def test_server_raw_bytes_on_a_kept_connection_are_decoded(sandbox: Sandbox) -> None:
    """Each request line of a connection may have raw bytes."""
    raw = urlencode(GOOD | {"Msg": ""}).replace("Msg=", "Msg=您好【签名】")
    request = written("GET", f"{OPERATION}?{raw}", Connection=None)

    with connected(sandbox) as connection:
        for _ in range(3):
            connection.sendall(request)
            assert reply_to(connection, b"GET").status == 200

    assert _messages(sandbox) == ["您好【签名】"] * 3


def test_server_raw_bytes_in_the_path_are_decoded(sandbox: Sandbox) -> None:
    """Raw bytes in the path are decoded."""
    reply = exchange(sandbox, written("GET", f"{PATH}/您"))

    assert (reply.status, reply.content_type) == (500, TEXT)
    assert reply.body.decode() == "您 Web Service method name is not valid.\r\n"


@pytest.mark.parametrize("declared", ["gzip", None])
def test_server_gzip_body_is_not_decompressed(sandbox: Sandbox, declared: str | None) -> None:
    """A compressed body is no XML, as with ASP.NET."""
    body = gzip.compress(BODY)

    reply = exchange(sandbox, written("POST", PATH, body, Content_Encoding=declared, **SOAP))

    assert (reply.status, reply.content_type, reply.body) == (400, XML, b"")
    assert not sandbox.inbox


@pytest.mark.parametrize(
    ("target", "headers", "content_type"),
    [
        (PATH, SOAP, XML),
        (PATH, {"Content_Type": f'{SOAP_XML}; action="{ACTION}"'}, SOAP_XML),
        (OPERATION, {"Content_Type": FORM}, TEXT),
    ],
)
@pytest.mark.parametrize("more", [0, 1, MAX_REQUEST])
def test_server_body_over_4_mb_is_an_error(
    sandbox: Sandbox, target: str, headers: dict[str, str], content_type: str, more: int
) -> None:
    """A body over 4 MiB is an error, one of 4 MiB is read."""
    body = b"x" * (MAX_REQUEST + more)

    reply = exchange(sandbox, written("POST", target, body, **headers))

    assert (TOO_LONG in reply.body.decode()) == (more > 0)
    # A body at the limit is read, and is no XML.
    assert reply.status == (500 if more or content_type == TEXT else 400)
    assert reply.content_type == content_type


def test_server_path_ignores_case(sandbox: Sandbox) -> None:
    """The path ignores case, the method name does not."""
    reply = exchange(sandbox, written("POST", PATH.upper(), BODY, **SOAP))

    assert _accepted(sandbox, reply)
    assert exchange(sandbox, written("GET", OPERATION.upper())).status == 500


@pytest.mark.parametrize("length", [2047, 2048, 9000, 100_000])
def test_server_query_of_2048_characters_gets_400(sandbox: Sandbox, length: int) -> None:
    """A query must be shorter than 2,048 characters."""
    message = GOOD["Msg"]
    query = urlencode(GOOD) + "&x="
    query += "0" * (length - len(query))

    reply = exchange(sandbox, written("GET", f"{OPERATION}?{query}"))

    assert (reply.status, reply.content_type) == ((200, XML) if length < 2048 else (400, HTML))
    assert _messages(sandbox) == [message] * (length < 2048)


def test_server_500_numbers_do_not_fit_a_get(sandbox: Sandbox) -> None:
    """500 numbers make a query that is too long."""
    numbers = ",".join(f"1391000{each:04}" for each in range(500))

    reply = exchange(sandbox, written("GET", f"{OPERATION}?{urlencode(GOOD | {'DesNo': numbers})}"))

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not sandbox.inbox


def test_server_long_header_of_a_post_gets_400(sandbox: Sandbox) -> None:
    """A POST with a header that is too long is a 400."""
    reply = exchange(sandbox, written("POST", PATH, BODY, X="x" * 100_000, **SOAP))

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not sandbox.inbox


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x16\x03\x01\x00\xa5hello\r\n\r\n", "this is TLS, and the sandbox speaks http"),
        (b"hello\r\n\r\n", "this is no readable HTTP/1.1 request"),
        (written("GET", f"{OPERATION}?userPass=s3cret&Msg={'x' * 9000}"), "is too long"),
        (written("POST", PATH, BODY, Cookie="x=s3cret" * 2000, **SOAP), "is too long"),
        # A newer aiohttp refuses it itself.
        (
            written("POST", PATH, BODY, Host=None, **SOAP),
            "no readable HTTP/1.1 request|the Host header is missing",
        ),
        (written("POST", PATH, BODY, Host="a b", **SOAP), "the Host header is missing"),
        (
            written("POST", PATH, BODY, Transfer_Encoding="chunked", **SOAP),
            "this is no readable HTTP/1.1 request",
        ),
    ],
)
def test_server_unreadable_request_is_a_malformed_arrival(
    own: Sandbox, data: bytes, problem: str
) -> None:
    """An unreadable request is stored with its problem, without its bytes."""
    assert exchange(own, data).status == 400
    (arrival,) = own.arrivals
    assert (arrival.outcome, arrival.http_status) == (Outcome.MALFORMED, 400)
    assert re.search(problem, arrival.result)
    assert arrival.remote == "127.0.0.1"
    assert "s3cret" not in str(arrival.as_dict())


def test_server_unreadable_inbox_request_is_no_arrival(own: Sandbox) -> None:
    """An unreadable request of the inbox is not stored."""
    assert exchange(own, written("GET", f"/api/v1/arrivals?text={'x' * 9000}")).status == 400
    assert exchange(own, written("GET", "/api/v1/arrivals", Host="a b")).status == 400
    assert own.arrivals == ()


def test_server_bodies_of_all_connections_share_a_limit() -> None:
    """Beyond the shared limit a request gets 503 and is stored."""
    head, _, body = written("POST", PATH, BODY + b" " * 80_000, **SOAP).partition(b"\r\n\r\n")
    limits = ServerLimits(max_reading=100_000)
    with Sandbox(limits=limits) as own, connected(own) as slow:
        slow.sendall(head + b"\r\n\r\n" + body[:-1])
        while exchange(own, head + b"\r\n\r\n" + body).status != 503:
            pass  # until the server has received the slow body
        assert own.arrivals[-1].http_status == 503
        slow.sendall(body[-1:])
        assert reply_to(slow, b"POST").status == 200
        assert exchange(own, head + b"\r\n\r\n" + body).status == 200


def test_server_hanging_connections_give_way() -> None:
    """A hanging connection closes if there are too many."""
    own = Sandbox(limits=ServerLimits(max_connections=3))
    with own, contextlib.ExitStack() as stack, own.inject_fault("hang", times=None):
        arrived = threading.Semaphore(0)
        own.store.subscribe(lambda _arrival: arrived.release())
        for _ in range(3):
            hanging = stack.enter_context(connected(own))
            hanging.sendall(written("POST", PATH, BODY, **SOAP))
        for _ in range(3):
            assert arrived.acquire(timeout=20)
        assert exchange(own, written("GET", "/api/v1/faults")).status == 200


def test_server_rest_of_a_long_body_is_no_request(own: Sandbox) -> None:
    """The unread rest of a long body triggers no fault."""
    fault_id = own.faults.add(Fault.from_options("close", when="unread", skip=1))
    with connected(own) as connection:
        connection.sendall(written("POST", PATH, b"x" * (5 << 20), **SOAP)[: 4 << 20])
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                connection.sendall(b"GET x" + b"x" * 16_384)
            connection.recv(1 << 16)
    assert exchange(own, written("GET", "/api/v1/faults")).status == 200
    assert own.faults.statuses()[fault_id].triggered == 0


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x00\xa5hello\r\n\r\n", b"hello\r\n\r\n", b"\xff\xff\r\n\r\n"]
)
def test_server_no_http_gets_400_without_a_log_line(
    sandbox: Sandbox, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are no HTTP get 400, and nothing is logged."""
    with caplog.at_level(logging.INFO):
        reply = exchange(sandbox, data)

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not caplog.records


def test_server_client_disconnecting_in_its_request_is_no_error(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that disconnects in its request leaves no arrival and no log line."""
    with caplog.at_level(logging.INFO):
        with connected(sandbox) as connection:
            connection.sendall(written("POST", PATH, BODY, **SOAP)[:-10])
        # When a later request gets its response, the server has seen the first one end.
        assert exchange(sandbox, written("GET", PATH)).status == 200

    assert not sandbox.inbox
    assert not caplog.records


def test_server_several_requests_on_one_connection(sandbox: Sandbox) -> None:
    """A connection carries requests of several protocols."""
    form = written("POST", OPERATION, urlencode(GOOD).encode(), Content_Type=FORM, Connection=None)
    soap = written("POST", PATH, BODY, Connection=None, **SOAP)

    with connected(sandbox) as connection:
        for request in (form, soap, form):
            connection.sendall(request)
            assert reply_to(connection, b"POST").status == 200

    assert [each.protocol for each in sandbox.inbox] == ["http-post", "soap", "http-post"]


def test_server_form_that_looks_like_a_request_line_is_kept(sandbox: Sandbox) -> None:
    """A form with raw bytes that begins like a request line is not escaped."""
    body = b"GET /=\xe6\x82\xa8&" + urlencode(GOOD).encode()

    with connected(sandbox) as connection:
        connection.sendall(
            written("POST", OPERATION, Content_Type=FORM, Content_Length=str(len(body))) + body
        )
        assert reply_to(connection, b"POST").status == 200

    assert _messages(sandbox) == [GOOD["Msg"]]


def test_server_percent_u_in_a_query_is_decoded(sandbox: Sandbox) -> None:
    """.NET's %uXXXX is decoded in a query."""
    query = urlencode(GOOD | {"Msg": ""}).replace("Msg=", "Msg=%u60a8" + quote("【签名】"))

    reply = exchange(sandbox, written("GET", f"{OPERATION}?{query}"))

    assert reply.status == 200
    assert _messages(sandbox) == ["您【签名】"]


def test_server_long_header_of_a_get_gets_400(sandbox: Sandbox) -> None:
    """A header that is too long is a 400; the server goes on."""
    reply = exchange(sandbox, written("GET", PATH, X="x" * 20_000))

    assert (reply.status, reply.content_type) == (400, HTML)
    assert exchange(sandbox, written("GET", PATH)).status == 200

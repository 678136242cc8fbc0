"""What depends on the HTTP server under the ASMX behaviour, over real sockets."""

from __future__ import annotations

import contextlib
import gzip
import logging
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest

from tests.support.asmx_requests import ACTION, FORM, GOOD, HTML, SOAP_XML, TEXT, XML, envelope
from tests.support.raw_http import Reply, connected, exchange, reply_to, written
from yunxin_soap.sandbox import Sandbox, ServerLimits
from yunxin_soap.sandbox.arrivals.models import Outcome
from yunxin_soap.sandbox.asmx.handler import MAX_REQUEST, PATH
from yunxin_soap.sandbox.faults.model import Fault

OPERATION = f"{PATH}/sendMesExt"
BODY = envelope().encode()
SOAP = {"Content_Type": XML, "SOAPAction": ACTION}
TOO_LONG = "Maximum request length exceeded."


@pytest.fixture
def own() -> Iterator[Sandbox]:
    """One of its own: the record also has what a test before left under way."""
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
def test_other_methods(sandbox: Sandbox, method: str, target: str, status: int) -> None:
    reply = exchange(sandbox, written(method, target))

    assert (reply.status, reply.content_type) == (status, HTML)
    assert bool(reply.body) == (method != "HEAD")


ANSWERS = [
    ("GET", f"{PATH}?WSDL", 200, XML),
    ("GET", f"{OPERATION}?{urlencode(GOOD)}", 200, XML),
    ("GET", f"{OPERATION}", 500, TEXT),
    ("GET", "/nothing", 404, HTML),
    ("OPTIONS", "*", 404, HTML),
    ("POST", PATH, 500, SOAP_XML),
]


@pytest.mark.parametrize(("method", "target", "status", "content_type"), ANSWERS)
def test_every_answer_has_a_length(
    sandbox: Sandbox, method: str, target: str, status: int, content_type: str
) -> None:
    reply = exchange(sandbox, written(method, target))

    assert (reply.status, reply.content_type) == (status, content_type)
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert reply.headers["Transfer-Encoding"] is None
    assert (reply.headers["Cache-Control"] == "private, max-age=0") == (status == 200)


@pytest.mark.parametrize("host", [None, "a b", 'a"<', "\xe6\xff"])
def test_host_that_is_missing_or_none(sandbox: Sandbox, host: str | None) -> None:
    reply = exchange(sandbox, written("GET", f"{PATH}?WSDL", Host=host))

    assert (reply.status, reply.content_type) == (400, HTML)


def test_http_1_0_needs_no_host(sandbox: Sandbox) -> None:
    reply = exchange(sandbox, written("POST", PATH, BODY, "1.0", Host=None, **SOAP))

    assert _accepted(sandbox, reply)


def test_chunked(sandbox: Sandbox) -> None:
    pieces = [BODY[:1], BODY[1:100], BODY[100:]]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    head = written("POST", PATH, Transfer_Encoding="chunked", **SOAP)

    assert _accepted(sandbox, exchange(sandbox, head + chunks))


def test_broken_chunks(sandbox: Sandbox) -> None:
    head = written("POST", PATH, Transfer_Encoding="chunked", **SOAP)

    reply = exchange(sandbox, head + b"zz\r\n")

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not sandbox.inbox


def test_expect_100_continue(sandbox: Sandbox) -> None:
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


def test_raw_bytes_in_a_query(sandbox: Sandbox) -> None:
    fields = urlencode(GOOD | {"Msg": ""})

    raw = fields.replace("Msg=", f"Msg={'您好【签名】'}").encode()
    reply = exchange(sandbox, written("GET", OPERATION.encode() + b"?" + raw))
    in_gbk = exchange(sandbox, written("GET", OPERATION.encode() + b"?Msg=\xc4\xfa&" + raw))

    assert reply.status == 200
    assert _messages(sandbox) == ["您好【签名】", "\ufffd\ufffd,您好【签名】"]
    assert in_gbk.status == 200


def test_raw_bytes_in_a_form(sandbox: Sandbox) -> None:
    raw = urlencode(GOOD | {"Msg": ""}).replace("Msg=", "Msg=您好【签名】").encode()

    reply = exchange(sandbox, written("POST", OPERATION, raw, Content_Type=FORM))

    assert reply.status == 200
    assert _messages(sandbox) == ["您好【签名】"]


def test_a_form_that_looks_like_a_request_is_left_alone(sandbox: Sandbox) -> None:
    form = "GET /您好=x&".encode() + urlencode(GOOD).encode()
    request = written("POST", OPERATION, form, Content_Type=FORM, Expect="100-continue")
    head, body = request[: -len(form)], request[-len(form) :]
    with connected(sandbox) as connection:
        connection.sendall(head)
        # So the form comes by itself, as what starts a new piece of what the server receives.
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        reply = reply_to(connection, b"POST")
    assert _accepted(sandbox, reply)


def test_raw_bytes_in_a_later_query_of_a_connection(sandbox: Sandbox) -> None:
    raw = urlencode(GOOD | {"Msg": ""}).replace("Msg=", "Msg=您好【签名】")
    request = written("GET", f"{OPERATION}?{raw}", Connection=None)

    with connected(sandbox) as connection:
        for _ in range(3):
            connection.sendall(request)
            assert reply_to(connection, b"GET").status == 200

    assert _messages(sandbox) == ["您好【签名】"] * 3


def test_raw_bytes_in_the_method_name(sandbox: Sandbox) -> None:
    reply = exchange(sandbox, written("GET", f"{PATH}/您"))

    assert (reply.status, reply.content_type) == (500, TEXT)
    assert reply.body.decode() == "您 Web Service method name is not valid.\r\n"


@pytest.mark.parametrize("declared", ["gzip", None])
def test_gzip_is_not_undone(sandbox: Sandbox, declared: str | None) -> None:
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
def test_body_over_4_mb(
    sandbox: Sandbox, target: str, headers: dict[str, str], content_type: str, more: int
) -> None:
    body = b"x" * (MAX_REQUEST + more)

    reply = exchange(sandbox, written("POST", target, body, **headers))

    assert (TOO_LONG in reply.body.decode()) == (more > 0)
    # At the limit it is read, and found to be nothing.
    assert reply.status == (500 if more or content_type == TEXT else 400)
    assert reply.content_type == content_type


def test_path_in_another_case(sandbox: Sandbox) -> None:
    reply = exchange(sandbox, written("POST", PATH.upper(), BODY, **SOAP))

    assert _accepted(sandbox, reply)
    assert exchange(sandbox, written("GET", OPERATION.upper())).status == 500


@pytest.mark.parametrize("length", [2047, 2048, 9000, 100_000])
def test_query_of_2048_characters(sandbox: Sandbox, length: int) -> None:
    message = GOOD["Msg"]
    query = urlencode(GOOD) + "&x="
    query += "0" * (length - len(query))

    reply = exchange(sandbox, written("GET", f"{OPERATION}?{query}"))

    assert (reply.status, reply.content_type) == ((200, XML) if length < 2048 else (400, HTML))
    assert _messages(sandbox) == [message] * (length < 2048)


def test_500_numbers_do_not_fit_a_get(sandbox: Sandbox) -> None:
    numbers = ",".join(f"1391000{each:04}" for each in range(500))

    reply = exchange(sandbox, written("GET", f"{OPERATION}?{urlencode(GOOD | {'DesNo': numbers})}"))

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not sandbox.inbox


def test_header_that_is_too_long(sandbox: Sandbox) -> None:
    reply = exchange(sandbox, written("POST", PATH, BODY, X="x" * 100_000, **SOAP))

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not sandbox.inbox


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x16\x03\x01\x00\xa5hello\r\n\r\n", "this is TLS, and the sandbox speaks http"),
        (b"hello\r\n\r\n", "this is no readable HTTP/1.1 request"),
        (written("GET", f"{OPERATION}?userPass=s3cret&Msg={'x' * 9000}"), "is too long"),
        (written("POST", PATH, BODY, Cookie="x=s3cret" * 2000, **SOAP), "is too long"),
        (written("POST", PATH, BODY, Host=None, **SOAP), "no readable HTTP/1.1 request"),
        (written("POST", PATH, BODY, Host="a b", **SOAP), "the Host header is missing"),
        (
            written("POST", PATH, BODY, Transfer_Encoding="chunked", **SOAP),
            "this is no readable HTTP/1.1 request",
        ),
    ],
)
def test_what_cannot_be_read_is_recorded_too(own: Sandbox, data: bytes, what: str) -> None:
    assert exchange(own, data).status == 400
    (arrival,) = own.arrivals
    assert (arrival.outcome, arrival.http_status) == (Outcome.MALFORMED, 400)
    assert what in arrival.result
    assert arrival.remote == "127.0.0.1"
    assert "s3cret" not in str(arrival.as_dict())


def test_what_the_inbox_is_asked_is_no_arrival(own: Sandbox) -> None:
    assert exchange(own, written("GET", f"/api/v1/arrivals?text={'x' * 9000}")).status == 400
    assert exchange(own, written("GET", "/api/v1/arrivals", Host="a b")).status == 400
    assert own.arrivals == ()


def test_bodies_of_many_connections_are_bounded_together() -> None:
    head, _, body = written("POST", PATH, BODY + b" " * 80_000, **SOAP).partition(b"\r\n\r\n")
    limits = ServerLimits(max_reading=100_000)
    with Sandbox(limits=limits) as own, connected(own) as slow:
        slow.sendall(head + b"\r\n\r\n" + body[:-1])
        while exchange(own, head + b"\r\n\r\n" + body).status != 503:
            pass  # until all of the first is there
        assert own.arrivals[-1].http_status == 503
        slow.sendall(body[-1:])
        assert reply_to(slow, b"POST").status == 200
        assert exchange(own, head + b"\r\n\r\n" + body).status == 200


def test_who_hangs_gives_way() -> None:
    own = Sandbox(limits=ServerLimits(max_connections=3))
    with own, contextlib.ExitStack() as stack, own.inject_fault("hang", times=None):
        for _ in range(3):
            hanging = stack.enter_context(connected(own))
            hanging.sendall(written("POST", PATH, BODY, **SOAP))
        while len(own.arrivals) < 3:
            pass
        assert exchange(own, written("GET", "/api/v1/faults")).status == 200


def test_what_is_left_of_a_long_body_is_no_request(own: Sandbox) -> None:
    number = own.faults.add(Fault.from_options("close", when="unread", skip=1))
    with connected(own) as connection:
        connection.sendall(written("POST", PATH, b"x" * (5 << 20), **SOAP)[: 4 << 20])
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                connection.sendall(b"GET x" + b"x" * 16_384)
            connection.recv(1 << 16)
    assert exchange(own, written("GET", "/api/v1/faults")).status == 200
    assert own.faults.statuses()[number].triggered == 0


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x00\xa5hello\r\n\r\n", b"hello\r\n\r\n", b"\xff\xff\r\n\r\n"]
)
def test_what_is_no_http_is_refused_quietly(
    sandbox: Sandbox, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        reply = exchange(sandbox, data)

    assert (reply.status, reply.content_type) == (400, HTML)
    assert not caplog.records


def test_client_that_leaves_in_the_middle_is_no_error(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        with connected(sandbox) as connection:
            connection.sendall(written("POST", PATH, BODY, **SOAP)[:-10])
        # By the time that a later request is answered, the server has seen the first one end.
        assert exchange(sandbox, written("GET", PATH)).status == 200

    assert not sandbox.inbox
    assert not caplog.records


def test_requests_on_one_connection(sandbox: Sandbox) -> None:
    form = written("POST", OPERATION, urlencode(GOOD).encode(), Content_Type=FORM, Connection=None)
    soap = written("POST", PATH, BODY, Connection=None, **SOAP)

    with connected(sandbox) as connection:
        for request in (form, soap, form):
            connection.sendall(request)
            assert reply_to(connection, b"POST").status == 200

    assert [each.protocol for each in sandbox.inbox] == ["http-post", "soap", "http-post"]


def test_form_that_looks_like_a_request_line_is_left_alone(sandbox: Sandbox) -> None:
    body = b"GET /=\xe6\x82\xa8&" + urlencode(GOOD).encode()

    with connected(sandbox) as connection:
        connection.sendall(
            written("POST", OPERATION, Content_Type=FORM, Content_Length=str(len(body))) + body
        )
        assert reply_to(connection, b"POST").status == 200

    assert _messages(sandbox) == [GOOD["Msg"]]


def test_percent_u_in_a_query(sandbox: Sandbox) -> None:
    query = urlencode(GOOD | {"Msg": ""}).replace("Msg=", "Msg=%u60a8" + quote("【签名】"))

    reply = exchange(sandbox, written("GET", f"{OPERATION}?{query}"))

    assert reply.status == 200
    assert _messages(sandbox) == ["您【签名】"]


def test_a_header_beyond_measure_is_refused(sandbox: Sandbox) -> None:
    reply = exchange(sandbox, written("GET", PATH, X="x" * 20_000))

    assert (reply.status, reply.content_type) == (400, HTML)
    assert exchange(sandbox, written("GET", PATH)).status == 200

"""The arrivals of a sandbox: their fields, and no password in them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.support.asmx_requests import GOOD
from tests.support.raw_http import exchange, written
from yunxin_soap import Client, OutcomeUnknown
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.asmx.handler import PATH
from yunxin_soap.sandbox.config import Account, Config
from yunxin_soap.sandbox.gateway import Gateway


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A new sandbox: requests of earlier tests can still arrive at a shared one."""
    with Sandbox() as sandbox:
        yield sandbox


def test_sandbox_store_notifies_listeners(sandbox: Sandbox) -> None:
    """A listener of the store gets the arrivals of the server."""
    seen: list[Arrival | None] = []
    unsubscribe = sandbox.store.subscribe(seen.append)
    send(sandbox)
    sandbox.store.clear()
    unsubscribe()
    send(sandbox)
    assert [each and each.message for each in seen] == ["您好【签名】", None]


def send(sandbox: Sandbox, message: str = "您好【签名】") -> str:
    with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
        return client.send("13900000000,13900000001", message, extension="9").batch_no


def test_arrival_has_everything_but_the_password(sandbox: Sandbox) -> None:
    """An arrival has all fields, and the raw request without the password."""
    batch_no = send(sandbox)
    (arrival,) = sandbox.arrivals
    assert arrival.outcome is Outcome.ACCEPTED
    assert (arrival.batch_no, arrival.result, arrival.http_status) == (batch_no, batch_no, 200)
    assert (arrival.protocol, arrival.user_code, arrival.remote) == ("soap", "demo", "127.0.0.1")
    assert arrival.recipients == ("13900000000", "13900000001")
    assert (arrival.message, arrival.channel, arrival.extension) == ("您好【签名】", "37", "9")
    assert "<ns0:userPass>***</ns0:userPass>" in arrival.request
    assert f"<sendMesExtResult>{batch_no}</sendMesExtResult>" in arrival.response
    assert set(arrival.as_dict()) >= {"id", "received_at", "outcome", "recipients", "fault"}


def form(**fields: str) -> bytes:
    return "&".join(f"{name}={value}" for name, value in {**GOOD, **fields}.items()).encode()


CALL = written("GET", f"{PATH}/sendMesExt?{urlencode(GOOD)}")
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
S = "s3cr3t-pass"
E = b"s3cr3t%2Dpass"
JSON = {"Content_Type": "application/json"}
MULTI = {"Content_Type": "multipart/form-data; boundary=x"}
XML = {"Content_Type": "text/xml; charset=utf-8", "SOAPAction": "x"}


@pytest.mark.parametrize(
    "request_",
    [
        written("POST", f"{PATH}/sendMesExt", form(userPass=S), **FORM),
        written("POST", f"{PATH}/sendMesExt", form(userPass=S) + f"&x={S}".encode(), **FORM),
        written("POST", f"{PATH}/sendMesExt", f"userPass={S}".encode(), **FORM),
        written("POST", f"{PATH}/sendMesExt", form(userPass=f"<a{S}"), **FORM),
        written("POST", f"{PATH}/SendMesExt", form(userPass=S), **FORM),
        written("GET", f"{PATH}/sendMesExt?userPass={S}"),
        written("GET", f"{PATH}/sendMesExt?USERPASS={S}&Msg=x"),
        written("POST", PATH, f"<a><userPass>{S}</userPass>".encode(), **XML),
        written("POST", PATH, f"<a><t:userPass x='1'>{S}".encode(), **XML),
        written("POST", PATH, f"<a><userPass><![CDATA[<{S}]]></userPass>".encode(), **XML),
        written("POST", PATH, f"<a><userPass>{S}</userPass>".encode("utf-16"), **XML),
        written("POST", PATH, b"x", Authorization=f"Basic {S}", **XML),
        written("POST", PATH, b"x", Cookie=f"userPass={S}", **XML),
        written("POST", f"{PATH}/sendMesExt", form().replace(b"userPass=demo", b"user%50ass=" + E)),
        written("POST", f"{PATH}/sendMesExt", b"userPass%3D" + E, **FORM),
        written("GET", f"{PATH}/sendMesExt?userPass%3D{S}"),
        written("POST", PATH, f"<a>&lt;userPass&gt;{S}</a>".encode(), **XML),
        written("POST", PATH, f"<a userPass='{S}'/>".encode(), **XML),
        written("POST", PATH, f"<a><userPass>{S}".encode("utf-16-le"), **XML),
        written("POST", f"{PATH}/sendMesExt", f'{{"userPass":"{S}"}}'.encode(), **JSON),
        written("POST", f"{PATH}/sendMesExt", f'name="userPass"\r\n\r\n{S}'.encode(), **MULTI),
        written("POST", PATH, f"userPass: {S}".encode(), Content_Type="text/plain"),
        written("POST", f"{PATH}/sendMesExt", form(userPass=f'ab"<{S}'), **FORM),
        written("GET", f"{PATH}/sendMesExt%3FuserCode=demo%26userPass={S}%26Msg=x"),
        written("GET", f"{PATH}/sendMesExt%253FuserCode=demo%2526userPass%253D{S}"),
        written("GET", f"{PATH}/sendMesExt&userCode=demo&userPass={S}&Msg=x"),
        written("POST", PATH, b"<a/>", **XML | {"SOAPAction": f"http://x/?userPass={S}"}),
        written("POST", f"{PATH}/sendMesExt", b"x", Content_Type=f"text/plain; userPass={S}"),
        written(
            "POST", PATH, f"<a><userPass><![CDATA[x</userPass>{S}]]></userPass>".encode(), **XML
        ),
        written("POST", PATH, f"<a><userPass>ab<!--</userPass>-->{S}</userPass>".encode(), **XML),
    ],
)
def test_arrival_of_invalid_request_has_no_password(sandbox: Sandbox, request_: bytes) -> None:
    """No form of an invalid request stores the password."""
    exchange(sandbox, request_)
    (arrival,) = sandbox.arrivals
    assert S not in str(arrival.as_dict())
    assert E.decode() not in str(arrival.as_dict())
    assert arrival.request


def envelope(**fields: str) -> bytes:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in {**GOOD, **fields}.items())
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<sendMesExt xmlns="http://tempuri.org/">{inner}</sendMesExt></s:Body></s:Envelope>'
    ).encode()


CALLED = {"Content_Type": "text/xml; charset=utf-8", "SOAPAction": "http://tempuri.org/sendMesExt"}
ODD = "s3cr3t&tail99"


@pytest.mark.parametrize(
    "request_",
    [
        written("POST", PATH, envelope(userCode=S, userPass="demo"), **CALLED),
        written("POST", PATH, envelope(ExeNo=S, userPass=""), **CALLED),
        written("POST", f"{PATH}/sendMesExt", form(DesNo=S, userPass="13900000000"), **FORM),
        written("POST", PATH, envelope(userPass="", password=S), **CALLED),
        written("POST", PATH, envelope(userPass="", arg1=S), **CALLED),
        written("POST", f"{PATH}/sendMesExt", form(userPass="", password=S), **FORM),
        written("POST", PATH, envelope(userPass=S), X_Password=S, **CALLED),
        written("POST", PATH, envelope(userPass=""), X_Password=S, **CALLED),
        written("POST", f"{PATH}/sendMesExt", form(userCode="odd", userPass=ODD), **FORM),
        written("GET", f"{PATH}/sendMesExt?{form(userCode='odd', Msg='x', userPass=ODD).decode()}"),
    ],
)
def test_arrival_known_password_is_masked_anywhere(request_: bytes) -> None:
    """After a failed login, a known password is masked in every field."""
    accounts = (Account("demo", S), Account("odd", ODD))
    with Sandbox(Gateway(Config(accounts=accounts))) as sandbox:
        exchange(sandbox, request_)
        (arrival,) = sandbox.arrivals
    assert S not in str(arrival.as_dict())
    assert "tail99" not in str(arrival.as_dict())
    assert arrival.protocol is not None


def test_arrival_keeps_the_message_about_the_password_field(sandbox: Sandbox) -> None:
    """A message that names userPass is kept, without a value."""
    exchange(sandbox, written("GET", f"{PATH}/sendMesExt?userCode=x"))
    exchange(sandbox, written("POST", f"{PATH}/sendMesExt", form(userPass="<ab"), **FORM))
    missing, dangerous = sandbox.arrivals
    assert missing.result == "Missing parameter: userPass."
    assert '(userPass="***")' in dangerous.result


def test_arrival_keeps_10_000_recipients(sandbox: Sandbox) -> None:
    """A submission of commas only does not push other arrivals out of memory."""
    send(sandbox)
    exchange(sandbox, written("POST", f"{PATH}/sendMesExt", form(DesNo="," * 4_100_000), **FORM))
    _, rejected = sandbox.arrivals
    assert (rejected.result, len(rejected.recipients)) == ("-9", 10_000)
    assert sandbox.store.dropped == 0


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (written("POST", PATH, b"<a", **XML), "SOAPAction: x."),
        (written("POST", f"{PATH}/SendMesExt", b""), "Invalid method name 'SendMesExt'"),
        (written("GET", f"{PATH}/sendMesExt?Msg=x"), "Missing parameter: userCode."),
        (written("POST", PATH, b"", Content_Type="text/xml"), "Root element is missing."),
    ],
)
def test_arrival_of_malformed_request_has_the_problem(
    sandbox: Sandbox, request_: bytes, problem: str
) -> None:
    """A request that never reached the method is malformed, with the reason."""
    exchange(sandbox, request_)
    (arrival,) = sandbox.arrivals
    assert arrival.outcome is Outcome.MALFORMED
    assert arrival.protocol is None
    assert problem in arrival.result
    assert arrival.http_status == 500


ACTION = {"SOAPAction": "http://tempuri.org/sendMesExt"}


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (written("POST", PATH, b"<a", Content_Type="text/xml", **ACTION), "HTTP 400: the envelope"),
        (written("POST", PATH, b"<a/>", Content_Type="text/csv", **ACTION), "HTTP 415: the Conten"),
    ],
)
def test_arrival_of_empty_response_has_the_problem(
    sandbox: Sandbox, request_: bytes, problem: str
) -> None:
    """An empty 400 or 415 is explained."""
    exchange(sandbox, request_)
    (arrival,) = sandbox.arrivals
    assert problem in arrival.result


def test_arrival_of_an_error_page_has_its_title(sandbox: Sandbox) -> None:
    """The styles of an error page say nothing about the request."""
    exchange(sandbox, written("GET", f"{PATH}/sendMesExt?Msg={'x' * 3000}"))
    (arrival,) = sandbox.arrivals
    assert arrival.result == "400 - Bad Request"


def test_arrival_of_throwing_method_is_accepted_or_failed(sandbox: Sandbox) -> None:
    """A method that throws is accepted or failed, with the fault error."""
    for number in ("15499991000", "15499991001"):
        client = Client("demo", "demo", channel="37", endpoint=sandbox.url)
        with client, pytest.raises(OutcomeUnknown):
            client.send(number, "您好【签名】")
    accepted, failed = sandbox.arrivals
    assert (accepted.outcome, accepted.fault) == (Outcome.ACCEPTED, "error")
    assert (failed.outcome, failed.fault) == (Outcome.FAILED, "error")
    assert accepted.batch_no
    assert failed.result


def test_arrival_page_request_is_none(sandbox: Sandbox) -> None:
    """A request of a page is no arrival."""
    for target in (PATH, f"{PATH}?WSDL", "/nothing"):
        exchange(sandbox, written("GET", target))
    assert sandbox.arrivals == ()

"""The operations of a refreshed WSDL beside ``sendMesExt``, through ``client.service``."""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import (
    BOTH_CLIENTS,
    CLIENT_VARIANTS,
    BlockingAsyncClient,
    protocol_name,
)
from tests.support.scripted_server import (
    Connection,
    ReceivedRequest,
    ScriptedServer,
    close_without_reading,
    read_then_close,
    read_then_hang,
    read_then_reset,
    reply_with,
)
from tests.support.secret_detector import (
    PASSWORD,
    assert_no_secret,
    assert_no_secret_kept,
    assert_no_secret_logged,
)
from tests.support.wire_samples import (
    HTML,
    PLAIN,
    XML,
    http_response,
    result_response,
    soap_envelope,
    soap_fault,
)
from yunxin_soap import (
    ConfigurationError,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    Rejected,
    SendError,
    wsdl,
)
from yunxin_soap.wire.service import AsyncService, Service

SHIPPED = wsdl.shipped_path().read_text("utf-8")
TNS = "http://tempuri.org/"
TYPES = """
<s:element name="getBalance"><s:complexType><s:sequence>
  <s:element minOccurs="0" maxOccurs="1" name="userCode" type="s:string" />
  <s:element minOccurs="0" maxOccurs="1" name="userPass" type="s:string" />
  <s:element minOccurs="1" maxOccurs="1" name="account" type="s:int" />
  <s:element minOccurs="0" maxOccurs="1" name="since" type="s:dateTime" />
  <s:element minOccurs="0" maxOccurs="1" name="details" type="s:boolean" />
</s:sequence></s:complexType></s:element>
<s:element name="getBalanceResponse"><s:complexType><s:sequence>
  <s:element minOccurs="0" maxOccurs="1" name="getBalanceResult" type="tns:Balance" />
</s:sequence></s:complexType></s:element>
<s:element name="Balance" nillable="true" type="tns:Balance" />
<s:complexType name="Balance"><s:sequence>
  <s:element minOccurs="1" maxOccurs="1" name="amount" type="s:decimal" />
  <s:element minOccurs="1" maxOccurs="1" name="open" type="s:boolean" />
  <s:element minOccurs="0" maxOccurs="1" name="since" type="s:dateTime" />
  <s:element minOccurs="0" maxOccurs="unbounded" name="limit" type="s:int" />
  <s:element minOccurs="0" maxOccurs="1" name="more" type="tns:More" />
</s:sequence></s:complexType>
<s:complexType name="More"><s:sequence><s:any minOccurs="0" processContents="lax" />
</s:sequence></s:complexType>
"""
PARTS = """
<wsdl:part name="userCode" type="s:string" /><wsdl:part name="userPass" type="s:string" />
<wsdl:part name="account" type="s:int" /><wsdl:part name="since" type="s:dateTime" />
<wsdl:part name="details" type="s:boolean" />
"""
OPERATION = r'<wsdl:operation name="sendMesExt">[\s\S]*?</wsdl:operation>'
MESSAGE = r'<wsdl:message name="sendMesExt\w+">[\s\S]*?</wsdl:message>'
BALANCE = "<amount>12.50</amount><open>true</open>"


def with_balance() -> str:
    """Return the shipped WSDL with the operation ``getBalance`` on all ports."""

    def added(found: re.Match[str]) -> str:
        renamed = found[0].replace("sendMesExt", "getBalance").replace("tns:string", "tns:Balance")
        parts = re.compile(r'(<wsdl:part name="\w+" type="s:string" />\s*)+')
        return f"{found[0]}\n{parts.sub(PARTS, renamed)}"

    changed = re.sub(OPERATION, added, re.sub(MESSAGE, added, SHIPPED))
    return changed.replace("</s:schema>", f"{TYPES}</s:schema>")


WITH_BALANCE = with_balance()


def balance_response(protocol: str, content: str = BALANCE) -> bytes:
    """Return the response of ``getBalance``."""
    if protocol.startswith("http-"):
        return http_response(f'<Balance xmlns="{TNS}">{content}</Balance>')
    result = f"<getBalanceResult>{content}</getBalanceResult>" if content else ""
    body = f'<getBalanceResponse xmlns="{TNS}">{result}</getBalanceResponse>'
    return http_response(soap_envelope(protocol, body))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A WSDL that has another operation."""
    path = tmp_path / "balance.wsdl"
    path.write_text(WITH_BALANCE, "utf-8")
    return path


def call(checked: CheckedClient, *args: Any, name: str = "getBalance", **fields: Any) -> Any:
    """Call an operation of either client by its name."""
    client = checked.client
    if isinstance(client, BlockingAsyncClient):

        async def run() -> Any:
            return await client.client.service[name](*args, **fields)

        return client.run(run())
    return client.service[name](*args, **fields)


def arguments(request: ReceivedRequest) -> dict[str, str]:
    """Return the arguments in a request by name."""
    query = urlsplit(request.target).query or (
        request.body.decode() if b"<" not in request.body else ""
    )
    if query:
        return {name: values[0] for name, values in parse_qs(query, True).items()}
    (operation,) = etree.fromstring(request.body).iterfind(f".//{{{TNS}}}getBalance")
    return {str(each.tag).removeprefix(f"{{{TNS}}}"): each.text or "" for each in operation}


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_other_operation_takes_and_returns_zeeps_types(protocol: str, path: Path) -> None:
    """zeep converts arguments and results by the types of the WSDL."""
    with (
        ScriptedServer(reply_with(balance_response(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        since = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as the schema's dateTime has it
        result = call(checked, "user", account=7, since=since, details=True, userPass=PASSWORD)
        assert (result.amount, result.open) == (Decimal("12.50"), True)
        call(checked, "user & <x>", PASSWORD, "7")
    typed, short = map(arguments, server.requests)
    assert typed == {
        "userCode": "user",
        "userPass": PASSWORD,
        "account": "7",
        "since": "2026-01-02T03:04:05",
        "details": "true",
    }
    assert {name: value for name, value in short.items() if value} == {
        "userCode": "user & <x>",
        "userPass": PASSWORD,
        "account": "7",
    }
    # ASP.NET needs each parameter on the HTTP ports, and takes an omitted element as null.
    assert len(short) == (5 if protocol.startswith("http-") else 3)
    page = urlsplit(server.url).path
    request = server.requests[0]
    if protocol.startswith("http-"):
        assert urlsplit(request.target).path == f"{page}/getBalance"
    else:
        assert request.target == page
        assert f"{TNS}getBalance" in request.headers["content-type"] + request.headers["soapaction"]
    if protocol == "http-get":
        assert request.headers["cache-control"] == "no-cache, no-store"


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_other_operation_nested_results_are_converted(protocol: str, path: Path) -> None:
    """Lists, dates and elements of any type come back as zeep has them."""
    content = f"{BALANCE}<since>2026-01-02T03:04:05</since><limit>1</limit><limit>-2</limit>"
    content += '<more><x:a xmlns:x="urn:x"><x:b>c</x:b></x:a></more>'
    with (
        ScriptedServer(reply_with(balance_response(protocol, content))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        result = call(checked, account=7)
    assert result.since == datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001
    assert result.limit == [1, -2]
    assert result.more._value_1.findtext("{urn:x}b") == "c"


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_other_operation_null_result_is_none(protocol: str, path: Path) -> None:
    """A null result is None: only ``sendMesExt`` always has one."""
    null = balance_response(protocol, "")
    if protocol.startswith("http-"):
        xsi = "http://www.w3.org/2001/XMLSchema-instance"
        null = http_response(f'<Balance xmlns="{TNS}" xmlns:x="{xsi}" x:nil="true" />')
    with (
        ScriptedServer(reply_with(null)) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        assert call(checked, account=7) is None


def fault(code: str) -> Callable[[str], bytes]:
    def build(protocol: str) -> bytes:
        text = f"bad &amp; {PASSWORD.replace('&', '&amp;')} of 13900000000"
        if protocol.startswith("http-"):
            return http_response(text.replace("&amp;", "&"), "500 Error", PLAIN)
        return http_response(soap_fault(protocol, code, text), "500 Error")

    return build


BAD_RESPONSES: dict[str, tuple[Callable[[str], bytes], type[SendError]]] = {
    "server fault": (fault("Server"), OutcomeUnknown),
    "receiver fault": (fault("Receiver"), OutcomeUnknown),
    "403": (lambda _: http_response(PASSWORD, "403 Forbidden", HTML), Rejected),
    "502": (lambda _: http_response(PASSWORD, "502 Bad Gateway", HTML), OutcomeUnknown),
    "302": (
        lambda _: http_response("", "302 Found", HTML, "Location: http://127.0.0.1:9/"),
        OutcomeUnknown,
    ),
    "HTML": (lambda _: http_response("<html>", "200 OK", HTML), OutcomeUnknown),
    "empty": (lambda _: http_response("", "200 OK", XML), OutcomeUnknown),
    "accepted": (lambda _: http_response("", "202 Accepted", XML), OutcomeUnknown),
    "another operation": (result_response, OutcomeUnknown),
    "no body": (lambda protocol: http_response(soap_envelope(protocol, "")), OutcomeUnknown),
    "two results": (
        lambda protocol: http_response(
            soap_envelope(protocol, f'<getBalanceResponse xmlns="{TNS}" />' * 2)
        ),
        OutcomeUnknown,
    ),
    "DTD": (
        lambda protocol: http_response(f"<!DOCTYPE a>{balance_response(protocol).decode()[99:]}"),
        OutcomeUnknown,
    ),
    "missing element": (
        lambda protocol: balance_response(protocol, "<open>true</open>"),
        OutcomeUnknown,
    ),
    "unknown element": (
        lambda protocol: balance_response(protocol, f"{BALANCE}<other>1</other>"),
        OutcomeUnknown,
    ),
    "no date": (
        lambda protocol: balance_response(protocol, f"{BALANCE}<since>soon</since>"),
        OutcomeUnknown,
    ),
    "no number": (
        lambda protocol: balance_response(protocol, BALANCE.replace("12.50", "much")),
        OutcomeUnknown,
    ),
    "the password for a number": (
        lambda protocol: balance_response(protocol, f"{BALANCE}<limit>{escape(PASSWORD)}</limit>"),
        OutcomeUnknown,
    ),
}


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
@pytest.mark.parametrize("name", BAD_RESPONSES)
def test_other_operation_bad_response_ends_in_the_error_tree(
    protocol: str, path: Path, name: str
) -> None:
    """A fault, an error page and a result that does not fit end as those of a submission do."""
    build, kind = BAD_RESPONSES[name]
    with (
        ScriptedServer(reply_with(build(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
        assert_no_secret_logged(),
        pytest.raises(kind) as caught,
    ):
        call(checked, "other", PASSWORD, account=7)
    assert len(server.requests) == 1
    error = caught.value
    assert_no_secret(str(error), repr(error), str(error.to_dict()))
    assert_no_secret_kept(error)
    assert error.request is not None
    assert (error.request.recipients, error.request.endpoint) == (0, server.url)
    assert error.safe_to_resend is (kind is Rejected)


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
@pytest.mark.parametrize(
    "script", [read_then_close, read_then_reset, close_without_reading, read_then_hang]
)
def test_other_operation_broken_exchange_is_unknown_and_not_repeated(
    protocol: str, path: Path, script: Callable[[Connection], None]
) -> None:
    """A call whose exchange broke is never sent again, also on a connection that was kept."""
    first = True

    def serve(connection: Connection) -> None:
        nonlocal first
        if first:
            first = False
            connection.read()
            connection.send(balance_response(protocol))
        script(connection)

    with (
        ScriptedServer(serve) as server,
        CheckedClient(server, protocol, wsdl=path, timeout=1) as checked,
    ):
        call(checked, account=7)
        with pytest.raises(OutcomeUnknown) as caught:
            call(checked, "user", PASSWORD, 7)
        assert_no_secret_kept(caught.value)
    assert server.connections == 1
    assert len(server.requests) <= 2


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_other_operation_refused_connection_is_not_sent(protocol: str, path: Path) -> None:
    """A call without a connection was not sent."""
    with (
        CheckedClient("http://127.0.0.1:9/x", protocol, wsdl=path, retries=0) as checked,
        pytest.raises(NotSent) as caught,
    ):
        call(checked, "user", PASSWORD, 7)
    assert_no_secret_kept(caught.value)


WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[Exception]]] = {
    "unknown": ((), {"account": 7, "extra": 7}, TypeError),
    "twice": (("user",), {"userCode": "user", "account": 7}, TypeError),
    "too many": (("user", PASSWORD, 7, None, True, PASSWORD), {}, TypeError),
    "zeep's option": ((), {"account": 7, "_soapheaders": []}, TypeError),
    "no number": (("user", PASSWORD, PASSWORD), {}, InvalidRequest),
    "character": (("user", f"{PASSWORD}\x00", 7), {}, InvalidRequest),
    "no date": (("user", PASSWORD, 7), {"since": PASSWORD}, InvalidRequest),
    "object": (("user", PASSWORD, object()), {}, InvalidRequest),
}


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
@pytest.mark.parametrize("name", WRONG)
def test_other_operation_wrong_arguments_are_not_sent_nor_kept(
    protocol: str, path: Path, name: str
) -> None:
    """Arguments that zeep or the protocol cannot carry raise before anything is sent."""
    args, fields, kind = WRONG[name]
    with (
        ScriptedServer(reply_with(balance_response(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
        pytest.raises(kind) as caught,
    ):
        call(checked, *args, **fields)
    assert server.requests == []
    assert_no_secret(str(caught.value))
    assert_no_secret_kept(caught.value)
    if isinstance(caught.value, InvalidRequest):
        assert caught.value.safe_to_resend


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_other_operation_required_argument_is_missing_in_soap(protocol: str, path: Path) -> None:
    """zeep names an element that the schema requires; the HTTP ports require none."""
    with (
        ScriptedServer(reply_with(balance_response(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        if protocol.startswith("http-"):
            call(checked)
            assert arguments(server.requests[0])["account"] == ""
        else:
            with pytest.raises(InvalidRequest, match="account"):
                call(checked)


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_other_operation_query_too_long_is_not_sent(protocol: str, path: Path) -> None:
    """Only an HTTP GET has a limit."""
    with (
        ScriptedServer(reply_with(balance_response(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        if protocol == "http-get":
            with pytest.raises(InvalidRequest, match="fewer than 2048"):
                call(checked, "长" * 300, account=7)
        else:
            call(checked, "长" * 300, account=7)
    assert len(server.requests) == (protocol != "http-get")


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_other_operation_log_shows_names_only(
    protocol: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the operation and its arguments, and shows no value."""
    caplog.set_level(logging.DEBUG, "yunxin_soap")
    with (
        ScriptedServer(reply_with(balance_response(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        call(checked, "value", PASSWORD, account=7)
    sent = f"POST /api/MsgSend.asmx to {server.url}: getBalance(userCode, userPass, account)"
    assert sent in caplog.messages
    assert not any("value" in message for message in caplog.messages)


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
@pytest.mark.parametrize("name", ["userPass", "oldPwd", "SECRET", "nested"])
def test_other_operation_password_of_any_name_is_masked(
    protocol: str, tmp_path: Path, name: str
) -> None:
    """An argument whose name looks like a password's is masked, also inside of another one."""
    path = tmp_path / "changed.wsdl"
    changed = WITH_BALANCE.replace('name="userPass"', f'name="{name}"')
    if name == "nested":
        changed = changed.replace(
            'name="nested" type="s:string"', 'name="nested" type="tns:Account"'
        ).replace(
            "</s:schema>",
            '<s:complexType name="Account"><s:sequence><s:element name="passwords" type="s:string"'
            ' maxOccurs="9" /></s:sequence></s:complexType></s:schema>',
        )
        # The HTTP parts and sendMesExt stay as they are.
        changed = changed.replace(
            '<s:element minOccurs="0" maxOccurs="1" name="nested" type="tns:Account" />',
            '<s:element minOccurs="0" maxOccurs="1" name="userPass" type="s:string" />',
            1,
        ).replace(
            '<wsdl:part name="nested" type="tns:Account" />',
            '<wsdl:part name="userPass" type="s:string" />',
        )
    else:
        changed = changed.replace(f'name="{name}"', 'name="userPass"', 1)
        changed = re.sub(
            f'(<wsdl:part name="){name}(" type="s:string" />\\s*<wsdl:part name="DesNo")',
            r"\1userPass\2",
            changed,
        )
    path.write_text(changed, "utf-8")
    value: Any = {"passwords": ["x", "0ther-pass"]} if name == "nested" else "0ther-pass"
    page = http_response("you sent 0ther-pass", "502 Bad Gateway", HTML)
    with (
        ScriptedServer(reply_with(page)) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
        pytest.raises(OutcomeUnknown) as caught,
    ):
        call(checked, account=7, **{name: value})
    assert caught.value.excerpt == "you sent ***"
    assert b"0ther-pass" in server.requests[0].body


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_other_operation_goes_to_the_endpoint_alone(protocol: str, tmp_path: Path) -> None:
    """The address in the WSDL is not used."""
    path = tmp_path / "evil.wsdl"
    path.write_text(WITH_BALANCE.replace("112.124.24.5", "127.0.0.1:9"), "utf-8")
    with (
        ScriptedServer(reply_with(balance_response(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        assert call(checked, account=7).open is True
    assert server.requests[0].headers["host"] == f"127.0.0.1:{server.port}"


UNREACHABLE: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "location": (
        'location="/getBalance"',
        'location="/sendMesExt"',
        ("http-get", "http-post"),
        "the location is /sendMesExt, not /getBalance",
    ),
    "location with line breaks": (
        'location="/getBalance"',
        'location="/getBalance HTTP/1.1&#13;&#10;X: y"',
        ("http-get", "http-post"),
        "the location is /getBalance HTTP/1.1",
    ),
    "soapAction": (
        'soapAction="http://tempuri.org/getBalance"',
        'soapAction="http://tempuri.org/sendMesExt"',
        ("soap", "soap12"),
        "the soapAction is http://tempuri.org/sendMesExt, not http://tempuri.org/getBalance",
    ),
    "simple type": (
        '<wsdl:part name="account" type="s:int" />',
        '<wsdl:part name="account" type="tns:Balance" />',
        ("http-get", "http-post"),
        "account is not of a simple type: use soap",
    ),
    "no element": (
        '<wsdl:part name="Body" element="tns:Balance" />',
        '<wsdl:part name="Body" type="tns:Balance" />',
        ("http-get", "http-post"),
        "its arguments or its result are not in one element",
    ),
}


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
@pytest.mark.parametrize("name", UNREACHABLE)
def test_other_operation_carried_otherwise_is_a_configuration_error(
    protocol: str, tmp_path: Path, name: str
) -> None:
    """A file decides neither where a call goes, nor how its arguments are carried."""
    old, new, protocols, reason = UNREACHABLE[name]
    assert old in WITH_BALANCE
    path = tmp_path / "changed.wsdl"
    path.write_text(WITH_BALANCE.replace(old, new), "utf-8")
    with (
        ScriptedServer(reply_with(balance_response(protocol))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        if protocol in protocols:
            with pytest.raises(ConfigurationError, match=re.escape(reason)) as caught:
                call(checked, "user", PASSWORD, 7)
            assert_no_secret_kept(caught.value)
            assert server.requests == []
        else:
            call(checked, "user", PASSWORD, 7)


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_unknown_operation_is_an_attribute_error(protocol: str, path: Path) -> None:
    """The error names the operations that the WSDL has over the client's protocol."""
    words = f"no operation 'getBill' over {protocol_name(protocol)}; it has sendMesExt, getBalance"
    with (
        CheckedClient("http://127.0.0.1:9/x", protocol, wsdl=path) as checked,
        pytest.raises(AttributeError, match=words),
    ):
        call(checked, name="getBill")


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_send_mes_ext_by_name_is_the_operation_itself(protocol: str, path: Path) -> None:
    """``service["sendMesExt"]`` returns the result as text, also a code."""
    with (
        ScriptedServer(reply_with(result_response(protocol, "-7"))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        assert call(checked, "user", PASSWORD, name="sendMesExt") == "-7"


@pytest.mark.parametrize("protocol", CLIENT_VARIANTS)
def test_operation_enum_counts_by_its_value(protocol: str, path: Path) -> None:
    """A member of an enumeration is the text that it equals: its name must not be sent."""

    class Words(str, enum.Enum):
        """Strings that print their names."""

        TEXT = "BALANCE"

    with (
        ScriptedServer(reply_with(result_response(protocol, "7"))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        call(checked, "user", PASSWORD, "1", Words.TEXT, name="sendMesExt")
        with pytest.raises(OutcomeUnknown):  # that is no balance
            call(checked, Words.TEXT, PASSWORD, 7)
    for request in server.requests:
        assert "BALANCE" in request.target + request.body.decode()
        assert "Words" not in request.target + request.body.decode()
    assert len(server.requests) == 2


REQUEST = re.compile(r'<s:element name="getBalance">[\s\S]*?</s:element>\n<s:element name="getB')
SHAPES: dict[str, tuple[str, str, dict[str, Any], str, Any]] = {
    "no argument": ("<s:complexType />", "", {}, BALANCE, Decimal("12.50")),
    "attribute": (
        '<s:complexType><s:attribute name="level" type="s:int" /></s:complexType>',
        "",
        {"level": 5},
        BALANCE,
        Decimal("12.50"),
    ),
    "array": (
        '<s:complexType><s:sequence><s:element name="ids" type="s:int" maxOccurs="unbounded" />'
        "</s:sequence></s:complexType>",
        "",
        {"ids": [1, 2]},
        BALANCE,
        Decimal("12.50"),
    ),
    "structure": (
        '<s:complexType><s:sequence><s:element name="like" type="tns:Balance" />'
        "</s:sequence></s:complexType>",
        "",
        {"like": {"amount": 1, "open": False}},
        BALANCE,
        Decimal("12.50"),
    ),
    "choice": (
        '<s:complexType><s:choice><s:element name="a" type="s:int" />'
        '<s:element name="b" type="s:int" /></s:choice></s:complexType>',
        "",
        {"b": 5},
        BALANCE,
        Decimal("12.50"),
    ),
    "simple request": (
        '<s:simpleType><s:restriction base="s:int" /></s:simpleType>',
        "",
        {},
        "",
        0,
    ),
}


@pytest.mark.parametrize("protocol", ["soap", "soap12"])
@pytest.mark.parametrize("name", SHAPES)
def test_other_operation_of_any_shape_is_called_or_refused(
    protocol: str, tmp_path: Path, name: str
) -> None:
    """What zeep can build is sent; what has no named arguments is a `ConfigurationError`."""
    content, _, fields, answer, amount = SHAPES[name]
    path = tmp_path / "changed.wsdl"
    element = f'<s:element name="getBalance">{content}</s:element>\n<s:element name="getB'
    path.write_text(REQUEST.sub(element, WITH_BALANCE, 1), "utf-8")
    with (
        ScriptedServer(reply_with(balance_response(protocol, answer))) as server,
        CheckedClient(server, protocol, wsdl=path) as checked,
    ):
        if not answer:
            with pytest.raises(ConfigurationError, match="its arguments have no names"):
                call(checked, **fields)
            return
        assert call(checked, **fields).amount == amount
        with pytest.raises(TypeError, match="'more'"):
            call(checked, more=1, **fields)
    body = server.requests[0].body.decode()
    for value in re.findall(r"\d+", str(fields)):
        assert f">{value}<" in body or f'="{value}"' in body


def test_service_lists_its_operations(path: Path) -> None:
    """The service of `Client` can be listed, and shows signatures."""
    with CheckedClient("http://127.0.0.1:9/x", wsdl=path) as checked:
        service = checked.client.service
        assert isinstance(service, Service)
        assert [name for name, _ in service] == ["sendMesExt", "getBalance"]
        assert {"sendMesExt", "getBalance"} <= set(dir(service))
        assert repr(service) == "<Service sendMesExt, getBalance>"
        assert repr(service.getBalance) == "<operation getBalance>"
        assert service.getBalance.__name__ == "getBalance"
        assert not hasattr(service, "getBill")
        assert not hasattr(service, "__wrapped__")


def test_async_service_loads_nothing_before_a_call(path: Path) -> None:
    """Asking `AsyncClient` for an operation reads no file; `copy` and `inspect` find no dunder."""
    from yunxin_soap import AsyncClient

    async def refuse() -> Any:
        raise AssertionError

    service = AsyncService(refuse, lambda _: refuse())
    assert service.getBalance.__name__ == "getBalance"
    assert not hasattr(service, "__wrapped__")
    assert isinstance(AsyncClient("a", "b", wsdl=path).service, AsyncService)

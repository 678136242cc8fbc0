"""The responses to valid requests, over each protocol and by the page itself."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.support.asmx_requests import (
    BATCH,
    GOOD,
    SOAP_XML,
    XML,
    RecordingMethod,
    envelope,
    get,
    operation,
    post,
    rejected_response,
    request,
    soap11,
    soap12,
)
from yunxin_soap.sandbox.asmx.handler import PATH, HttpRequest, HttpResponse, handle
from yunxin_soap.sandbox.asmx.soap import SOAP_11, SOAP_12

SOAP = {"soap": soap11(), "soap12": soap12()}
HTTP = {"http-get": get(), "http-post": post()}
REQUESTS = SOAP | HTTP
NAMESPACES = {"soap": SOAP_11, "soap12": SOAP_12}
CACHE = {"Cache-Control": "private, max-age=0"}


@pytest.mark.parametrize("protocol", REQUESTS)
def test_handle_each_protocol_calls_the_method(protocol: str) -> None:
    """A valid request reaches the method with its fields and its protocol."""
    method = RecordingMethod()

    handle(REQUESTS[protocol], method)

    assert method.calls == [(GOOD, protocol)]


SOAP_CONTENTS = [
    pytest.param(
        BATCH,
        '<sendMesExtResponse xmlns="http://tempuri.org/"><sendMesExtResult>'
        f"{BATCH}</sendMesExtResult></sendMesExtResponse>",
        id="text",
    ),
    pytest.param(
        "",
        '<sendMesExtResponse xmlns="http://tempuri.org/"><sendMesExtResult /></sendMesExtResponse>',
        id="empty",
    ),
    pytest.param(None, '<sendMesExtResponse xmlns="http://tempuri.org/" />', id="null"),
    pytest.param(
        "<a&b>\x01\ufffe您",
        '<sendMesExtResponse xmlns="http://tempuri.org/"><sendMesExtResult>'
        "&lt;a&amp;b&gt;&#x1;&#xFFFE;您</sendMesExtResult></sendMesExtResponse>",
        id="special",
    ),
]


@pytest.mark.parametrize("protocol", SOAP)
@pytest.mark.parametrize(("result", "content"), SOAP_CONTENTS)
def test_handle_soap_result_is_rendered_as_dotnet_does(
    protocol: str, result: str | None, content: str
) -> None:
    """The SOAP response is byte for byte that of .NET, for text, empty and null results."""
    response = handle(SOAP[protocol], RecordingMethod(result))

    expected = (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{NAMESPACES[protocol]}"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        f"<soap:Body>{content}</soap:Body></soap:Envelope>"
    )
    content_type = XML if protocol == "soap" else SOAP_XML
    assert response == HttpResponse(200, content_type, expected.encode(), CACHE)


HTTP_CONTENTS = [
    pytest.param(BATCH, f'<string xmlns="http://tempuri.org/">{BATCH}</string>', id="text"),
    pytest.param("", '<string xmlns="http://tempuri.org/" />', id="empty"),
    pytest.param(
        None,
        '<string xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'
        ' xmlns="http://tempuri.org/" />',
        id="null",
    ),
    pytest.param(
        "<a&b>\x01", '<string xmlns="http://tempuri.org/">&lt;a&amp;b&gt;&#x1;</string>', id="odd"
    ),
]


@pytest.mark.parametrize("protocol", HTTP)
@pytest.mark.parametrize(("result", "content"), HTTP_CONTENTS)
def test_handle_http_result_is_rendered_as_dotnet_does(
    protocol: str, result: str | None, content: str
) -> None:
    """The HTTP GET and POST response is byte for byte that of .NET."""
    response = handle(HTTP[protocol], RecordingMethod(result))

    expected = f'<?xml version="1.0" encoding="utf-8"?>\r\n{content}'
    assert response == HttpResponse(200, XML, expected.encode(), CACHE)


@pytest.mark.parametrize("protocol", REQUESTS)
def test_handle_control_character_in_result_gives_invalid_xml(protocol: str) -> None:
    """.NET escapes a control character, and strict parsers reject the response."""
    response = handle(REQUESTS[protocol], RecordingMethod("\x01"))

    assert b"&#x1;" in response.body
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(response.body)


def _page(query: str, host: str | None = "gateway.example:81") -> HttpResponse:
    method = RecordingMethod()
    response = handle(request("GET", PATH + query, Host=host), method)
    assert method.calls == []
    return response


@pytest.mark.parametrize("query", ["?WSDL", "?wsdl", "?WSDL&x=1", "?x=1&Wsdl"])
def test_handle_wsdl_has_the_requested_host_at_all_ports(query: str) -> None:
    """The WSDL has the Host of the request as the address of all four ports."""
    response = _page(query)

    assert (response.status, response.content_type, response.headers) == (200, XML, CACHE)
    addresses = etree.fromstring(response.body).findall(".//{*}port/{*}address")
    assert [each.get("location") for each in addresses] == [f"http://gateway.example:81{PATH}"] * 4


def test_handle_wsdl_with_a_value_is_not_found() -> None:
    """``?wsdl=1`` is an error."""
    response = rejected_response(request("GET", f"{PATH}?wsdl=1"))

    assert (response.status, response.content_type) == (500, "text/plain; charset=utf-8")
    assert response.body == b"XML Web service description was not found.\r\n"


@pytest.mark.parametrize("query", ["?disco", "?DISCO"])
def test_handle_disco_names_the_wsdl_and_two_soap_bindings(query: str) -> None:
    """The discovery document has the Host of the request."""
    response = _page(query)

    assert (response.status, response.content_type, response.headers) == (200, XML, CACHE)
    contract, *soap = etree.fromstring(response.body)
    assert etree.QName(contract).localname == "contractRef"
    assert contract.get("ref") == f"http://gateway.example:81{PATH}?wsdl"
    assert [etree.QName(each).localname for each in soap] == ["soap", "soap"]
    assert {each.get("address") for each in soap} == {f"http://gateway.example:81{PATH}"}


@pytest.mark.parametrize("query", ["", "?x=1", "?singleWsdl", "?schema", "?op=sendMesExt"])
def test_handle_page_without_call_is_the_help_page(query: str) -> None:
    """Any other GET of the page shows the help page."""
    response = _page(query)

    assert (response.status, response.headers) == (200, CACHE)
    assert response.content_type.startswith("text/html")
    assert b"sendMesExt" in response.body
    assert b"sandbox" in response.body


@pytest.mark.parametrize("host", [None, ""])
def test_handle_page_without_host_uses_localhost(host: str | None) -> None:
    """Without a Host header the addresses are at localhost."""
    response = handle(HttpRequest("GET", f"{PATH}?disco".encode(), {"Host": host or ""}, b""), _no)

    assert f'ref="http://localhost{PATH}?wsdl"'.encode() in response.body


def _no(fields: object, protocol: object) -> str:
    raise AssertionError


MUST_BE_ACCEPTED = [
    pytest.param(soap11(action="http://tempuri.org/sendMesExt"), id="SOAPAction unquoted"),
    pytest.param(soap11(action='"http%3A%2F%2Ftempuri.org%2FsendMesExt"'), id="and encoded"),
    pytest.param(soap11(action=None), id="1.1 without SOAPAction"),
    pytest.param(soap11(target=f"{PATH}?WSDL"), id="posted to ?WSDL"),
    pytest.param(soap11(target="/API/msgsend.ASMX"), id="page in another case"),
    pytest.param(post(target="/API/msgsend.ASMX/sendMesExt"), id="form, page in another case"),
    pytest.param(get(path="/API/msgsend.ASMX/sendMesExt"), id="GET, page in another case"),
]


@pytest.mark.parametrize("http_request", MUST_BE_ACCEPTED)
def test_handle_lenient_request_is_accepted(http_request: HttpRequest) -> None:
    """Missing quotes, actions and other cases of a path are accepted, as by .NET."""
    method = RecordingMethod()

    response = handle(http_request, method)

    assert (response.status, response.content_type) == (200, XML)
    assert [fields for fields, _ in method.calls] == [GOOD]


ROUTED_AS_12 = [
    pytest.param(soap12(action=None), id="no action"),
    pytest.param(soap12(action="http://tempuri.org/other"), id="unknown action"),
]


@pytest.mark.parametrize("http_request", ROUTED_AS_12)
def test_handle_soap12_is_routed_by_the_body(http_request: HttpRequest) -> None:
    """SOAP 1.2 without a known action is routed by the element in the Body."""
    method = RecordingMethod()

    response = handle(http_request, method)

    assert (response.status, response.content_type) == (200, SOAP_XML)
    assert method.calls == [(GOOD, "soap12")]


@pytest.mark.parametrize("action", [None, "http://tempuri.org/sendMesExt"])
def test_handle_soap12_envelope_as_text_xml_gets_soap12(action: str | None) -> None:
    """The version of the envelope decides the version of the response."""
    method = RecordingMethod()

    response = handle(soap11(envelope(version=SOAP_12), action=action), method)

    assert (response.status, response.content_type) == (200, SOAP_XML)
    assert SOAP_12.encode() in response.body
    assert method.calls == [(GOOD, "soap12")]


def test_handle_second_operation_in_body_is_ignored() -> None:
    """Only the first operation in a Body is called."""
    method = RecordingMethod()

    response = handle(soap11(envelope(operation() + operation("<Msg>second</Msg>"))), method)

    assert response.status == 200
    assert method.calls == [(GOOD, "soap")]

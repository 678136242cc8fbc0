"""What a good request is answered with, on each port and by the page itself."""

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


@pytest.mark.parametrize("port", REQUESTS)
def test_each_port_calls_the_method(port: str) -> None:
    recorder = RecordingMethod()

    handle(REQUESTS[port], recorder)

    assert recorder.calls == [(GOOD, port)]


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


@pytest.mark.parametrize("port", SOAP)
@pytest.mark.parametrize(("result", "content"), SOAP_CONTENTS)
def test_soap_answer(port: str, result: str | None, content: str) -> None:
    answer = handle(SOAP[port], RecordingMethod(result))

    expected = (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{NAMESPACES[port]}"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        f"<soap:Body>{content}</soap:Body></soap:Envelope>"
    )
    content_type = XML if port == "soap" else SOAP_XML
    assert answer == HttpResponse(200, content_type, expected.encode(), CACHE)


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


@pytest.mark.parametrize("port", HTTP)
@pytest.mark.parametrize(("result", "content"), HTTP_CONTENTS)
def test_http_answer(port: str, result: str | None, content: str) -> None:
    answer = handle(HTTP[port], RecordingMethod(result))

    expected = f'<?xml version="1.0" encoding="utf-8"?>\r\n{content}'
    assert answer == HttpResponse(200, XML, expected.encode(), CACHE)


@pytest.mark.parametrize("port", REQUESTS)
def test_control_character_in_the_result_makes_an_answer_that_is_no_xml(port: str) -> None:
    answer = handle(REQUESTS[port], RecordingMethod("\x01"))

    assert b"&#x1;" in answer.body
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(answer.body)


def _page(query: str, host: str | None = "gateway.example:81") -> HttpResponse:
    recorder = RecordingMethod()
    answer = handle(request("GET", PATH + query, Host=host), recorder)
    assert recorder.calls == []
    return answer


@pytest.mark.parametrize("query", ["?WSDL", "?wsdl", "?WSDL&x=1", "?x=1&Wsdl"])
def test_wsdl_names_the_asked_host_at_four_ports(query: str) -> None:
    answer = _page(query)

    assert (answer.status, answer.content_type, answer.headers) == (200, XML, CACHE)
    addresses = etree.fromstring(answer.body).findall(".//{*}port/{*}address")
    assert [each.get("location") for each in addresses] == [f"http://gateway.example:81{PATH}"] * 4


def test_wsdl_that_is_given_a_value_is_not_found() -> None:
    answer = rejected_response(request("GET", f"{PATH}?wsdl=1"))

    assert (answer.status, answer.content_type) == (500, "text/plain; charset=utf-8")
    assert answer.body == b"XML Web service description was not found.\r\n"


@pytest.mark.parametrize("query", ["?disco", "?DISCO"])
def test_discovery(query: str) -> None:
    answer = _page(query)

    assert (answer.status, answer.content_type, answer.headers) == (200, XML, CACHE)
    contract, *soap = etree.fromstring(answer.body)
    assert etree.QName(contract).localname == "contractRef"
    assert contract.get("ref") == f"http://gateway.example:81{PATH}?wsdl"
    assert [etree.QName(each).localname for each in soap] == ["soap", "soap"]
    assert {each.get("address") for each in soap} == {f"http://gateway.example:81{PATH}"}


@pytest.mark.parametrize("query", ["", "?x=1", "?singleWsdl", "?schema", "?op=sendMesExt"])
def test_help_page(query: str) -> None:
    answer = _page(query)

    assert (answer.status, answer.headers) == (200, CACHE)
    assert answer.content_type.startswith("text/html")
    assert b"sendMesExt" in answer.body
    assert b"sandbox" in answer.body


@pytest.mark.parametrize("host", [None, ""])
def test_page_without_a_host_names_this_one(host: str | None) -> None:
    answer = handle(HttpRequest("GET", f"{PATH}?disco".encode(), {"Host": host or ""}, b""), _no)

    assert f'ref="http://localhost{PATH}?wsdl"'.encode() in answer.body


def _no(fields: object, port: object) -> str:
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


@pytest.mark.parametrize("asked", MUST_BE_ACCEPTED)
def test_lenient_request_is_answered_in_its_own_kind(asked: HttpRequest) -> None:
    recorder = RecordingMethod()

    answer = handle(asked, recorder)

    assert (answer.status, answer.content_type) == (200, XML)
    assert [fields for fields, _ in recorder.calls] == [GOOD]


ROUTED_AS_12 = [
    pytest.param(soap12(action=None), id="no action"),
    pytest.param(soap12(action="http://tempuri.org/other"), id="unknown action"),
]


@pytest.mark.parametrize("asked", ROUTED_AS_12)
def test_soap12_is_routed_by_the_body(asked: HttpRequest) -> None:
    recorder = RecordingMethod()

    answer = handle(asked, recorder)

    assert (answer.status, answer.content_type) == (200, SOAP_XML)
    assert recorder.calls == [(GOOD, "soap12")]


@pytest.mark.parametrize("action", [None, "http://tempuri.org/sendMesExt"])
def test_soap12_envelope_as_text_xml_is_answered_as_soap12(action: str | None) -> None:
    recorder = RecordingMethod()

    answer = handle(soap11(envelope(version=SOAP_12), action=action), recorder)

    assert (answer.status, answer.content_type) == (200, SOAP_XML)
    assert SOAP_12.encode() in answer.body
    assert recorder.calls == [(GOOD, "soap12")]


def test_second_operation_in_the_body_is_not_run() -> None:
    recorder = RecordingMethod()

    answer = handle(soap11(envelope(operation() + operation("<Msg>second</Msg>"))), recorder)

    assert answer.status == 200
    assert recorder.calls == [(GOOD, "soap")]

"""The errors of invalid SOAP requests: status, type and text are those of ASP.NET."""

from __future__ import annotations

import gzip

import pytest

from tests.support.asmx_requests import (
    ACTION,
    FORM,
    GOOD,
    SOAP_XML,
    XML,
    RecordingMethod,
    accepted_fields,
    envelope,
    fault_of,
    operation,
    parse_envelope,
    post,
    rejected_response,
    soap11,
    soap12,
)
from yunxin_soap.sandbox.asmx.handler import MAX_REQUEST, PATH, HttpRequest, HttpResponse, handle
from yunxin_soap.sandbox.asmx.soap import SOAP_11, SOAP_12

NO_ACTION = (
    "Unable to handle request without a valid action parameter. Please supply a valid soap action."
)
NO_BODY = (
    "Server was unable to read request. ---> Request format is invalid: Missing required"
    " soap:Body element."
)
UNKNOWN = "Server did not recognize the value of HTTP Header SOAPAction: {}."
UNPROCESSED = "Server was unable to process request. ---> "
NO_ROOT = UNPROCESSED + "Root element is missing."
NOT_XML = UNPROCESSED + "Data at the root level is invalid. Line 1, position 1."
OTHER = envelope(operation(name="other"))
OTHER_12 = envelope(operation(name="other"), SOAP_12)
BODILESS = f'<s:Envelope xmlns:s="{SOAP_11}"/>'


def _must(version: str, value: str = "1") -> str:
    header = f'<s:Header><x:Trace xmlns:x="urn:x" s:mustUnderstand="{value}"/></s:Header>'
    return envelope(None, version, header)


FAULTS = [
    pytest.param(soap11(action='"x"'), XML, "Client", UNKNOWN.format("x"), id="unknown"),
    pytest.param(soap11(action=""), XML, "Client", UNKNOWN.format(""), id="empty"),
    pytest.param(soap11(action='""'), XML, "Client", UNKNOWN.format(""), id="two quotes"),
    pytest.param(
        soap11(action=ACTION.upper()), XML, "Client", UNKNOWN.format(ACTION.upper()), id="case"
    ),
    pytest.param(soap11(action="\udcff"), XML, "Client", UNKNOWN.format("?"), id="not text"),
    pytest.param(soap11(OTHER, action=None), XML, "Client", NO_ACTION, id="1.1 no action"),
    pytest.param(soap12(OTHER_12, action=None), SOAP_XML, "Sender", NO_ACTION, id="1.2 no action"),
    pytest.param(
        soap12(OTHER_12, action="x"),
        SOAP_XML,
        "Sender",
        "Unable to handle request. The action 'x' was not recognized.",
        id="1.2 unknown action",
    ),
    pytest.param(soap11(BODILESS), XML, "Client", NO_BODY, id="1.1 no Body"),
    pytest.param(
        soap12(BODILESS.replace(SOAP_11, SOAP_12)), SOAP_XML, "Sender", NO_BODY, id="1.2 no Body"
    ),
    pytest.param(
        soap11(_must(SOAP_11)),
        XML,
        "MustUnderstand",
        "SOAP header Trace was not understood.",
        id="1.1 header",
    ),
    pytest.param(
        soap12(_must(SOAP_12, "true")),
        SOAP_XML,
        "MustUnderstand",
        "SOAP header Trace was not understood.",
        id="1.2 header",
    ),
    pytest.param(soap11(b"", action=None), SOAP_XML, "Receiver", NO_ROOT, id="no bytes"),
    pytest.param(soap12(b"", action=None), SOAP_XML, "Receiver", NO_ROOT, id="1.2 no bytes"),
    pytest.param(soap11("a=1", action=None), SOAP_XML, "Receiver", NOT_XML, id="not XML"),
    pytest.param(post(target=PATH), SOAP_XML, "Receiver", NOT_XML, id="a form to the page"),
]


@pytest.mark.parametrize(("http_request", "content_type", "code", "text"), FAULTS)
def test_handle_invalid_soap_request_gets_the_fault_of_dotnet(
    http_request: HttpRequest, content_type: str, code: str, text: str
) -> None:
    """Status, type, code and text of a SOAP fault are those of .NET."""
    response = rejected_response(http_request)

    assert (response.status, response.content_type) == (500, content_type)
    assert fault_of(response) == (code, text)
    assert len(parse_envelope(response)) == 1  # a Body and no Header


@pytest.mark.parametrize("value", ["0", "false"])
def test_handle_optional_soap_header_is_ignored(value: str) -> None:
    """A header with mustUnderstand=0 is ignored."""
    assert accepted_fields(soap11(_must(SOAP_11, value))) == GOOD


MISMATCHED = [
    pytest.param(envelope(version="urn:other"), "urn:other", id="unknown namespace"),
    pytest.param("<a/>", "", id="no namespace"),
    pytest.param(f'<Other xmlns="{SOAP_11}"/>', SOAP_11, id="another root"),
]


@pytest.mark.parametrize(("body", "namespace"), MISMATCHED)
def test_handle_unknown_envelope_is_a_version_mismatch(body: str, namespace: str) -> None:
    """Another root element is a VersionMismatch with an Upgrade header."""
    response = rejected_response(soap11(body))

    assert (response.status, response.content_type) == (500, XML)
    assert fault_of(response) == (
        "VersionMismatch",
        f"Possible SOAP version mismatch: Envelope namespace {namespace} was unexpected."
        f" Expecting {SOAP_11}.",
    )
    ((upgrade,), _) = parse_envelope(response)
    assert upgrade.tag == f"{{{SOAP_12}}}Upgrade"
    assert [each.tag for each in upgrade] == [f"{{{SOAP_12}}}SupportedEnvelope"] * 2


@pytest.mark.parametrize(
    ("http_request", "content_type", "code"),
    [(soap11(), XML, "Server"), (soap12(), SOAP_XML, "Receiver")],
)
def test_handle_soap_method_error_is_a_server_fault(
    http_request: HttpRequest, content_type: str, code: str
) -> None:
    """An exception of the method is a Server or Receiver fault with its message."""
    response = handle(http_request, RecordingMethod(error="Bad <thing>"))

    assert (response.status, response.content_type) == (500, content_type)
    assert fault_of(response) == (code, UNPROCESSED + "Bad <thing>")


def _too_long(http_request: HttpRequest) -> HttpRequest:
    return HttpRequest(
        http_request.method, http_request.target, http_request.headers, b"", too_long=True
    )


@pytest.mark.parametrize(
    ("http_request", "content_type", "code"),
    [(soap11(), XML, "Server"), (soap12(), SOAP_XML, "Receiver")],
)
def test_handle_soap_over_4_mb_is_a_server_fault(
    http_request: HttpRequest, content_type: str, code: str
) -> None:
    """A body that is too long is a Server or Receiver fault."""
    response = rejected_response(_too_long(http_request))

    assert MAX_REQUEST == 4 * 1024 * 1024
    assert (response.status, response.content_type) == (500, content_type)
    assert fault_of(response) == (
        code,
        "There was an exception running the extensions specified in the config file."
        " ---> Maximum request length exceeded.",
    )


def _msg(inside: str) -> str:
    return envelope(operation(f"<Msg>{inside}</Msg>"))


DOCTYPE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'
MALFORMED = [
    pytest.param(envelope().replace("</s:Body>", ""), id="malformed"),
    pytest.param(envelope().replace(" xmlns:s=", " xmlns:t="), id="undeclared prefix"),
    pytest.param(envelope()[:-20], id="truncated"),
    pytest.param("hello", id="not XML"),
    pytest.param("", id="zero bytes"),
    pytest.param(envelope() + "x", id="junk after the end"),
    pytest.param(" " + envelope(), id="blank before the declaration"),
    pytest.param(envelope().replace('"1.0"', '"1.1"'), id="XML 1.1"),
    pytest.param(gzip.compress(envelope().encode()), id="gzip"),
    pytest.param(envelope().replace("<s:Env", "<!DOCTYPE a><s:Env", 1), id="DOCTYPE"),
    pytest.param(
        _msg("&b;").replace("<s:Env", DOCTYPE + "<s:Env", 1),
        id="external entity",
    ),
    pytest.param(_msg("&b;"), id="unknown entity"),
    pytest.param(_msg("&#0;"), id="NUL reference"),
    pytest.param(_msg("&#1;"), id="U+0001 reference"),
    pytest.param(_msg("\x01"), id="raw U+0001"),
    pytest.param(_msg("&#xFFFE;"), id="U+FFFE reference"),
    pytest.param(_msg("&#xD83D;&#xDE00;"), id="surrogate references"),
    pytest.param(_msg("a<b/>c"), id="element inside Msg"),
    *(
        pytest.param(declaration + envelope().partition("?>")[2], id=declaration)
        for declaration in (
            '<?xml version="1.0"?><?xml version="1.0" encoding="utf-8"?>',
            '<?xml version="1.0" foo="bar"?>',
            '<?xml encoding="utf-8" version="1.0"?>',
            '<?xml xversion="1.0"?>',
            '<?xml version="1.1"?>',
            '<?xml version="1.0"?>\ufeff',
            '\ufeff\ufeff<?xml version="1.0"?>',
        )
    ),
]


@pytest.mark.parametrize("body", MALFORMED)
def test_handle_malformed_envelope_gets_an_empty_400(body: str | bytes) -> None:
    """A body that .NET cannot parse gets 400 without a body."""
    assert rejected_response(soap11(body)) == HttpResponse(400, XML)

    in_12 = body.replace(SOAP_11, SOAP_12) if isinstance(body, str) else body
    assert rejected_response(soap12(in_12)) == HttpResponse(400, SOAP_XML)


TYPES = ["text/plain", "application/xml", FORM, None, "application/json"]


@pytest.mark.parametrize("content_type", TYPES)
def test_handle_soap_with_another_type_gets_an_empty_415(content_type: str | None) -> None:
    """SOAP in an unsupported Content-Type gets 415 without a body."""
    assert rejected_response(soap11(content_type=content_type)) == HttpResponse(415, XML)
    assert rejected_response(soap11(content_type=content_type, action=None)) == HttpResponse(
        415, SOAP_XML
    )


def test_handle_soap11_envelope_as_soap_xml_gets_an_empty_415() -> None:
    """A SOAP 1.1 envelope in the type of SOAP 1.2 gets 415 without a body."""
    assert rejected_response(soap12(envelope())) == HttpResponse(415, SOAP_XML)
    assert rejected_response(soap11(content_type=SOAP_XML)) == HttpResponse(415, XML)

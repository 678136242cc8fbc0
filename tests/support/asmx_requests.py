"""Build ASMX requests for the sandbox's tests, and check its responses."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from lxml import etree

from yunxin_soap.operation import FIELDS, ProtocolName
from yunxin_soap.sandbox.asmx.handler import (
    PATH,
    Fields,
    HttpRequest,
    HttpResponse,
    MethodError,
    handle,
)
from yunxin_soap.sandbox.asmx.soap import SOAP_11, SOAP_12, TNS

GOOD = {
    "userCode": "demo",
    "userPass": "demo",
    "DesNo": "13900000000",
    "Msg": "您好 😀【签名】",
    "Channel": "37",
    "ExeNo": "",
}
NULLS = dict.fromkeys(FIELDS)
BATCH = "2114355899380234221"

ACTION = f"{TNS}sendMesExt"
XML = "text/xml; charset=utf-8"
SOAP_XML = "application/soap+xml; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
FORM = "application/x-www-form-urlencoded"


@dataclass
class RecordingMethod:
    """Replaces the method: records its calls, and returns a result or raises an error."""

    result: str | None = BATCH
    error: str | None = None
    calls: list[tuple[dict[str, str | None], ProtocolName]] = field(default_factory=list)

    def __call__(self, fields: Fields, protocol: ProtocolName) -> str | None:
        self.calls.append((dict(fields), protocol))
        if self.error is not None:
            raise MethodError(self.error)
        return self.result


def request(
    method: str, target: str | bytes, body: bytes = b"", /, **headers: str | None
) -> HttpRequest:
    """Build a request. Header names have underscores for hyphens; None omits a header."""
    raw = target if isinstance(target, bytes) else target.encode()
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return HttpRequest(method, raw, {"Host": "127.0.0.1:8080", **named}, body)


def elements(**fields: str) -> str:
    """Return the parameters as elements. Default: `GOOD`."""
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in (fields or GOOD).items())


def operation(inner: str | None = None, name: str = "sendMesExt", namespace: str = TNS) -> str:
    """Return the element of the operation. Default: with the parameters `GOOD`."""
    return f'<{name} xmlns="{namespace}">{elements() if inner is None else inner}</{name}>'


def envelope(body: str | None = None, version: str = SOAP_11, header: str = "") -> str:
    """Return an envelope. Default: with a valid call."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{version}">{header}'
        f"<s:Body>{operation() if body is None else body}</s:Body></s:Envelope>"
    )


def soap11(
    body: str | bytes | None = None,
    content_type: str | None = XML,
    action: str | None = f'"{ACTION}"',
    target: str = PATH,
) -> HttpRequest:
    """Build a SOAP 1.1 request. Default: a valid one."""
    text = envelope() if body is None else body
    raw = text if isinstance(text, bytes) else text.encode()
    # The name of SOAPAction has no hyphen.
    return request("POST", target, raw, Content_Type=content_type, SOAPAction=action)


def soap12(
    body: str | bytes | None = None,
    content_type: str = "application/soap+xml; charset=utf-8",
    action: str | None = ACTION,
) -> HttpRequest:
    """Build a SOAP 1.2 request. Default: a valid one."""
    text = envelope(version=SOAP_12) if body is None else body
    raw = text if isinstance(text, bytes) else text.encode()
    parameter = "" if action is None else f'; action="{action}"'
    return request("POST", PATH, raw, Content_Type=content_type + parameter)


def get(query: str | bytes | None = None, path: str = f"{PATH}/sendMesExt") -> HttpRequest:
    """Build a GET of the operation. Default: a valid one."""
    text = urlencode(GOOD) if query is None else query
    raw = text if isinstance(text, bytes) else text.encode()
    return request("GET", path.encode() + b"?" + raw)


def post(
    body: str | bytes | None = None,
    content_type: str | None = FORM,
    target: str = f"{PATH}/sendMesExt",
) -> HttpRequest:
    """Build a POST of the operation. Default: a valid one."""
    text = urlencode(GOOD) if body is None else body
    raw = text if isinstance(text, bytes) else text.encode()
    return request("POST", target, raw, Content_Type=content_type)


def accepted_fields(http_request: HttpRequest) -> dict[str, str | None]:
    """Handle a request that must reach the method, and return its fields."""
    method = RecordingMethod()
    response = handle(http_request, method)
    assert (response.status, BATCH.encode() in response.body) == (200, True)
    ((fields, _),) = method.calls
    return fields


def rejected_response(http_request: HttpRequest) -> HttpResponse:
    """Handle a request that must not reach the method, and return the response."""
    method = RecordingMethod()
    response = handle(http_request, method)
    assert method.calls == []
    assert response.status != 200
    return response


def parse_envelope(response: HttpResponse) -> etree._Element:
    """Return the parsed envelope of a response."""
    return etree.fromstring(response.body)


def fault_of(response: HttpResponse) -> tuple[str, str]:
    """Return code and text of a SOAP fault, after comparing it with ASP.NET's exact XML."""
    root = parse_envelope(response)
    version = etree.QName(root).namespace
    code, text = root.findtext(".//faultcode"), root.findtext(".//faultstring")
    if version == SOAP_12:
        code = root.findtext(f".//{{{version}}}Value")
        text = root.findtext(f".//{{{version}}}Text")
    assert code is not None
    assert text is not None
    prefix, _, local = code.partition(":")
    assert prefix == "soap"
    if version == SOAP_12:
        detail = "" if local == "MustUnderstand" else "<soap:Detail />"
        expected = (
            f"<soap:Fault><soap:Code><soap:Value>{code}</soap:Value></soap:Code><soap:Reason>"
            f'<soap:Text xml:lang="en">{escape(text)}</soap:Text></soap:Reason>{detail}'
            "</soap:Fault>"
        )
    else:
        detail = "" if local == "MustUnderstand" else "<detail />"
        expected = (
            f"<soap:Fault><faultcode>{code}</faultcode>"
            f"<faultstring>{escape(text)}</faultstring>{detail}</soap:Fault>"
        )
    assert f"<soap:Body>{expected}</soap:Body></soap:Envelope>" in response.body.decode()
    return local, text

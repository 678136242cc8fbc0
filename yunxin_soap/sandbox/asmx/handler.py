"""Respond to HTTP requests like an ASMX service with one method, ``sendMesExt``. No I/O.

Valid and invalid requests get the response that .NET sends to a remote caller (customErrors on).
The web server in front of .NET is not imitated, except that paths are case-insensitive, as in IIS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import lru_cache
from urllib.parse import unquote

from yunxin_soap.operation import FIELDS, OPERATION, ProtocolName
from yunxin_soap.sandbox.access import scheme_of
from yunxin_soap.sandbox.asmx import forms, pages, soap

PATH = "/api/MsgSend.asmx"
MAX_REQUEST = 4 << 20
"""Bytes of a body; ASP.NET's default for ``maxRequestLength``."""
MAX_QUERY = 2048
"""Bytes of a query string; ASP.NET's default for ``maxQueryStringLength``."""
MAX_FIELDS = 1000
"""Fields of a form; ASP.NET's default for ``aspnet:MaxHttpCollectionKeys``."""

_XML = "text/xml; charset=utf-8"
_SOAP_XML = "application/soap+xml; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
_ACTION = soap.TNS + OPERATION
_NO_ACTION = (
    "Unable to handle request without a valid action parameter. Please supply a valid soap action."
)


class MethodError(Exception):
    """The method threw; ASP.NET shows the message to the caller."""


Fields = Mapping[str, str | None]
Method = Callable[[Fields, ProtocolName], str | None]
"""Takes the six parameters and the protocol; returns the result. None is a null."""


@dataclass(frozen=True)
class HttpRequest:
    """One HTTP request."""

    method: str
    target: bytes
    """The path and the query of the request line, still escaped."""
    headers: Mapping[str, str]
    """Must ignore the case of names."""
    body: bytes
    too_long: bool = False
    """Whether the body was longer than `MAX_REQUEST`, so that it was not read."""
    base_path: str = ""
    """The path that a proxy has in front of `PATH`; the target is without it."""

    def header(self, name: str) -> str | None:
        """Return a header, None if it is missing; bytes that are no UTF-8 become ``?``."""
        value = self.headers.get(name)  # invalid bytes are lone surrogates here
        return None if value is None else value.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class HttpResponse:
    """One HTTP response."""

    status: int
    content_type: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def is_call(request: HttpRequest) -> bool:
    """Return whether a request tries to call the method, however wrongly, or asks for a page."""
    path = unquote(request.target.partition(b"?")[0].decode("utf-8", "replace"))
    if not path.lower().startswith(PATH.lower()):
        return False
    return request.method == "POST" or path[len(PATH) :].startswith("/")


def handle(request: HttpRequest, method: Method) -> HttpResponse:
    """Respond to one request; call ``method`` if ASP.NET would.

    Args:
        request: the request.
        method: the method ``sendMesExt``. It may raise `MethodError`.
    """
    raw_path, _, query = request.target.partition(b"?")
    path = unquote(raw_path.decode("utf-8", "replace"))
    page, extra = path[: len(PATH)], path[len(PATH) :]
    if page.lower() != PATH.lower() or (extra and not extra.startswith("/")):
        return _html(404, "The resource cannot be found.")
    if extra == "/":
        return _html(500, "Runtime Error")
    if extra:
        return _operation(request, extra[1:], query, method)
    if request.method == "POST":
        return _SoapCall(request, method).respond()
    if request.method == "GET":
        return _page(request, query)
    return _html(405, "The HTTP verb used to access this page is not allowed.")


def _page(request: HttpRequest, query: bytes) -> HttpResponse:
    host = request.header("Host") or "localhost"
    address = f"{scheme_of(request.headers)}://{host}{request.base_path}{PATH}"
    bare = {part.lower() for part in query.split(b"&") if b"=" not in part}
    if b"wsdl" in bare:
        return _success(_XML, pages.description(address))
    if b"disco" in bare:
        return _success(_XML, pages.discovery(address))
    asked = forms.parse(query)
    if "wsdl" in asked:
        return _text("XML Web service description was not found.")
    if asked.get("op") == OPERATION:
        return _success(HTML, pages.operation_page(address))
    return _success(HTML, pages.help_page(address))


def _operation(request: HttpRequest, name: str, query: bytes, method: Method) -> HttpResponse:
    if request.method not in ("GET", "POST"):
        return _html(500, "Runtime Error")
    if request.method == "GET" and len(query) >= MAX_QUERY:
        return _html(400, "Bad Request")
    content = _content_type(request.header("Content-Type") or "")
    if request.method == "POST" and content.media_type == "application/json":
        failure = {
            "Message": "There was an error processing the request.",
            "StackTrace": "",
            "ExceptionType": "",
        }
        return HttpResponse(
            500,
            "application/json; charset=utf-8",
            json.dumps(failure).encode(),
            {"jsonerror": "true", "Cache-Control": "private"},
        )
    if name != OPERATION:
        return _text(_unknown_method(name))
    if request.method == "GET":
        return _form(forms.parse(query), "QueryString", method)
    if content.media_type != "application/x-www-form-urlencoded":
        return _text(f"Request format is invalid: {content.value}.")
    if request.too_long:
        return _text("Maximum request length exceeded.")
    # ASP.NET counts names, not fields. Counting the separators costs no parsing, and only a form
    # that repeats a name hundreds of times is told apart by it.
    if request.body.count(b"&") >= MAX_FIELDS:
        return _text(
            "The URL-encoded form data is not valid. ---> Operation is not valid due to the current"
            " state of the object."
        )
    encoding = soap.known_encoding(content.charset) or "utf-8"
    return _form(forms.parse(request.body, encoding), "Form", method)


def _unknown_method(name: str) -> str:
    if name.lower() == OPERATION.lower():
        return (
            f"Invalid method name '{name}',  method names are case sensitive.   The method name"
            f" '{OPERATION}' with the same name but different casing was found.\r\n"
            "Parameter name: methodName"
        )
    return f"{name} Web Service method name is not valid."


def _form(values: Mapping[str, str], collection: str, method: Method) -> HttpResponse:
    for name in FIELDS:
        if danger := forms.find_danger(name, values.get(name.lower(), "")):
            if name == "userPass":
                danger = 'userPass="***"'  # ASP.NET would quote a part of the password
            return _text(
                f"A potentially dangerous Request.{collection} value was detected from the client"
                f" ({danger})."
            )
    missing = next((name for name in FIELDS if name.lower() not in values), None)
    if missing:
        return _text(f"Missing parameter: {missing}.")
    fields = {name: values[name.lower()] for name in FIELDS}
    try:
        result = method(fields, "http-post" if collection == "Form" else "http-get")
    except MethodError as error:
        return _text(str(error))
    if result is None:
        content = (
            '<string xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            f' xsi:nil="true" xmlns="{soap.TNS}" />'
        )
    elif result == "":
        content = f'<string xmlns="{soap.TNS}" />'
    else:
        content = f'<string xmlns="{soap.TNS}">{soap.xml_text(result)}</string>'
    return _success(_XML, f'<?xml version="1.0" encoding="utf-8"?>\r\n{content}'.encode())


class _SoapCall:
    """Responds to one SOAP request."""

    def __init__(self, request: HttpRequest, method: Method) -> None:
        self._request, self._method = request, method
        content = self._content = _content_type(request.header("Content-Type") or "")
        action = request.header("SOAPAction")
        self._soap_action = None if action is None else unquote(action.strip().strip('"'))
        self._is_12 = content.media_type == "application/soap+xml"
        # Until the envelope is read, the request's Content-Type decides the version of a fault.
        self._version = soap.SOAP_12 if self._is_12 else soap.SOAP_11

    def respond(self) -> HttpResponse:
        """Return the response, which may be a fault or an empty 400 or 415."""
        try:
            return self._respond()
        except soap.MalformedEnvelope:
            return HttpResponse(400, _type_of(self._version))
        except soap.SoapFault as fault:
            return self._fault(fault)

    def _fault(self, fault: soap.SoapFault) -> HttpResponse:
        body = fault.render().encode()
        return HttpResponse(500, _type_of(fault.version), body, {"Cache-Control": "private"})

    def _respond(self) -> HttpResponse:
        content = self._content
        if self._request.too_long:
            raise soap.SoapFault(
                "Server",
                "There was an exception running the extensions specified in the config file."
                " ---> Maximum request length exceeded.",
                self._version,
            )
        text = soap.decode(self._request.body, content.media_type, content.charset)
        routed = self._soap_action is not None or (self._is_12 and content.action is not None)
        if not routed and (problem := soap.root_problem(text)):
            message = f"Server was unable to process request. ---> {problem}"
            raise soap.SoapFault("Server", message, soap.SOAP_12)
        if content.media_type not in ("text/xml", "application/soap+xml"):
            return self._unsupported()
        if not self._is_12 and self._soap_action not in (None, _ACTION):
            raise soap.SoapFault(
                "Client",
                "Server did not recognize the value of HTTP Header SOAPAction:"
                f" {self._soap_action}.",
                soap.SOAP_11,
            )
        root = soap.parse(text)
        self._version = soap.version_of(root)
        if self._is_12 and self._version == soap.SOAP_11:
            return self._unsupported()
        body = soap.body_of(root, self._version)
        self._route(soap.is_operation(body))
        fields = soap.read_fields(body)
        protocol: ProtocolName = "soap12" if self._version == soap.SOAP_12 else "soap"
        try:
            result = self._method(fields, protocol)
        except MethodError as error:
            message = f"Server was unable to process request. ---> {error}"
            raise soap.SoapFault("Server", message, self._version) from None
        envelope = soap.render_response(result, self._version)
        return _success(_type_of(self._version), envelope.encode())

    def _route(self, known_element: bool) -> None:
        """Raise a fault unless the action or the element names the method."""
        action = self._content.action if self._is_12 else self._soap_action
        if known_element or action == _ACTION:
            return
        if action is None:
            raise soap.SoapFault("Client", _NO_ACTION, self._version)
        raise soap.SoapFault(
            "Client",
            f"Unable to handle request. The action '{action}' was not recognized.",
            self._version,
        )

    def _unsupported(self) -> HttpResponse:
        return HttpResponse(415, _SOAP_XML if self._soap_action is None else _XML)


class _ContentType:
    """A parsed Content-Type header."""

    def __init__(self, value: str) -> None:
        self.value = value
        message = Message()
        message["Content-Type"] = self.value
        self.media_type = message.get_content_type() if self.value else ""
        self.charset = _parameter(message, "charset")
        self.action = _parameter(message, "action")


@lru_cache(maxsize=256)
def _content_type(value: str) -> _ContentType:
    return _ContentType(value)


def _parameter(message: Message, name: str) -> str | None:
    value = message.get_param(name)
    return value if isinstance(value, str) else None


def _type_of(version: str) -> str:
    return _SOAP_XML if version == soap.SOAP_12 else _XML


def _success(content_type: str, body: bytes) -> HttpResponse:
    return HttpResponse(200, content_type, body, {"Cache-Control": "private, max-age=0"})


def _text(message: str) -> HttpResponse:
    body = f"{forms.html_encode(message)}\r\n".encode()
    return HttpResponse(500, _TEXT, body, {"Cache-Control": "private"})


def _html(status: int, title: str) -> HttpResponse:
    return HttpResponse(status, HTML, pages.error_page(status, title))

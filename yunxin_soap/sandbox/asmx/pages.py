"""The pages that the service shows in a browser, and its WSDL and discovery documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from lxml import etree

from yunxin_soap.operation import FIELDS, OPERATION
from yunxin_soap.sandbox.asmx.soap import SOAP_11, SOAP_12, TNS, render_response
from yunxin_soap.wsdl_files import shipped_path

_TITLE = "MsgSend Web Service"


@dataclass(frozen=True)
class _Sample:
    """A sample request and its response, as the operation's page shows them."""

    title: str
    request: str
    response: str


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _render(template: str, **values: object) -> bytes:
    return _templates().get_template(template).render(values).encode()


@lru_cache(maxsize=16)
def description(address: str) -> bytes:
    """Return the WSDL with ``address`` in all four ports."""
    root = etree.fromstring(shipped_path().read_bytes())
    for port in root.iterfind(f"{{{root.nsmap['wsdl']}}}service/{{*}}port/{{*}}address"):
        port.set("location", address)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + etree.tostring(root, encoding="utf-8")


def discovery(address: str) -> bytes:
    """Return the response to ``?disco``."""
    return _render(
        "discovery.xml.j2",
        address=address,
        namespace=TNS,
        bindings=("MsgSendSoap", "MsgSendSoap12"),
    )


def help_page(address: str) -> bytes:
    """Return the help page, which lists the operation."""
    return _render(
        "help.html.j2",
        title=_TITLE,
        address=address,
        operation=OPERATION,
        fields=FIELDS,
    )


def operation_page(address: str) -> bytes:
    """Return the operation's page: a form that invokes it, and a sample for each protocol."""
    return _render(
        "operation.html.j2",
        title=_TITLE,
        address=address,
        operation=OPERATION,
        fields=FIELDS,
        samples=list(_samples(address)),
    )


def error_page(status: int, title: str) -> bytes:
    """Return an error page as IIS or ASP.NET shows it to a remote caller."""
    return _render("error.html.j2", title=f"{status} - {title}", heading=title)


def _samples(address: str) -> Iterator[_Sample]:
    """Yield a sample for each protocol, in the order of `PROTOCOLS`."""
    page = urlsplit(address)
    operation = f"{page.path}/{OPERATION}"
    host = f"Host: {page.netloc}\n"
    fields = "".join(f"\n      <{name}>string</{name}>" for name in FIELDS)
    for title, envelope, media_type, action in (
        ("SOAP 1.1", SOAP_11, "text/xml", f'SOAPAction: "{TNS}{OPERATION}"\n'),
        ("SOAP 1.2", SOAP_12, "application/soap+xml", ""),
    ):
        head = f"Content-Type: {media_type}; charset=utf-8\nContent-Length: length\n"
        yield _Sample(
            title,
            f"POST {page.path} HTTP/1.1\n{host}{head}{action}\n"
            f'<?xml version="1.0" encoding="utf-8"?>\n<soap:Envelope xmlns:soap="{envelope}">\n'
            f'  <soap:Body>\n    <{OPERATION} xmlns="{TNS}">{fields}\n'
            f"    </{OPERATION}>\n  </soap:Body>\n</soap:Envelope>",
            f"HTTP/1.1 200 OK\n{head}\n{render_response('string', envelope)}",
        )
    query = "&".join(f"{name}=string" for name in FIELDS)
    response = (
        "HTTP/1.1 200 OK\nContent-Type: text/xml; charset=utf-8\nContent-Length: length\n\n"
        f'<?xml version="1.0" encoding="utf-8"?>\n<string xmlns="{TNS}">string</string>'
    )
    yield _Sample("HTTP GET", f"GET {operation}?{query} HTTP/1.1\n{host}", response)
    yield _Sample(
        "HTTP POST",
        f"POST {operation} HTTP/1.1\n{host}"
        f"Content-Type: application/x-www-form-urlencoded\nContent-Length: length\n\n{query}",
        response,
    )

"""What the service's page shows of itself: WSDL, discovery, help, error pages."""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from lxml import etree

from yunxin_soap import wsdl
from yunxin_soap.sandbox.asmx.soap import SOAP_11, SOAP_12, TNS, render_answer

_STYLE = "pre { white-space: pre-wrap; overflow-wrap: anywhere; } input { max-width: 65vw; }"


@lru_cache(maxsize=16)
def description(address: str) -> bytes:
    """Return the WSDL with ``address`` at all four ports."""
    root = etree.fromstring(wsdl.shipped_path().read_bytes())
    for port in root.iterfind(f"{{{root.nsmap['wsdl']}}}service/{{*}}port/{{*}}address"):
        port.set("location", address)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + etree.tostring(root, encoding="utf-8")


def discovery(address: str) -> bytes:
    """Return the answer to ``?disco``."""
    quoted = html.escape(address)
    soap = "".join(
        f'\n  <soap address="{quoted}" xmlns:q1="{TNS}" binding="q1:{binding}"'
        ' xmlns="http://schemas.xmlsoap.org/disco/soap/" />'
        for binding in ("MsgSendSoap", "MsgSendSoap12")
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<discovery xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns="http://schemas.xmlsoap.org/disco/">'
        f'\n  <contractRef ref="{quoted}?wsdl" docRef="{quoted}"'
        f' xmlns="http://schemas.xmlsoap.org/disco/scl/" />{soap}\n</discovery>'
    ).encode()


def help_page(address: str) -> bytes:
    """Return the page that a browser gets."""
    quoted = html.escape(address)
    return _page(
        "MsgSend Web Service",
        "<p>The following operations are supported. For a formal definition, please review the"
        f' <a href="{quoted}?WSDL">Service Description</a>.</p>'
        f'<ul><li><a href="{quoted}?op={wsdl.OPERATION}">{wsdl.OPERATION}</a>'
        f" ({', '.join(wsdl.FIELDS)})</li></ul>"
        "<p>This is the yunxin_soap sandbox: no SMS leaves it.</p>",
    )


def operation_page(address: str) -> bytes:
    """Return the page of the operation: a form that invokes it, and a sample for each port."""
    quoted = html.escape(address)
    inputs = "".join(
        f'<tr><td><label for="{name}">{name}:</label></td>'
        f'<td><input id="{name}" name="{name}" size="50"></td></tr>'
        for name in wsdl.FIELDS
    )
    samples = "".join(
        f"<h3>{title}</h3>"
        "<p>The following is a sample request and response. The placeholders shown need to be"
        f" replaced with actual values.</p><pre>{html.escape(request)}</pre>"
        f"<pre>{html.escape(answer)}</pre>"
        for title, request, answer in _samples(address)
    )
    return _page(
        "MsgSend Web Service",
        f'<p>Click <a href="{quoted}">here</a> for a complete list of operations.</p>'
        f"<h2>{wsdl.OPERATION}</h2><h3>Test</h3>"
        "<p>To test the operation using the HTTP POST protocol, click the 'Invoke' button.</p>"
        f'<form action="{quoted}/{wsdl.OPERATION}" method="POST"><table>{inputs}</table>'
        f'<button type="submit">Invoke</button></form>{samples}'
        "<p>This is the yunxin_soap sandbox: no SMS leaves it.</p>",
    )


def _samples(address: str) -> Iterator[tuple[str, str, str]]:
    """Give title, request and answer for each port."""
    page = urlsplit(address)
    operation = f"{page.path}/{wsdl.OPERATION}"
    host = f"Host: {page.netloc}\n"
    fields = "".join(f"\n      <{name}>string</{name}>" for name in wsdl.FIELDS)
    for title, envelope, media_type, action in (
        ("SOAP 1.1", SOAP_11, "text/xml", f'SOAPAction: "{TNS}{wsdl.OPERATION}"\n'),
        ("SOAP 1.2", SOAP_12, "application/soap+xml", ""),
    ):
        head = f"Content-Type: {media_type}; charset=utf-8\nContent-Length: length\n"
        yield (
            title,
            f"POST {page.path} HTTP/1.1\n{host}{head}{action}\n"
            f'<?xml version="1.0" encoding="utf-8"?>\n<soap:Envelope xmlns:soap="{envelope}">\n'
            f'  <soap:Body>\n    <{wsdl.OPERATION} xmlns="{TNS}">{fields}\n'
            f"    </{wsdl.OPERATION}>\n  </soap:Body>\n</soap:Envelope>",
            f"HTTP/1.1 200 OK\n{head}\n{render_answer('string', envelope)}",
        )
    query = "&".join(f"{name}=string" for name in wsdl.FIELDS)
    answer = (
        "HTTP/1.1 200 OK\nContent-Type: text/xml; charset=utf-8\nContent-Length: length\n\n"
        f'<?xml version="1.0" encoding="utf-8"?>\n<string xmlns="{TNS}">string</string>'
    )
    yield "HTTP GET", f"GET {operation}?{query} HTTP/1.1\n{host}", answer
    yield (
        "HTTP POST",
        f"POST {operation} HTTP/1.1\n{host}"
        f"Content-Type: application/x-www-form-urlencoded\nContent-Length: length\n\n{query}",
        answer,
    )


def error_page(status: int, title: str) -> bytes:
    """Return an error page as IIS or ASP.NET shows to a remote caller."""
    return _page(f"{status} - {title}", f"<h1>{html.escape(title)}</h1>")


def _page(title: str, body: str) -> bytes:
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    ).encode()

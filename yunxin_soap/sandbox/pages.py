"""What the service's page shows of itself: WSDL, discovery, help, error pages."""

from __future__ import annotations

import html
from functools import lru_cache

from lxml import etree

from yunxin_soap import wsdl
from yunxin_soap.sandbox.soap import TNS


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


def error_page(status: int, title: str) -> bytes:
    """Return an error page as IIS or ASP.NET shows to a remote caller."""
    return _page(f"{status} - {title}", f"<h1>{html.escape(title)}</h1>")


def _page(title: str, body: str) -> bytes:
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"</head><body>{body}</body></html>\n"
    ).encode()

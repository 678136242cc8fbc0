"""Make aiohttp's responses."""

from __future__ import annotations

from aiohttp import web

from yunxin_soap.sandbox.asmx import pages
from yunxin_soap.sandbox.asmx.handler import HTML, HttpResponse


def error_response(status: int, title: str) -> web.Response:
    """Return an error page of the web server itself; the connection closes after it."""
    response = to_aiohttp(HttpResponse(status, HTML, pages.error_page(status, title)))
    response.force_close()
    return response


def to_aiohttp(response: HttpResponse) -> web.Response:
    """Return aiohttp's form of a response."""
    return web.Response(
        status=response.status,
        body=response.body,
        headers={
            "Content-Type": response.content_type,
            "Server": "yunxin-soap sandbox",
            **response.headers,
        },
    )

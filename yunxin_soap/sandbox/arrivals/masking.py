"""Render raw requests and responses readable, bounded, and without a password.

A request that the service could not read can hold a password in any form. So only those parts of
it are kept in which passwords can be masked reliably: the pairs of a query or a form, and XML. Any
other body is left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import unquote_plus

from yunxin_soap.sandbox.asmx.handler import HttpRequest, HttpResponse

MAX_RAW = 16 << 10
"""Characters kept of a raw request and of a raw response."""
MASK = "***"
MIN_MASKED_LENGTH = 6
"""Shorter passwords are masked only in their field: elsewhere they may be common words."""
Mask = Callable[[str], str]
_FIELD = "userpass"
_ELEMENT = re.compile(
    r"(<(?:[\w.-]{1,100}:)?userPass\b[^>]{0,1000}>)(.*?)(?=</(?:[\w.-]{1,100}:)?userPass\b|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r"</?(?:[\w.-]{1,100}:)?userPass\b[^>]{0,1000}>", re.IGNORECASE)
# ASP.NET's own messages name the field and stop there, or show ***. Whatever else follows the
# name repeats the request.
_ECHO = re.compile(r"(userPass)(?![\s.<]|=\"\*\*\*)[^<\r\n]+", re.IGNORECASE)
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


def raw_request(request: HttpRequest, mask: Mask) -> str:
    """Return the text of a request.

    Args:
        request: the request.
        mask: masks the known passwords.
    """
    # Known passwords first: one that is split as a query or as XML is not found afterwards.
    path, question, query = mask(request.target.decode("utf-8", "replace")).partition("?")
    # A path has no fields, but a client may have put its whole query there by mistake.
    path = _mask_pair(path) if _FIELD in _decode(path) else path
    head = [f"{request.method} {path}{question}{_mask_pairs(query)} HTTP/1.1"]
    for name in dict.fromkeys(request.headers):
        value = MASK if name.lower() in _SECRET_HEADERS else mask(request.header(name) or "")
        head.append(f"{name}: {MASK if _FIELD in _decode(value) else value}")
    text = "\n".join(head) + "\n\n" + _body(request, mask)
    return text[:MAX_RAW]


def raw_response(response: HttpResponse, mask: Mask) -> str:
    """Return the text of a response.

    Args:
        response: the response.
        mask: masks the known passwords.
    """
    head = [f"HTTP/1.1 {response.status}", f"Content-Type: {response.content_type}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    text = "\n".join(head) + "\n\n" + response.body[: 4 * MAX_RAW].decode("utf-8", "replace")
    return mask_echo(mask(text))[:MAX_RAW]


def mask_echo(text: str) -> str:
    """Mask what a response repeats of a request that had the password in a wrong place."""
    return _ECHO.sub(rf"\1{MASK}", text)


def _body(request: HttpRequest, mask: Mask) -> str:
    if not request.body:
        return ""
    content_type = (request.header("Content-Type") or "").lower()
    encoding = "utf-16" if request.body.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    # Mask before the text is truncated: half a password would not be found.
    text = mask(request.body[: 4 * MAX_RAW].decode(encoding, "replace"))
    if "urlencoded" in content_type:
        return _mask_pairs(text)
    if "xml" in content_type and "\x00" not in text:
        masked = _ELEMENT.sub(rf"\1{MASK}", text)
        # The end of a password is uncertain if it is escaped twice, in an attribute, or beside a
        # comment or CDATA.
        certain = not any("<!" in each[2] for each in _ELEMENT.finditer(text))
        if certain and _FIELD not in _decode(_TAG.sub("", masked)):
            return masked
    return f"({len(request.body)} bytes that are neither a form nor plain XML are not kept)"


def _mask_pairs(text: str) -> str:
    return "&".join(
        _mask_pair(part) if _FIELD in _decode(part) else part for part in text.split("&")
    )


def _mask_pair(part: str) -> str:
    name, equals, _ = part.partition("=")
    # Only after the field's exact name is it certain where the password begins.
    return f"{name}={MASK}" if equals and _decode(name).strip() == _FIELD else MASK


def _decode(text: str) -> str:
    """Undo URL and XML escapes, even if they were applied three times, and return lower case."""
    if "%" not in text and "&" not in text and "+" not in text:
        return text.lower()
    for _ in range(3):
        text = html.unescape(unquote_plus(text))
    return text.lower()

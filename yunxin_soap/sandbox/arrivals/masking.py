"""What is kept of raw requests and answers: readable, bounded, and without a password.

A request that nobody understood may hold a password in any form. So what is kept of it is what can
be masked for certain: the pairs of a query or a form, and XML. Any other body is left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import unquote_plus

from yunxin_soap.sandbox.asmx.handler import HttpRequest, HttpResponse

MAX_RAW = 16 << 10
"""Characters kept of a raw request and of a raw answer."""
MASK = "***"
TELLING = 6
"""Characters of a password that is not likely to be a common word of the request too."""
Hide = Callable[[str], str]
_FIELD = "userpass"
_ELEMENT = re.compile(
    r"(<(?:[\w.-]{1,100}:)?userPass\b[^>]{0,1000}>)(.*?)(?=</(?:[\w.-]{1,100}:)?userPass\b|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r"</?(?:[\w.-]{1,100}:)?userPass\b[^>]{0,1000}>", re.IGNORECASE)
# An answer says the field's name, alone or as it was called; what else it says of it, it repeats.
_ECHO = re.compile(r"(userPass)(?![\s.<]|=\"\*\*\*)[^<\r\n]+", re.IGNORECASE)
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


def raw_request(request: HttpRequest, hide: Hide) -> str:
    """Return the text of a request.

    Args:
        request: as it came.
        hide: masks the passwords that are known.
    """
    # Known passwords first: one that is cut up as a query or as XML is none afterwards.
    path, question, query = hide(request.target.decode("utf-8", "replace")).partition("?")
    # A name in the path is no field, but a whole query may be there by mistake.
    path = _pair(path) if _FIELD in _plain(path) else path
    head = [f"{request.method} {path}{question}{_pairs(query)} HTTP/1.1"]
    for name in dict.fromkeys(request.headers):
        value = MASK if name.lower() in _SECRET_HEADERS else hide(request.header(name) or "")
        head.append(f"{name}: {MASK if _FIELD in _plain(value) else value}")
    text = "\n".join(head) + "\n\n" + _body(request, hide)
    return text[:MAX_RAW]


def raw_answer(answer: HttpResponse, hide: Hide) -> str:
    """Return the text of an answer."""
    head = [f"HTTP/1.1 {answer.status}", f"Content-Type: {answer.content_type}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    text = "\n".join(head) + "\n\n" + answer.body[: 4 * MAX_RAW].decode("utf-8", "replace")
    return without_echo(hide(text))[:MAX_RAW]


def without_echo(text: str) -> str:
    """Mask what an answer may repeat of a request that had the password in a wrong place."""
    return _ECHO.sub(rf"\1{MASK}", text)


def _body(request: HttpRequest, hide: Hide) -> str:
    if not request.body:
        return ""
    kind = (request.header("Content-Type") or "").lower()
    encoding = "utf-16" if request.body.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    # A password that is cut in two at the end is masked before the cut.
    text = hide(request.body[: 4 * MAX_RAW].decode(encoding, "replace"))
    if "urlencoded" in kind:
        return _pairs(text)
    if "xml" in kind and "\x00" not in text:
        masked = _ELEMENT.sub(rf"\1{MASK}", text)
        # Escaped once more, in an attribute, or beside a comment or CDATA, it is not to be told
        # where it ends.
        certain = not any("<!" in each[2] for each in _ELEMENT.finditer(text))
        if certain and _FIELD not in _plain(_TAG.sub("", masked)):
            return masked
    return f"({len(request.body)} bytes that are neither a form nor plain XML are not kept)"


def _pairs(text: str) -> str:
    return "&".join(_pair(part) if _FIELD in _plain(part) else part for part in text.split("&"))


def _pair(part: str) -> str:
    name, equals, _ = part.partition("=")
    # Where the name ends is known only if it is a name.
    return f"{name}={MASK}" if equals and _plain(name).strip() == _FIELD else MASK


def _plain(text: str) -> str:
    """Undo what URLs and XML may have made of a name, several times over, in lower case."""
    if "%" not in text and "&" not in text and "+" not in text:
        return text.lower()
    for _ in range(3):
        text = html.unescape(unquote_plus(text))
    return text.lower()
